import assert from 'node:assert/strict';
import test from 'node:test';
import { compileList } from './evaluate.ts';
import { permitListed, rejectListed } from './reputation.ts';
import { permit } from './state.ts';
import { bench } from './testing.ts';

const about = { name: 'joe@example.org', replyClass: 'Recipient address' } as const;
const place = { name: 'reject_rbl_client', defaultTable: '' };
const listed = { '1.2.0.192.list.test A': ['127.0.0.2'] } as const;
const blocked = { kind: 'refuse', reply: { code: 554, status: '5.7.1', text: 'Service unavailable; Client host [192.0.2.1] blocked using list.test' } };

test('a listed client is refused, and asked for once per session', async () => {
  const { setup, state, asked } = bench({ names: listed });
  const restriction = rejectListed('address')(setup, 'list.test', place);
  assert.deepEqual(await restriction(state, about), blocked);
  assert.deepEqual(await restriction(state, about), blocked);
  assert.deepEqual(asked, ['1.2.0.192.list.test A', '1.2.0.192.list.test TXT', '1.0.0.127.list.test A']);
});

test('a list that has 127.0.0.1 is not believed, and asked again later', async () => {
  let now = 0;
  const { setup, state, asked, warnings } = bench({ names: { ...listed, '1.0.0.127.list.test A': ['127.0.0.2'] }, outside: { monotonic: () => now } });
  const restriction = rejectListed('address')(setup, 'list.test', place);
  const ask = async (): Promise<unknown> => restriction({ ...state, answers: new Map() }, about);
  const asks = (): number => asked.filter((question) => question === '1.0.0.127.list.test A').length;
  assert.equal(await ask(), undefined);
  now = 299_999;
  assert.equal(await ask(), undefined);
  assert.deepEqual([asks(), warnings.length], [1, 1]);
  now = 300_000;
  assert.equal(await ask(), undefined);
  assert.deepEqual([asks(), warnings.length], [2, 2]);
  assert.match(warnings[0]!, /^DNS list list\.test lists 127\.0\.0\.1: it answers for everything/);
});

test('a list that gives no answer refuses nobody, and makes a refusal a deferral where it could have permitted', async () => {
  const { setup, state, warnings } = bench({ names: { '1.2.0.192.list.test A': 'retry' } });
  assert.equal(await rejectListed('address')(setup, 'list.test', place)(state, about), undefined);
  assert.equal(await permitListed('address')(setup, 'list.test', place)(state, about), undefined);
  assert.deepEqual(state.deferIfReject, { code: 450, status: '4.7.1', text: '<192.0.2.1>: Client host rejected: Service unavailable' });
  assert.deepEqual(warnings, ['1.2.0.192.list.test: RBL lookup error: no answer for 1.2.0.192.list.test']);
});

test('an IPv6 client is asked for digit by digit', async () => {
  const { setup, state, asked } = bench();
  await rejectListed('address')(setup, 'list.test', place)({ ...state, client: { ...state.client, address: '2001:db8::1' } }, about);
  assert.deepEqual(asked, ['1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.test A']);
});

test('lists in a row are asked at the same time, and the first that has the client refuses', async () => {
  const { setup, state, asked } = bench({ names: { '1.2.0.192.two.test A': ['127.0.0.2'] } });
  const list = compileList('reject_rbl_client one.test, reject_rbl_client two.test=127.0.0.[2..4], reject_rbl_client three.test', { setup, defaultTable: '', classText: () => undefined, parameter: 'x' });
  const decision = list(state, about);
  assert.deepEqual(asked.slice(0, 3).map((question) => question.split('.')[4]), ['two', 'three', 'one']);
  assert.match(JSON.stringify(await decision), /blocked using two\.test/);
});

test('a pattern that makes no sense refuses for now', async () => {
  const { setup, state, warnings } = bench();
  const list = compileList('reject_rbl_client list.test=127.0.0', { setup, defaultTable: '', classText: () => undefined, parameter: 'smtpd_client_restrictions' });
  assert.deepEqual(await list(state, about), { kind: 'refuse', reply: { code: 451, status: '4.3.5', text: 'Server configuration error' } });
  assert.match(warnings[0]!, /four address fields .*\(in smtpd_client_restrictions\)$/);
});

test('a friend of one list passes', async () => {
  const { setup, state } = bench({ names: { '1.2.0.192.white.test A': ['127.0.0.2'] } });
  assert.equal(await permitListed('address')(setup, 'white.test', place)(state, about), permit);
});

for (const [name, template, want] of [
  ['the reason', '554 5.7.1 $rbl_reason by $rbl_what', '5.7.1 because by 192.0.2.1'],
  ['what a client chose is filtered', '554 5.7.1 $helo_name', '5.7.1 evil_host'],
  ['a mistake in the text gives the usual one', '554 ${rbl_what', '5.7.1 Service unavailable; Client host [192.0.2.1] blocked using list.test; because'],
] as const) {
  test(`rbl_reply_maps: ${name}`, async () => {
    const { setup, state } = bench({
      names: { ...listed, '1.2.0.192.list.test TXT': ['because'] }, view: { rbl_reply_maps: 'test:replies' }, tables: { 'test:replies': { 'list.test': template } }, state: { helo: 'evil%host' },
    });
    const decision = await rejectListed('address')(setup, 'list.test', place)(state, about);
    assert.equal(decision?.kind === 'refuse' && `${decision.reply.status} ${String(decision.reply.text)}`, want);
  });
}
