import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeRecord } from './record.ts';
import { RecordReader } from './record-reader.ts';

const parted = 0x43;
const plain = 0x4e;

/** What the reader tells, parts of one record joined. */
function read(bytes: Buffer, cuts: readonly number[]): string[] {
  const reader = new RecordReader({ maximumLength: 100, inParts: parted });
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const told: string[] = [];
  let open = '';
  [0, ...places].forEach((place, at) => {
    reader.feed(bytes.subarray(place, places[at] ?? bytes.length));
    for (let step = reader.next(); step.kind === 'record'; step = reader.next()) {
      if (step.record.type === parted) open += step.record.data.toString('latin1');
      else {
        told.push(open, step.record.data.toString('latin1'));
        open = '';
      }
    }
  });
  reader.end();
  assert.equal(reader.next().kind, 'end-of-input');
  return [...told, open];
}

test('records in parts: the same bytes however the stream is cut, and of any length', () => {
  const record = fc.record({ type: fc.constantFrom(parted, plain), length: fc.nat({ max: 90 }), times: fc.integer({ min: 1, max: 5 }) });
  fc.assert(fc.property(fc.array(record, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 10 }), (records, cuts) => {
    const list = records.map(({ type, length, times }, at) => ({ type, text: String.fromCharCode(97 + at).repeat(type === parted ? length * times : length) }));
    const bytes = Buffer.concat(list.map(({ type, text }) => encodeRecord(type, text)));
    const want: string[] = [];
    let open = '';
    for (const { type, text } of list) {
      if (type === parted) open += text;
      else {
        want.push(open, text);
        open = '';
      }
    }
    assert.deepEqual(read(bytes, cuts), [...want, open]);
  }));
});

test('records in parts: an end in the middle is bad', () => {
  const reader = new RecordReader({ inParts: parted });
  reader.feed(encodeRecord(parted, 'abc').subarray(0, 4));
  assert.equal(reader.next().kind, 'record');
  reader.end();
  assert.equal(reader.next().kind, 'bad');
});
