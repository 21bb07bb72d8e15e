import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Input } from './input.ts';

type Read = [text: string, fate: string, bare: boolean];

function readAll(limit: number, policed: boolean, pieces: readonly string[]): Read[] {
  const input = new Input(limit, policed);
  const reads: Read[] = [];
  for (const piece of pieces) {
    input.push(Buffer.from(piece, 'latin1'));
    for (let line = input.line(); line !== undefined; line = input.line()) reads.push([line, input.fate, input.bareNewline]);
  }
  return reads;
}

const whole = (text: string, bare = false): Read => [text, 'whole', bare];

for (const [name, policed, pieces, want] of [
  ['one line', true, ['NOOP\r\n'], [whole('NOOP')]],
  ['two lines at once', true, ['A\r\nB\r\n'], [whole('A'), whole('B')]],
  ['a line in pieces', true, ['N', 'OO', 'P\r', '\n'], [whole('NOOP')]],
  ['an unfinished line', true, ['NOOP\r'], []],
  ['a bare newline', true, ['NOOP\n'], [whole('NOOP', true)]],
  ['a bare newline in a piece of its own', true, ['NOOP', '\n'], [whole('NOOP', true)]],
  ['an empty line with a bare newline', true, ['\n'], [whole('', true)]],
  ['one CR is taken away', true, ['A\r\r\n'], [whole('A\r')]],
  ['all CR are taken away', false, ['A\r\r\r\n'], [whole('A')]],
  ['bare newlines are not told', false, ['A\n'], [whole('A')]],
  ['the longest line with CR LF', true, ['1234567\r\n'], [whole('1234567')]],
  ['the longest line with LF', true, ['1234567\n'], [whole('1234567', true)]],
  ['the CR of the longest line first', true, ['1234567\r', '\n'], [whole('1234567')]],
  ['one char too many', true, ['12345678\r\nA\r\n'], [['12345678', 'too-long', false], whole('A')]],
  ['a CR too many that is no end', true, ['1234567\rx\r\nA\r\n'], [['1234567\r', 'too-long', false], whole('A')]],
  ['twice as long', true, ['123456781234567\nA\r\n'], [['12345678', 'too-long', false], whole('A')]],
  ['more than twice as long', true, ['1234567812345678'], [['12345678', 'far-too-long', false]]],
  ['more than twice as long, in pieces', true, [...'1234567812345678'], [['12345678', 'far-too-long', false]]],
  ['bytes are chars', true, ['\x00\xff\xa0\r\n'], [whole('\x00\xff\xa0')]],
] as const) {
  test(`lines of at most 8: ${name}`, () => assert.deepEqual(readAll(8, policed, pieces), want));
}

test('many small pieces become few', () => {
  const input = new Input(100, true);
  for (let count = 0; count < 50_000; count++) input.push(Buffer.from([count & 0xff]));
  let pieces = 0;
  let read = 0;
  for (let head = input.peek(); head !== undefined; head = input.peek()) {
    for (const byte of head) assert.equal(byte, read++ & 0xff);
    input.use(head.length);
    pieces++;
  }
  assert.equal(read, 50_000);
  assert.ok(pieces < 40, `${pieces} pieces`);
});

test('what is peeked is not copied, and used in parts', () => {
  const input = new Input(100, true);
  const bytes = Buffer.from('0123456789');
  input.push(bytes);
  assert.equal(input.peek(), bytes);
  assert.equal(input.peek(4)!.buffer, bytes.buffer);
  input.use(4);
  assert.equal(input.peek(3)!.toString(), '456');
  assert.equal(input.size, 6);
  input.use(6);
  assert.equal(input.peek(), undefined);
});
