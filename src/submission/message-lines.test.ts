import assert from 'node:assert/strict';
import test from 'node:test';
import { HeaderRecipients } from './header-recipients.ts';
import { MessageLines, type LineRules } from './message-lines.ts';

const rules: LineRules = { limit: 10, fix: 'always', endsAtDot: true };

/** Pieces; one that does not end its line has a "+" behind it. In chunks of `size` bytes. */
function pieces(text: string, changes: Partial<LineRules>, size: number): string[] {
  const found: string[] = [];
  const lines = new MessageLines({ ...rules, ...changes }, (piece, last) => void found.push(piece.toString('latin1') + (last ? '' : '+')));
  for (let at = 0; at < text.length; at += size) lines.push(Buffer.from(text.slice(at, at + size), 'latin1'));
  lines.end();
  return found;
}

for (const [name, text, changes, want] of [
  ['lines', 'a\n\nb\n', {}, ['a', '', 'b']],
  ['a last line without its end', 'a\nb', {}, ['a', 'b+']],
  ['nothing', '', {}, []],
  ['CR LF', 'a\r\nb\r\r\n\r\n', {}, ['a', 'b', '']],
  ['CR LF that must stay', 'a\r\nb\r\n', { fix: 'never' }, ['a\r', 'b\r']],
  ['strict: the first line has CR', 'a\r\nb\r\nc\n', { fix: 'strict' }, ['a', 'b', 'c']],
  ['strict: the first line has none', 'a\nb\r\n', { fix: 'strict' }, ['a', 'b\r']],
  ['a dot ends the message', 'a\n.\nb\n', {}, ['a']],
  ['a dot with CR LF', 'a\r\n.\r\nb\r\n', {}, ['a']],
  ['a dot without a line end', 'a\n.', {}, ['a']],
  ['a dot that is only a dot', 'a\n.\nb\n', { endsAtDot: false }, ['a', '.', 'b']],
  ['two dots', '..\n', {}, ['..']],
  ['mailbox separators in front', 'From me Mon\n>From x\n>>From y\nFrom: a\nFrom b\n', { limit: 50 }, ['From: a', 'From b']],
  ['separators from SMTP', 'From me\r\nSubject: x\r\n', { limit: 50, separator: 'rename' }, ['X-Mailbox-Line: From me', 'Subject: x']],
  ['a long line', '0123456789abc\nd\n', {}, ['0123456789+', 'abc', 'd']],
  ['a line of just the limit', '0123456789\nd\n', {}, ['0123456789+', '', 'd']],
  ['a dot behind a cut', '0123456789.\nd\n', {}, ['0123456789+', '.', 'd']],
  ['any byte', '\0\xff\x80\n', {}, ['\0\xff\x80']],
] as const) {
  test(`message lines: ${name}`, () => {
    for (const size of [1, 2, 3, 7, 1000]) assert.deepEqual(pieces(text, changes, size), want, `chunks of ${size}`);
  });
}

function extracted(text: string, headerLimit = 1000): { recipients: readonly string[]; out: string; trouble: string | undefined } {
  let out = '';
  const header = new HeaderRecipients((piece, last) => { out += piece.toString('latin1') + (last ? '\n' : ''); }, 50, headerLimit);
  for (const line of text.split('\n').slice(0, -1)) header.line(Buffer.from(line, 'latin1'), true);
  header.end();
  return { recipients: header.recipients, out, trouble: header.trouble };
}

for (const [name, text, want] of [
  ['To, Cc and Bcc', 'To: a@x, "b c" <d@x>\nCc: e\nBcc: f@x\n\nTo: not@x\n', ['a@x', 'd@x', 'e', 'f@x']],
  ['a group', 'To: friends: a@x, b@x;, c@x\n\n', ['a@x', 'b@x', 'c@x']],
  ['a Resent- block stands for itself', 'To: a\nResent-To: b\nCc: c\nResent-Bcc: d\n\n', ['b', 'd']],
  ['folded', 'To: a@x,\n\tb@x\n  , c@x\n\n', ['a@x', 'b@x', 'c@x']],
  ['capitals', 'TO: a\nbcc : b\n\n', ['a', 'b']],
  ['names that are no recipients', 'Reply-To: a\nApparently-To: b\nX-To: c\n\n', []],
  ['no header at all', 'hello\n', []],
  ['a part\'s header does not count', 'Content-Type: multipart/mixed; boundary=b\nTo: a\n\n--b\nTo: c\n\n--b--\n', ['a']],
] as const) {
  test(`recipients: ${name}`, () => assert.deepEqual(extracted(text).recipients, want));
}

test('the message passes unchanged', () => {
  const text = 'Subject:  x \nTo: a,\n\tb\n\nbody\n.\n \n';
  assert.equal(extracted(text).out, text);
  assert.equal(extracted('To: a\nbody follows\n').out, 'To: a\n\nbody follows\n');
});

test('a header that never ends', () => {
  assert.equal(extracted(`To: a\n${' x,\n'.repeat(1000)}\n`).trouble, 'message header length exceeds safety limit');
});
