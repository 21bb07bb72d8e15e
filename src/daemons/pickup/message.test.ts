import assert from 'node:assert/strict';
import test from 'node:test';
import { LocalMessage, type Origin } from './message.ts';
import { now, own, PretendedCleanup } from './testing.ts';

function taken(records: readonly string[], origin: Partial<Origin> = {}, contentFilter = '') {
  const cleanup = new PretendedCleanup();
  const lines: string[] = [];
  const message = new LocalMessage(cleanup.open({ flags: 0, lineEnd: 'lf' }), { uid: 1000, arrival: now, ...origin }, { ...own, contentFilter }, (text) => void lines.push(text));
  const progress = records.map((record) => message.take({ type: record.charCodeAt(0), data: Buffer.from(record.slice(1), 'latin1') }));
  const [handed] = cleanup.messages;
  return { last: progress.at(-1), lines, records: handed!.records, content: handed!.content };
}

const received = 'Received: by host.example.org (Postfix, from userid 1000)\n\tid ID1; <1800000000>\n';
const whole = (...content: string[]): string[] => ['T1 2', 'Sme@example.org', 'Ryou@example.org', 'M', ...content, 'X', 'E'];

test('records go on, the content gets a Received: header, the log hears who it was', () => {
  assert.deepEqual(taken(whole('NSubject: x', 'N', 'Lpart', 'Nrest')), {
    last: 'complete', lines: ['ID1: uid=1000 from=<me@example.org>'], records: ['T1 2', 'Sme@example.org', 'Ryou@example.org', 'M', 'X'],
    content: `${received}Subject: x\n\npartrest\n`,
  });
});

test('white space in front of a message does not continue our header', () => {
  assert.equal(taken(whole('N indented', 'N more')).content, `${received}\n indented\n more\n`);
  assert.equal(taken(whole('N', 'N more')).content, `${received}\n more\n`);
});

test('a message without a time is as old as its file', () => {
  assert.deepEqual(taken(['Sme', 'M', 'X', 'E']).records, ['T1800000000', 'Sme', 'M', 'X']);
});

test('a content filter comes first', () => {
  assert.equal(taken(whole(), {}, 'scan:here').records[0], 'Lscan:here');
});

test('a requeued message: the old queue id is told, what was found out before is forgotten', () => {
  const records = ['C1 2', 'T1 2', 'Lold:filter', '>redirected@x', 'S', 'Aencoding=8bit', 'Ddone', 'Ryou', 'M', 'N', 'X', 'rreceipt', 'eerrors', 'Alog_ident=x', 'Anotify_flags=1', 'Rlate', 'E'];
  const { lines, records: handed } = taken(records, { requeuedFrom: 'ABC123' });
  assert.deepEqual(lines, ['ID1: uid=1000 from=<> orig_id=ABC123']);
  assert.deepEqual(handed, ['C1 2', 'T1 2', 'S', 'Aencoding=8bit', 'Ddone', 'Ryou', 'M', 'X', 'Anotify_flags=1', 'Rlate']);
});

test('a sender that needs quotes is quoted in the log', () => {
  assert.deepEqual(taken(['Sa b@c', 'M']).lines, ['ID1: uid=1000 from=<"a b"@c>']);
});

for (const [name, records, log] of [
  ['content in the envelope', ['NSubject'], 'uid=1000: unexpected or malformed record type 78'],
  ['an unknown record', ['Z'], 'uid=1000: unexpected or malformed record type 90'],
  ['no sender', ['T1', 'Ra', 'M'], 'ID1: uid=1000: no envelope sender'],
  ['a sender behind the content', [...whole().slice(0, -1), 'Sx'], 'uid=1000: unexpected or malformed record type 83'],
  ['something behind the end', [...whole(), 'Rx'], 'uid=1000: unexpected or malformed record type 82'],
] as const) {
  test(`malformed: ${name}`, () => assert.deepEqual(taken(records).last, { status: 1, reason: '', log }));
}
