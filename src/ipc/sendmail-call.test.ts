import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { callerWords, encodeFrame, FrameReader, frameLimit } from './sendmail-call.ts';

test('frames come out as they went in, however the bytes are cut', () => {
  const frame = fc.record({ kind: fc.constantFrom('a', 'd', 'e', 'x'), payload: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)) });
  fc.assert(fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }), (frames, cuts) => {
    const bytes = Buffer.concat(frames.map(({ kind, payload }) => encodeFrame(kind, payload)));
    const reader = new FrameReader();
    const found = [];
    for (let at = 0, turn = 0; at < bytes.length; turn++) {
      const end = at + cuts[turn % cuts.length]!;
      reader.feed(bytes.subarray(at, end));
      at = end;
      for (let next = reader.next(); next !== undefined; next = reader.next()) found.push({ kind: next.kind, payload: Buffer.from(next.payload) });
    }
    assert.deepEqual(found, frames.map(({ kind, payload }) => ({ kind, payload })));
  }));
});

test('a frame longer than any may be is refused before its bytes are gathered', () => {
  const head = Buffer.from('d0000');
  head.writeUInt32BE(frameLimit + 1, 1);
  const reader = new FrameReader();
  reader.feed(head);
  assert.throws(() => reader.next(), /frame of 524289 bytes/);
});

for (const [text, want] of [
  ['\0', { name: undefined, argv: [] }],
  ['NAME=\0', { name: '', argv: [] }],
  ['NAME=Joe\0-f\0\0a@x\0', { name: 'Joe', argv: ['-f', '', 'a@x'] }],
  ['\0\xff\0', { name: undefined, argv: ['\xff'] }],
  ['', undefined],
  ['NAME=Joe', undefined],
  ['\0word', undefined],
  ['word\0', undefined],
] as const) test(`words of a caller: ${JSON.stringify(text)}`, () => assert.deepEqual(callerWords(Buffer.from(text, 'latin1')), want));
