/** Lines that begin with a dot, from records to the wire: what the decoder knows of them is enough for the encoder, wherever records and pieces are cut. */
import test from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encodeRecord, recordType } from '../message/record.ts';
import { ContentEncoder, wireForm } from '../protocol/smtp-client/content.ts';
import { ContentDecoder } from './content-decoder.ts';

interface Sample { readonly type: 'N' | 'L' | 'w'; readonly text: string }

const part = fc.constantFrom('.', '..', 'a', 'N', '\r', '\0', 'y'.repeat(40), 'y'.repeat(125), 'z'.repeat(700));
const payload = fc.array(part, { maxLength: 3 }).map((parts) => parts.join(''));
const types = { N: recordType.normal, L: recordType.partial, w: recordType.padding } as const;
const record = fc.record({ type: fc.constantFrom<Sample['type']>('N', 'N', 'N', 'N', 'L', 'w'), text: payload });
/** Lines in a row, more than are looked through at once. */
const run = fc.tuple(fc.integer({ min: 1, max: 400 }), fc.constantFrom('', 'a', 'x'.repeat(70), 'x'.repeat(127)), fc.constantFrom('', '.', 'x.'))
  .map(([count, text, last]): Sample[] => [...Array<Sample>(count).fill({ type: 'N', text }), { type: 'N', text: last }]);
const samples = fc.array(fc.oneof({ arbitrary: record.map((one) => [one]), weight: 6 }, { arbitrary: run, weight: 1 }), { maxLength: 25 }).map((lists) => lists.flat());
const cuts = fc.array(fc.nat(), { maxLength: 12 });

function imageOf(records: readonly Sample[]): Buffer {
  return Buffer.concat([...records.map(({ type, text }) => encodeRecord(types[type], Buffer.from(text, 'latin1'))), encodeRecord(recordType.extracted)]);
}

function textOf(records: readonly Sample[]): string {
  return records.map(({ type, text }) => (type === 'w' ? '' : type === 'N' ? `${text}\n` : text)).join('');
}

/** RFC 5321 section 4.5.2, line by line. */
function stuffed(text: string): string {
  if (text === '') return '';
  const lines = (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
  return lines.map((line) => `${line.startsWith('.') ? '.' : ''}${line}\r\n`).join('');
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((one, other) => one - other);
  return [0, ...sorted].map((place, at) => bytes.subarray(place, sorted[at] ?? bytes.length));
}

for (const limit of [0, 998, 60] as const) {
  test(`content in pieces, with the dots that are wanted and no others${limit > 0 ? `; lines of at most ${limit}` : ''}`, () => {
    fc.assert(fc.property(samples, cuts, (records, places) => {
      const decoder = new ContentDecoder('\r\n');
      const [knowing, searching] = [new ContentEncoder(limit), new ContentEncoder(limit)];
      const [known, searched]: [Buffer[], Buffer[]] = [[], []];
      for (const piece of cut(imageOf(records), places)) {
        const bytes = decoder.decode(piece);
        known.push(...knowing.wire(bytes, !decoder.hasDots));
        searched.push(...searching.wire(bytes));
      }
      const [got, want] = [known, searched].map((list) => Buffer.concat(list).toString('latin1'));
      assert.equal(got, want);
      assert.equal(knowing.end(), searching.end());
      assert.equal(knowing.broken, searching.broken);
      if (limit === 0) assert.equal(got + knowing.end(), stuffed(textOf(records)));
    }), { numRuns: 600 });
  });
}

test('content in one piece, with the dots that are wanted and no others', () => {
  fc.assert(fc.property(samples, (records) => {
    const decoder = new ContentDecoder('\r\n');
    const bytes = decoder.decode(imageOf(records));
    assert.equal(Buffer.concat(wireForm(bytes, 0, !decoder.hasDots)!).toString('latin1'), stuffed(textOf(records)));
    assert.deepEqual(wireForm(bytes, 998, !decoder.hasDots)?.map(String), wireForm(bytes, 998)?.map(String));
  }), { numRuns: 600 });
});

test('nothing is looked for where no record begins with a dot', () => {
  fc.assert(fc.property(samples, cuts, (records, places) => {
    for (const lineEnd of ['\n', '\r\n'] as const) {
      const decoder = new ContentDecoder(lineEnd);
      const whole = decoder.decode(imageOf(records));
      assert.equal(decoder.hasDots, records.some(({ type, text }) => type !== 'w' && text.startsWith('.')));
      const another = new ContentDecoder(lineEnd);
      assert.deepEqual(Buffer.concat(cut(imageOf(records), places).map((piece) => another.decode(piece))), whole);
      assert.ok(another.hasDots || !decoder.hasDots);
    }
  }));
});
