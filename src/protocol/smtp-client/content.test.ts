import test from 'node:test';
import assert from 'node:assert/strict';
import { ContentEncoder, wireForm } from './content.ts';

function encode(text: string, limit = 998, step = text.length || 1): string {
  const encoder = new ContentEncoder(limit);
  let out = '';
  for (let at = 0; at < text.length; at += step) out += encoder.encode(Buffer.from(text.slice(at, at + step), 'latin1')).toString('latin1');
  return out + encoder.end();
}

/** With CRLF line ends, none of them cut. */
function encodeWire(text: string, limit: number, step: number): string {
  const encoder = new ContentEncoder(limit);
  const wire = text.replaceAll('\n', '\r\n');
  let out = '';
  for (let at = 0; at < wire.length; ) {
    let end = Math.min(at + step, wire.length);
    if (wire[end - 1] === '\r' && wire[end] === '\n') end++;
    out += Buffer.concat(encoder.wire(Buffer.from(wire.slice(at, end), 'latin1'))).toString('latin1');
    at = end;
  }
  return out + encoder.end();
}

for (const [name, input, want, limit] of [
  ['lines', 'a\nb\n', 'a\r\nb\r\n', 998],
  ['no last line end', 'a\nb', 'a\r\nb\r\n', 998],
  ['nothing', '', '', 998],
  ['dots', '.\n..a\n.b\na.\n', '..\r\n...a\r\n..b\r\na.\r\n', 998],
  ['bare CR passes', 'a\rb\r\n', 'a\rb\r\r\n', 998],
  ['8-bit and NUL pass', '\xe9\0\n', '\xe9\0\r\n', 998],
  ['just full', 'abcde\n', 'abcde\r\n', 5],
  ['one too long', 'abcdef\n', 'abcde\r\n f\r\n', 5],
  ['much too long', 'abcdefghijklm\n', 'abcde\r\n fghi\r\n jklm\r\n', 5],
  ['a dot after a break is no first dot', 'abcde.f\n', 'abcde\r\n .f\r\n', 5],
  ['a doubled dot costs no room', '.abcd\n', '..abcd\r\n', 5],
  ['unlimited', `${'x'.repeat(3000)}\n`, `${'x'.repeat(3000)}\r\n`, 0],
] as const) test(`content: ${name}`, () => {
  const whole = wireForm(Buffer.from(input.replaceAll('\n', '\r\n'), 'latin1'), limit);
  if (limit > 0 && input.split('\n').some((line) => line.length > limit)) assert.equal(whole, undefined);
  else assert.equal(Buffer.concat(whole!).toString('latin1'), want);
  for (const step of [1, 2, 3, 1000]) {
    assert.equal(encode(input, limit, step), want);
    assert.equal(encodeWire(input, limit, step), want);
  }
});

test('content: what needs no change in wire form is not copied', () => {
  const chunk = Buffer.from('one\r\ntwo');
  assert.equal(new ContentEncoder(998).wire(chunk)[0], chunk);
});

test('content in one piece: many dots are one piece, few are copied nowhere', () => {
  const plain = Buffer.from('a\r\nb\r\n');
  assert.deepEqual(wireForm(plain, 998), [plain]);
  assert.equal(wireForm(plain, 998)![0], plain);
  const dots = wireForm(Buffer.from('.\r\n'.repeat(100)), 998)!;
  assert.deepEqual(dots.map(String), ['..\r\n'.repeat(100)]);
});
