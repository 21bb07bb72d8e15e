import assert from 'node:assert/strict';
import test from 'node:test';
import { openSubmitters } from './submitters.ts';
import type { TableContext } from './table.ts';

const accounts = new Map([[0, 'root'], [1000, 'ann']]);

function submitters(settings: Readonly<Record<string, string>> = {}) {
  const values: Record<string, string> = {
    authorized_submit_users: 'static:anyone', local_login_sender_maps: 'static:*', recipient_delimiter: '+',
    empty_address_local_login_sender_maps_lookup_key: '<>', smtputf8_enable: 'yes', ...settings,
  };
  const context: TableContext = {
    parameter: (name) => values[name] ?? '', warn: () => undefined, error: (text) => { throw new Error(text); },
  };
  return openSubmitters(context, (uid) => accounts.get(uid));
}

for (const [list, uid, want] of [
  ['static:anyone', 7, undefined],
  ['!ann, static:all', 1000, 'ann'],
  ['!ann, static:all', 0, undefined],
  ['root', 1000, 'ann'],
  ['!unknown, static:all', 7, 'unknown'],
] as const) {
  test(`authorized_submit_users = ${list}: uid ${uid}`, async () => assert.equal(await submitters({ authorized_submit_users: list }).refused(uid), want));
}

const maps = 'inline:{ {root=*} {ann=ann@example.org, @lists.example.org,<>} {uid:7=seven} }';
for (const [uid, sender, want] of [
  [0, 'anybody@anywhere', true],
  [1000, 'ann@example.org', true],
  [1000, 'Ann+tag@EXAMPLE.org', true],
  [1000, 'x@lists.example.org', true],
  [1000, '', true],
  [1000, 'bob@example.org', false],
  [7, 'seven', true],
  [7, '', false],
  [8, 'anybody', false],
] as const) {
  test(`uid ${uid} ${want ? 'may' : 'may not'} send as <${sender}>`, async () => assert.equal(await submitters({ local_login_sender_maps: maps }).maySendAs(uid, sender), want));
}

test('nobody asks for accounts while everyone may do everything', () => {
  const context: TableContext = { parameter: (name) => (name === 'local_login_sender_maps' ? 'static:*' : 'static:anyone'), warn: () => undefined };
  const nowhere = openSubmitters(context, () => { throw new Error('asked'); });
  assert.deepEqual([nowhere.refused(1), nowhere.maySendAs(1, 'x')], [undefined, true]);
});
