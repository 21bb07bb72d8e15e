import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { MimeOptions, MimeProblem } from './mime.ts';
import { HeaderTokenizer, parseContentType, parseTransferEncoding } from './mime-header.ts';
import { MimeMachine } from './mime.ts';
import { QuotedPrintableLines } from './quoted-printable.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const all: ReadonlySet<MimeProblem> = new Set<MimeProblem>(['nesting', 'long-header', '8bit-header', '8bit-body', 'encoding-domain', 'no-empty-line']);

/** What the machine says of these lines; "+" at the end of a line: a piece, more of it follows. */
function story(lines: readonly string[], options: MimeOptions = {}): string[] {
  const told: string[] = [];
  const machine = new MimeMachine({
    header: (place, kind, field) => told.push(`${place} ${kind?.name ?? '-'} ${field}`),
    headersEnd: () => told.push('headers end'),
    body: (text, last, offset) => told.push(`body ${offset} ${text.toString('latin1')}${last ? '' : '+'}`),
    bodyEnd: () => told.push('end'),
    problem: (kind, text) => told.push(`problem ${kind} ${text}`),
  }, { report: all, ...options });
  for (const line of lines) machine.line(bytes(line.replace(/\+$/, '')), !line.endsWith('+'));
  machine.end();
  return told;
}

// The machine tells the same of 150,000 random messages as mime_state_update() of Postfix 3.12; here are its rules by hand.
for (const [name, lines, options, want] of [
  ['headers and a body', ['Subject : x', ' y', 'X-A: 1', '', 'b', 'c'], {}, ['primary - Subject: x\n y', 'primary - X-A: 1', 'headers end', 'body 0 ', 'body 1 b', 'body 3 c', 'end']],
  ['no body', ['To: x'], {}, ['primary To To: x', 'headers end', 'end']],
  ['no headers', ['', 'b'], {}, ['headers end', 'body 0 ', 'body 1 b', 'end']],
  ['a body without an empty line', ['To: x', 'body'], {}, ['primary To To: x', 'problem no-empty-line body', 'headers end', 'body 0 ', 'body 0 body', 'end']],
  ['lines in pieces', ['Sub+', 'ject: x', 'To: +', 'y', '', 'b+', 'c'], {}, ['problem no-empty-line Sub', 'headers end', 'body 0 ', 'body 0 Sub+', 'body 4 ject: x', 'body 12 To: +', 'body 17 y', 'body 19 ', 'body 20 b+', 'body 22 c', 'end']],
  ['a header in pieces', ['To: +', 'y', '', 'b'], {}, ['primary To To: y', 'headers end', 'body 0 ', 'body 1 b', 'end']],
  ['parts', ['Content-Type: multipart/mixed; boundary="b 1"', '', 'pro', '--b 1', 'Content-Type: text/plain', '', 't', '--b 1--', 'epi'], {}, [
    'primary Content-Type Content-Type: multipart/mixed; boundary="b 1"', 'headers end', 'body 0 ', 'body 1 pro', 'body 5 --b 1', 'mime Content-Type Content-Type: text/plain', 'body 0 ', 'body 1 t', 'body 0 --b 1--', 'body 8 epi', 'end',
  ]],
  ['a message in a digest', ['Content-Type: multipart/digest; boundary=b', '', '--b', '', 'Subject: inner', '', 'x', '--b--'], {}, [
    'primary Content-Type Content-Type: multipart/digest; boundary=b', 'headers end', 'body 0 ', 'body 1 --b', 'body 0 ', 'nested - Subject: inner', 'body 0 ', 'body 1 x', 'body 0 --b--', 'end',
  ]],
  ['an attached message', ['Content-Type: message/rfc822', '', 'Subject: inner', '', 'x'], {}, ['primary Content-Type Content-Type: message/rfc822', 'headers end', 'body 0 ', 'nested - Subject: inner', 'body 0 ', 'body 1 x', 'end']],
  ['the same, MIME not looked at', ['Content-Type: message/rfc822', '', 'Subject: inner'], { plain: true }, ['primary Content-Type Content-Type: message/rfc822', 'headers end', 'body 0 ', 'body 1 Subject: inner', 'end']],
  ['8-bit text that was not announced', ['X: \xe9', 'Y: \xe9', '', '\xe9', '\xe9'], {}, ['problem 8bit-header X: \xe9', 'primary - X: \xe9', 'primary - Y: \xe9', 'headers end', 'body 0 ', 'problem 8bit-body \xe9', 'body 1 \xe9', 'body 3 \xe9', 'end']],
  ['8-bit text that was', ['Content-Transfer-Encoding: 8bit', '', '\xe9'], {}, ['primary Content-Transfer-Encoding Content-Transfer-Encoding: 8bit', 'headers end', 'body 0 ', 'body 1 \xe9', 'end']],
  ['an encoded multipart', ['Content-Type: multipart/mixed', 'Content-Transfer-Encoding: base64', ''], {}, ['primary Content-Type Content-Type: multipart/mixed', 'primary Content-Transfer-Encoding Content-Transfer-Encoding: base64', 'headers end', 'problem encoding-domain base64', 'body 0 ', 'end']],
  ['a header that is too long', ['X: 1234567890', ' more', ' and more', ''], { headerLimit: 15 }, ['problem long-header X: 1234567890\n more', 'primary - X: 1234567890\n more', 'headers end', 'body 0 ', 'end']],
  ['8 to 7 bit', ['Content-Transfer-Encoding: 8bit', 'X: 1', '', 'caf\xe9 =', 'plain '], { downgrade: true }, ['primary - X: 1', 'primary - Content-Transfer-Encoding: quoted-printable', 'headers end', 'body 0 ', 'body 1 caf=E9 =3D', 'body 12 plain=20', 'end']],
] as const) {
  test(name, () => assert.deepEqual(story(lines, options).map((line) => line), want));
}

test('too many boundaries within each other', () => {
  const lines = ['b1', 'b2', 'b3', 'b4'].flatMap((boundary) => [`Content-Type: multipart/mixed; boundary=${boundary}`, '', `--${boundary}`]);
  assert.deepEqual(story(lines, { maximumDepth: 1 }).filter((line) => line.startsWith('problem')), ['problem nesting Content-Type: multipart/mixed; boundary=b4']);
});

test('no lines are lost, and none made up', () => {
  const line = fc.oneof(
    fc.constantFrom('', '--b', '--b--', 'Content-Type: multipart/mixed; boundary=b', 'Content-Type: message/rfc822', 'X: y', ' z', 'text'),
    fc.string({ unit: 'binary-ascii', maxLength: 10 }).map((text) => text.replace(/[\r\n+]/g, '')),
  );
  fc.assert(fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
    const whole = story(lines, { report: new Set() });
    const written = whole.flatMap((each) => {
      const field = /^(?:primary|mime|nested) \S+ ([^]*)$/.exec(each);
      if (field) return field[1]!.split('\n');
      return each.startsWith('body') ? [each.replace(/^body \d+ /, '')] : [];
    });
    const squeezed = (text: string): string => text.replace(/[ \t]+:/, ':');
    assert.deepEqual(written.filter((each) => each !== '').map(squeezed), lines.filter((each) => each !== '').map(squeezed));
  }), { numRuns: 500 });
});

for (const [body, want] of [
  [' text/plain; charset=x', { type: 'text', subtype: 'plain', boundaries: [] }], ['TEXT/html', { type: 'text', subtype: 'other', boundaries: [] }], ['message/(c) RFC822', { type: 'message', subtype: 'rfc822', boundaries: [] }],
  ['multipart/mixed; boundary="a\\"b"; x=y; BOUNDARY=c', { type: 'multipart', subtype: 'other', boundaries: ['a"b', 'c'] }], ['multipart/digest', { type: 'multipart', subtype: 'digest', boundaries: [] }],
  ['image/png', { type: 'other', subtype: 'other', boundaries: [] }], ['"text"/plain', { type: 'other', subtype: 'other', boundaries: [] }], ['', undefined], [' ;x', undefined],
] as const) {
  test(`content type ${JSON.stringify(body)}`, () => assert.deepEqual(parseContentType(body), want));
}

test('transfer encodings', () => {
  assert.deepEqual(parseTransferEncoding(' (c) Base64'), { encoding: 'base64', domain: '7bit' });
  assert.deepEqual(parseTransferEncoding('8bit'), { encoding: '8bit', domain: '8bit' });
  assert.equal(parseTransferEncoding('"8bit"'), undefined);
  assert.equal(parseTransferEncoding('x-uuencode'), undefined);
});

test('tokens of a header', () => {
  const tokenizer = new HeaderTokenizer(' a.b "q \\" \n r" (c (d) \\) e) <x>');
  const seen: string[] = [];
  for (let token = tokenizer.next(); token; token = tokenizer.next()) seen.push(`${token.kind} ${token.text}`);
  assert.deepEqual(seen, ['word a', 'special .', 'word b', 'quoted q " r', 'special <', 'word x', 'special >']);
  assert.equal(new HeaderTokenizer('('.repeat(100_000)).next(), undefined);
});

test('quoted-printable lines can be read back, and none is too long', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (lines) => {
    const out: string[] = [];
    const quoter = new QuotedPrintableLines((line) => out.push(line.toString('latin1')));
    for (const line of lines) quoter.add(Buffer.from(line), true);
    for (const line of out) assert.match(line, /^(?:[\t -<>-~]|=[0-9A-F]{2}){0,76}=?$/);
    for (const line of out) assert.ok(line.length <= 76 && !/[ \t]$/.test(line));
    const text = out.map((line) => (line.endsWith('=') ? line.slice(0, -1) : `${line}\n`)).join('').replace(/=([0-9A-F]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
    assert.equal(text, lines.map((line) => `${Buffer.from(line).toString('latin1')}\n`).join(''));
  }));
});
