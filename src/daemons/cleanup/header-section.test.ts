import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeaderSection } from './header-section.ts';

interface Parsed { headers: string[]; body: string | undefined; separated: boolean | undefined }

function parse(text: string, cuts: readonly number[] = [], limit = 102400, lineEnd: 'crlf' | 'lf' = 'lf'): Parsed {
  const result: Parsed = { headers: [], body: undefined, separated: undefined };
  const section = new HeaderSection({ lineEnd, limit, replaceStray: true }, {
    header: (header) => result.headers.push(header),
    body: (rest, separated) => Object.assign(result, { body: rest.toString('latin1'), separated }),
  });
  const bytes = Buffer.from(text, 'latin1');
  let open = true;
  let from = 0;
  for (const cut of [...new Set(cuts)].sort((a, b) => a - b).concat(bytes.length)) {
    const piece = bytes.subarray(from, Math.min(cut, bytes.length));
    from = Math.min(cut, bytes.length);
    if (open) open = section.push(piece);
    else result.body += piece.toString('latin1');
  }
  if (open) section.end();
  return result;
}

const cases: [name: string, text: string, want: Parsed][] = [
  ['headers and body', 'A: 1\nB: 2\n\nhello\n', { headers: ['A: 1', 'B: 2'], body: 'hello\n', separated: true }],
  ['continuation lines', 'A: 1\n 2\n\t3\n\nx', { headers: ['A: 1\n 2\n\t3'], body: 'x', separated: true }],
  ['white space before the colon', 'A \t: 1\n\n', { headers: ['A \t: 1'], body: '', separated: true }],
  ['no body', 'A: 1\n', { headers: ['A: 1'], body: '', separated: false }],
  ['no line end at the end', 'A: 1', { headers: ['A: 1'], body: '', separated: false }],
  ['nothing', '', { headers: [], body: '', separated: false }],
  ['a line that is no header ends the section', 'A: 1\nhello\nB: 2\n', { headers: ['A: 1'], body: 'hello\nB: 2\n', separated: false }],
  ['a first line that is no header', 'hello: \nx y\n', { headers: ['hello: '], body: 'x y\n', separated: false }],
  ['a stray CR becomes a space', 'A: 1\r2\n\n', { headers: ['A: 1 2'], body: '', separated: true }],
];
for (const [name, text, want] of cases) test(name, () => assert.deepEqual(parse(text), want));

test('CR LF line ends are taken off', () => {
  assert.deepEqual(parse('A: 1\r\nB: 2\r\n\r\nx\r\n', [], 1000, 'crlf'), { headers: ['A: 1', 'B: 2'], body: 'x\r\n', separated: true });
});

test('a header beyond the limit is cut there, and the next one is whole', () => {
  const text = `A: ${'x'.repeat(50)}\n ${'y'.repeat(50)}\nB: 2\n\nbody`;
  assert.deepEqual(parse(text, [], 20), { headers: [`A: ${'x'.repeat(17)}`, 'B: 2'], body: 'body', separated: true });
});

test('the same headers come out however the message is cut', () => {
  const piece = fc.constantFrom('A: 1\n', ' more\n', 'no header\n', '\n', `L: ${'z'.repeat(40)}\n`, 'z'.repeat(45), 'B:\n');
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(300), { maxLength: 12 }), (pieces, cuts) => {
    const text = pieces.join('');
    assert.deepEqual(parse(text, cuts, 30), parse(text, [], 30));
  }));
});
