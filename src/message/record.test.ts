import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RecordStep } from './record-reader.ts';
import { RecordReader, recordsOf } from './record-reader.ts';
import { RecordWriter } from './record-writer.ts';
import {
  encodeRecord, maximumPayload, parsePointer, parseSize, recordHead, recordLength, recordText, recordType, recordTypeName, renderPointer, renderSize, segmentTypes, typeIn, writeRecordHead,
} from './record.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const show = (step: RecordStep): string => (step.kind === 'record' ? `${String.fromCharCode(step.record.type)}${recordText(step.record)}` : step.kind);

for (const [length, head] of [
  [0, [0]], [1, [1]], [127, [127]], [128, [0x80, 1]], [300, [0xac, 2]], [16383, [0xff, 0x7f]], [16384, [0x80, 0x80, 1]], [2097151, [0xff, 0xff, 0x7f]], [2097152, [0x80, 0x80, 0x80, 1]],
] as const) {
  test(`a payload of ${length} bytes has the length bytes ${head.join(' ')}`, () => {
    const record = encodeRecord(recordType.normal, 'x'.repeat(length));
    assert.deepEqual([...record.subarray(0, 1 + head.length)], [0x4e, ...head]);
    assert.equal(record.length, recordLength(length));
  });
}

test('byte strings are written byte for byte', () => assert.deepEqual(encodeRecord(recordType.sender, '\x00\xe9'), Buffer.from([0x53, 2, 0, 0xe9])));

const records = fc.array(fc.record({ type: fc.integer({ min: 0, max: 255 }), data: fc.uint8Array({ maxLength: 400 }) }), { maxLength: 12 });

/** All steps of a reader that is fed in pieces of `size` bytes. */
function readInPieces(file: Buffer, size: number, maximumLength?: number): RecordStep[] {
  const reader = new RecordReader(maximumLength === undefined ? {} : { maximumLength });
  const steps: RecordStep[] = [];
  for (let at = 0; ; at += size) {
    if (at < file.length) reader.feed(file.subarray(at, at + size));
    else reader.end();
    let step = reader.next();
    for (; step.kind === 'record'; step = reader.next()) steps.push(step);
    if (step.kind === 'more') continue;
    steps.push(step);
    return steps;
  }
}

test('what was written is read, however it is cut', () => {
  fc.assert(fc.property(records, fc.integer({ min: 1, max: 300 }), (written, size) => {
    const writer = new RecordWriter(7);
    const offsets = written.map(({ type, data }) => writer.put(type, Buffer.from(data)));
    const file = Buffer.concat(writer.take());
    assert.deepEqual(file, Buffer.concat(written.map(({ type, data }) => encodeRecord(type, Buffer.from(data)))));
    assert.equal(writer.offset, 7 + file.length);
    const steps = readInPieces(file, size);
    assert.equal(steps.pop()!.kind, 'end-of-input');
    assert.deepEqual(
      steps.map((step) => step.kind === 'record' && { ...step.record, data: [...step.record.data] }),
      written.map(({ type, data }, index) => ({ type, data: [...data], offset: offsets[index]! - 7 })),
    );
  }), { numRuns: 300 });
});

test('any bytes are read to a proper end, and cutting does not change what is read', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (input, size) => {
    const file = Buffer.from(input);
    const pieces = readInPieces(file, size, 1000);
    assert.ok(['end-of-input', 'bad'].includes(pieces.at(-1)!.kind));
    assert.deepEqual(pieces, readInPieces(file, 1000, 1000));
    assert.ok(pieces.length <= file.length / 2 + 1);
    for (const step of recordsOf(file)) assert.ok(step.kind !== 'more');
  }), { numRuns: 1000 });
});

for (const [name, file, reason] of [
  ['five length bytes', 'N\xff\xff\xff\xff\x01', 'too many length bits, record type 78'],
  ['a length that is cut off', 'N\x80', 'unexpected EOF reading length, record type 78'],
  ['a payload that is cut off', 'N\x05abcd', 'unexpected EOF in data, record type 78 length 5'],
  ['a payload that is too long', `N\x90\x4e${'x'.repeat(20)}`, 'illegal length 10000, record type 78'],
] as const) {
  test(`${name} is bad, and stays bad`, () => {
    const reader = new RecordReader({ offset: 10, maximumLength: 9999 });
    reader.feed(bytes(`S\x00${file}`));
    reader.end();
    assert.equal(show(reader.next()), 'S');
    assert.deepEqual(reader.next(), { kind: 'bad', reason, offset: 12 });
    reader.feed(bytes('S\x00'));
    assert.deepEqual(reader.next(), { kind: 'bad', reason, offset: 12 });
  });
}

test('what follows on a connection is left alone', () => {
  const reader = new RecordReader();
  reader.feed(bytes('E\x00status'));
  reader.feed(bytes('\x000\x00'));
  assert.equal(show(reader.next()), 'E');
  assert.equal(reader.rest().toString('latin1'), 'status\x000\x00');
});

test('pointers are followed, padding is skipped', () => {
  const inserted = Buffer.concat([encodeRecord(recordType.normal, 'new'), encodeRecord(recordType.pointer, renderPointer(50))]);
  const start = Buffer.concat([encodeRecord(recordType.padding, '  0'), encodeRecord(recordType.normal, 'one'), encodeRecord(recordType.pointer, renderPointer(60))]);
  const file = Buffer.alloc(60 + inserted.length, 'x');
  start.copy(file);
  Buffer.concat([encodeRecord(recordType.pointer, ' 0'), encodeRecord(recordType.end)]).copy(file, 50);
  inserted.copy(file, 60);
  assert.deepEqual([...recordsOf(file)].map(show), ['None', 'Nnew', 'E']);
});

for (const [name, target, reason] of [
  ['a pointer to itself', 0, undefined],
  ['a loop', 4, 'too many reverse jump records'],
  ['a pointer beyond the end', 9999, undefined],
  ['a malformed pointer', undefined, 'malformed pointer record value: x1'],
] as const) {
  test(`${name} does not hang the reader`, () => {
    const file = Buffer.concat([encodeRecord(recordType.normal, 'ab'), encodeRecord(recordType.pointer, target === undefined ? ' x1' : renderPointer(target))]);
    const last = [...recordsOf(file)].at(-1)!;
    assert.deepEqual(last.kind === 'bad' ? last.reason : undefined, reason);
  });
}

test('a NUL ends the text of a record', () => assert.equal(recordText({ data: bytes('a\xe9\0b') }), 'a\xe9'));

test('the size record', () => {
  const size = { contentSize: 332, dataOffset: 666, recipientCount: 1, queueFlags: 0, contentLength: 332, sendOptions: 0 };
  const text = '            332             666               1               0             332               0';
  assert.equal(renderSize(size), text);
  assert.deepEqual(parseSize(text), size);
  assert.equal(text.length, 95);
});

for (const [text, want] of [
  ['  10 20 3', { contentSize: 10, dataOffset: 20, recipientCount: 3, queueFlags: 0, contentLength: 0, sendOptions: 0 }],
  ['-1 -1 -1 0 0 1', { contentSize: -1, dataOffset: -1, recipientCount: -1, queueFlags: 0, contentLength: 0, sendOptions: 1 }],
  ['5 x', { contentSize: 5, dataOffset: 0, recipientCount: 0, queueFlags: 0, contentLength: 0, sendOptions: 0 }],
  ['', undefined], ['x', undefined], ['99999999999999999999', undefined],
] as const) {
  test(`size record "${text}"`, () => assert.deepEqual(parseSize(text), want));
}

test('pointers', () => {
  assert.equal(renderPointer(), '              0');
  assert.equal(renderPointer(123456), '         123456');
  assert.deepEqual(['              0', ' 17', '', '-1', '1 ', '99999999999999999999'].map(parsePointer), [0, 17, 0, undefined, undefined, undefined]);
});

test('types by name and by segment', () => {
  assert.equal(recordTypeName(recordType.filter), 'content_filter');
  assert.equal(recordTypeName(0x21), 'unknown_record_type');
  assert.equal(typeIn(segmentTypes.envelope, recordType.sender), true);
  assert.equal(typeIn(segmentTypes.submittedEnvelope, recordType.done), false);
});

test('large payloads are handed on as they are, small ones are packed', () => {
  const large = Buffer.alloc(5000, 'a');
  const writer = new RecordWriter();
  writer.put(recordType.normal, 'one');
  writer.attribute('encoding', '8bit');
  writer.put(recordType.normal, large);
  writer.pointer();
  const taken = writer.take();
  assert.equal(taken.length, 3);
  assert.equal(taken[1], large);
  assert.deepEqual(writer.take(), []);
});

test('a payload the format cannot hold is refused', () => {
  assert.throws(() => new RecordWriter().put(recordType.normal, { length: 1 << 28 } as Buffer), RangeError);
});

test('the head of a record, as it was written', () => {
  for (const length of [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, maximumPayload]) {
    const bytes = Buffer.alloc(8, 0xff);
    const data = writeRecordHead(bytes, 1, recordType.recipient, length);
    assert.deepEqual(recordHead(bytes, 1), { type: recordType.recipient, length, data });
    assert.equal(recordHead(bytes.subarray(0, data - 1), 1), undefined);
  }
  assert.equal(recordHead(Buffer.from([82, 0x80, 0x80, 0x80, 0x80, 1]), 0), undefined);
});
