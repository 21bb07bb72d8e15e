import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeaderPart } from './header-part.ts';
import { verpSender } from '../../message/verp.ts';
import { wrap } from './wrap.ts';

const long = 'w'.repeat(90);
for (const [name, text, want] of [
  ['a short line', 'one two', ['one two']],
  ['nothing', '', ['']],
  ['blanks inside stay', 'a  b', ['a  b']],
  ['blanks at the end go', 'a b  ', ['a b']],
  ['79 characters fit', `${'a'.repeat(39)} ${'b'.repeat(39)}`, [`${'a'.repeat(39)} ${'b'.repeat(39)}`]],
  ['80 do not', `${'a'.repeat(40)} ${'b'.repeat(39)}`, ['a'.repeat(40), `    ${'b'.repeat(39)}`]],
  ['a long word stays whole', `x ${long} y`, ['x', `    ${long}`, '    y']],
  ['a long word alone', long, [long]],
  ['later lines are shorter by their indent', `a ${'b'.repeat(80)} ${'c'.repeat(37)} ${'d'.repeat(37)} e`, ['a', `    ${'b'.repeat(80)}`, `    ${'c'.repeat(37)} ${'d'.repeat(37)}`, '    e']],
  ['tabs part words too', `${'a'.repeat(50)}\t${'b'.repeat(50)}`, ['a'.repeat(50), `    ${'b'.repeat(50)}`]],
] as const) test(`wrap: ${name}`, () => assert.deepEqual(wrap(text), want));

function headerOf(text: string, cuts: readonly number[] = []): string {
  const part = new HeaderPart();
  const bytes = Buffer.from(text, 'latin1');
  let header = '';
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b).concat(bytes.length)) {
    header += part.push(bytes.subarray(from, Math.min(cut, bytes.length))).toString('latin1');
    from = Math.min(cut, bytes.length);
  }
  return header + part.end().toString('latin1');
}

for (const [name, text, want] of [
  ['ends at the empty line', 'A: 1\nB: 2\n\nC: 3\n', 'A: 1\nB: 2\n'],
  ['ends at what is no header', 'A: 1\nhello\nB: 2\n', 'A: 1\n'],
  ['keeps continuation lines', 'A: 1\n 2\n\t3\n\n', 'A: 1\n 2\n\t3\n'],
  ['takes blanks before the colon', 'A \t: 1\n\n', 'A \t: 1\n'],
  ['takes no eight-bit names', 'A: 1\n\xc3: 2\n', 'A: 1\n'],
  ['takes a last line without end', 'A: 1\nB: 2', 'A: 1\nB: 2'],
  ['may be empty', '\nA: 1\n', ''],
  ['keeps a long line whole', `A: ${'x'.repeat(200_000)}\nB: 2\n\nbody`, `A: ${'x'.repeat(200_000)}\nB: 2\n`],
  ['ends at a long line that is none', `A: 1\n${'x'.repeat(200_000)}: 2\nB: 2\n`.replace(': 2', ' 2'), 'A: 1\n'],
] as const) {
  test(`the header of a message ${name}`, () => {
    assert.equal(headerOf(text), want);
    assert.equal(headerOf(text, [1, 3, 6, 70_000, 140_000]), want);
  });
}

test('the header does not depend on how the content is cut', () => {
  const piece = fc.constantFrom('A: 1\n', ' more\n', 'B:\n', 'no header\n', '\n', 'C', ': x', '\t');
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), fc.array(fc.nat(60), { maxLength: 6 }), (pieces, cuts) => {
    const text = pieces.join('');
    assert.equal(headerOf(text, cuts), headerOf(text));
  }));
});

for (const [sender, recipient, want] of [
  ['list@example.org', 'joe@example.net', 'list+joe=example.net@example.org'],
  ['list', 'joe@example.net', 'list+joe=example.net'],
  ['list@example.org', 'joe', 'list+joe@example.org'],
  ['list@example.org', 'a@b@c', 'list+a@b=c@example.org'],
] as const) test(`verp: ${sender} to ${recipient}`, () => assert.equal(verpSender(sender, recipient, '+='), want));
