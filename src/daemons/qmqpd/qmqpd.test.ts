import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { cleanupStatus } from '../../ipc/cleanup.ts';
import { contentPieces } from './content.ts';
import { readSender, verpTrouble } from './sender.ts';
import { answerTo } from './session.ts';

const contents: readonly (readonly [title: string, text: string, expected: string])[] = [
  ['nothing', '', ''],
  ['a message', 'Subject: x\n\ny\n', 'Subject: x\n\ny\n'],
  ['no end of the last line', 'Subject: x\n\ny', 'Subject: x\n\ny\n'],
  ['mailbox lines', 'From ann\n>>From bob\nSubject: x\n', 'X-Mailbox-Line: From ann\nX-Mailbox-Line: >>From bob\nSubject: x\n'],
  ['nothing but a mailbox line', 'From ann', 'X-Mailbox-Line: From ann\n'],
  ['a blank in front', ' x\n', '\n x\n'],
  ['a blank behind a mailbox line', 'From ann\n\tx\n', 'X-Mailbox-Line: From ann\n\n\tx\n'],
  ['Fromage', 'Fromage: x\n', 'Fromage: x\n'],
];
for (const [title, text, expected] of contents) {
  test(`content: ${title}, however it is cut`, () => {
    fc.assert(fc.property(fc.array(fc.nat(text.length), { maxLength: 6 }), (cuts) => {
      const places = [0, ...cuts.sort((one, other) => one - other), text.length];
      const pieces = places.slice(1).map((to, at) => Buffer.from(text.slice(places[at], to)));
      assert.equal(Buffer.concat(contentPieces(pieces)).toString(), expected);
    }));
  });
}

test('a hundred thousand mailbox lines take no time worth speaking of', () => {
  const text = Buffer.from('From x\n'.repeat(100_000));
  assert.equal(contentPieces([text]).length, 200_000);
});

const senders: readonly (readonly [text: string, address: string, verp: string | undefined])[] = [
  ['ann@home.test', 'ann@home.test', undefined], ['', '', undefined], ['list-@home.test-@[]', 'list@home.test', '-='], ['list+@home.test-@[]', 'list@home.test', '+='],
  ['-@home.test-@[]', '-@home.test-@[]', undefined], ['a-@-@[]', 'a-@-@[]', undefined], ['-@[]', '-@[]', undefined], ['a-@b-@[]', 'a@b', '-='],
];
for (const [text, address, verp] of senders) test(`sender ${text}`, () => assert.deepEqual(readSender(text), { address, verp }));

test('VERP delimiters have to be allowed', () => {
  assert.equal(verpTrouble('-=', '-=+'), undefined);
  assert.equal(verpTrouble('x=', '-=+'), 'Invalid VERP delimiters: "x=". Need two characters from "-=+"');
});

const answers: readonly (readonly [status: number, reason: string, answer: readonly string[]])[] = [
  [cleanupStatus.ok, '', ['K', 'Ok: queued as AB12']],
  [cleanupStatus.defer | cleanupStatus.size, '4.7.1 later', ['Z', 'Error: 4.7.1 later']],
  [cleanupStatus.bad, '', ['Z', 'Error: internal error 1']],
  [cleanupStatus.size | cleanupStatus.write, '', ['D', 'Error: message too large']],
  [cleanupStatus.hops, '', ['D', 'Error: too many hops']],
  [cleanupStatus.contents, '5.7.1 no', ['D', 'Error: 5.7.1 no']],
  [cleanupStatus.contents, '4.7.1 not now', ['Z', 'Error: 4.7.1 not now']],
  [cleanupStatus.write, '', ['Z', 'Error: queue file write error']],
  [cleanupStatus.noRecipients, '', ['D', 'Error: no recipients specified']],
  [cleanupStatus.denied, '', ['Z', 'Error: internal error 512']],
];
for (const [status, reason, answer] of answers) test(`cleanup says ${status} ${reason}`, () => assert.deepEqual(answerTo({ status, reason }, 'AB12'), answer));
