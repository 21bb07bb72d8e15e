import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SmtpClient } from './session.ts';
import { options, Player, transaction } from './testing.ts';
import { ClientTranscript } from './transcript.ts';

const kept = { transcript: 2000 };
const hello = '220 mx ESMTP\n';
const features = '250-mx\n250 PIPELINING\n';

/** What was kept of a dialogue with a server that says these things. */
function dialogue(replies: readonly string[], change = {}) {
  const player = new Player(options({ ...kept, ...change }), [transaction()]);
  for (const reply of replies) player.hear(reply);
  const taken = player.machine.takeTranscript();
  return taken && { lines: taken.lines, troubles: [...taken.troubles] };
}

test('commands and replies are kept, content is not', () => {
  assert.deepEqual(dialogue([hello, '250 mx\n', '250 ok\n', '250 ok\n', '354 go\n', '250 taken\n']), {
    lines: ['In:  220 mx ESMTP', 'Out: EHLO client.example', 'In:  250 mx', 'Out: MAIL FROM:<s@example.com>', 'In:  250 ok', 'Out: RCPT TO:<r0@example.org>', 'In:  250 ok', 'Out: DATA', 'In:  354 go', 'Out: .', 'In:  250 taken', 'Out: QUIT'],
    troubles: [],
  });
});

for (const [name, replies, troubles] of [
  ['a refusal is none', [hello, '250 mx\n', '250 ok\n', '550 5.1.1 no\n'], []],
  ['a syntax error is a breach of the protocol', [hello, '250 mx\n', '250 ok\n', '501 what\n'], ['protocol']],
  ['so is a reply of no class', [hello, '250 mx\n', '250 ok\n', '399 what\n'], ['protocol']],
  ['and what is no reply', [hello, features, 'hello there\n250 ok\n'], ['protocol']],
  ['a greeting that is a refusal is none', ['554 go away\n'], []],
] as const) test(`trouble: ${name}`, () => assert.deepEqual(dialogue(replies)?.troubles, troubles));

for (const [name, failure, troubles] of [
  ['cannot be read', undefined, ['data']],
  ['is unfit for the server', { status: '5.6.3', reason: 'unfit', remoteMta: '', diagnostic: '', scope: 'message', softUntilLast: false }, []],
] as const) test(`trouble: mail that ${name}`, () => {
  const machine = new SmtpClient(options(kept));
  const heard = [hello, '250 mx\n', '250 ok\n', '250 ok\n', '354 go\n'];
  machine.expire(1000);
  for (const reply of heard) {
    machine.receive(Buffer.from(reply.replaceAll('\n', '\r\n')));
    for (let step = machine.next(); step; step = machine.next()) {
      if (step.kind === 'ready') machine.deliver(transaction());
      if (step.kind === 'content') machine.contentFailed(failure);
    }
  }
  assert.deepEqual([...machine.takeTranscript()!.troubles], troubles);
});

test('nothing is kept unless it is asked for', () => assert.equal(dialogue([hello], { transcript: undefined }), undefined));

for (const [line, want] of [['AUTH PLAIN AGpvZQB3cm9uZw==', 'Out: AUTH PLAIN ...'], ['AUTH LOGIN', 'Out: AUTH LOGIN'], ['d3Jvbmc=', 'Out: ...']] as const)
  test(`a secret is not kept: ${want}`, () => {
    const transcript = new ClientTranscript(1000);
    transcript.said(line, true);
    assert.deepEqual(transcript.take().lines, [want]);
  });

test('of a long dialogue the end is kept; what was taken is gone', () => {
  const transcript = new ClientTranscript(40);
  for (const number of [1, 2, 3, 4, 5]) transcript.heard(`250 line number ${number}`);
  assert.deepEqual(transcript.take().lines, ['In:  250 line number 5']);
  assert.deepEqual(transcript.take().lines, []);
});
