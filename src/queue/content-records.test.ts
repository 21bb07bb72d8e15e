import test from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { recordText, recordType } from '../message/record.ts';
import { encodeRecord } from '../message/record.ts';
import { recordsOf } from '../message/record-reader.ts';
import { ContentRecords, recordsFromContent } from './content-records.ts';
import { ContentDecoder } from './content-decoder.ts';

function shown(records: Buffer[]): string[] {
  const list: string[] = [];
  for (const step of recordsOf(Buffer.concat([...records, encodeRecord(recordType.end)]))) {
    assert.equal(step.kind, 'record');
    if (step.kind === 'record' && step.record.type !== recordType.end)
      list.push(String.fromCharCode(step.record.type) + step.record.data.toString('latin1'));
  }
  return list;
}

for (const [name, input, limit, want] of [
  ['nothing', '', 10, []],
  ['lines', 'a\r\n\r\nb\r\n', 10, ['Na', 'N', 'Nb']],
  ['no line end at the end', 'a\r\nb', 10, ['Na', 'Nb']],
  ['bare LF', 'a\nb\r\n', 10, ['Na', 'Nb']],
  ['one CR goes, others stay', 'a\r\r\nb\rc\r\n', 10, ['Na\r', 'Nb\rc']],
  ['CR at the end', 'a\r', 10, ['Na\r']],
  ['one short of the limit', '123456789\r\n', 10, ['N123456789']],
  ['just the limit, as Postfix cuts it', '1234567890\r\n', 10, ['L1234567890', 'N']],
  ['just the limit, without line end', '1234567890', 10, ['L1234567890', 'N']],
  ['beyond the limit', '12345678901\r\n', 10, ['L1234567890', 'N1']],
  ['three pieces', '1234567890abcdefghijxyz\r\nq\r\n', 10, ['L1234567890', 'Labcdefghij', 'Nxyz', 'Nq']],
  ['any byte', '\x00\xff\x80\r\n', 10, ['N\x00\xff\x80']],
  ['long head', `${'x'.repeat(130)}\r\n`, 2048, [`N${'x'.repeat(130)}`]],
] as const) {
  test(`content records: ${name}`, () => {
    assert.deepEqual(shown(recordsFromContent(Buffer.from(input, 'latin1'), { lineEnd: 'crlf', lineLimit: limit })), [...want]);
  });
}

test('lf mode leaves CR alone', () => {
  assert.deepEqual(shown(recordsFromContent(Buffer.from('a\r\nb\n'), { lineEnd: 'lf' })), ['Na\r', 'Nb']);
});

test('an open end stays open', () => {
  const records = new ContentRecords({ lineEnd: 'lf' });
  assert.deepEqual(shown([records.records(Buffer.from('a\nbc')), records.end(true)]), ['Na', 'Lbc']);
});

/** Cut into pieces at the given places. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((place, at) => bytes.subarray(place, places[at] ?? bytes.length));
}

const text = fc.array(fc.constantFrom('\r\n', '\n', '\r', 'a', '.', 'xyz', '\0', '\xff', 'y'.repeat(200)), { maxLength: 60 }).map((parts) => parts.join(''));
const cuts = fc.array(fc.nat(), { maxLength: 12 });

test('records are the same however the content is cut', () => {
  fc.assert(fc.property(text, cuts, fc.integer({ min: 1, max: 40 }), fc.constantFrom('crlf', 'lf'), (content, places, lineLimit, lineEnd) => {
    const bytes = Buffer.from(content, 'latin1');
    const whole = new ContentRecords({ lineEnd, lineLimit });
    const cut = new ContentRecords({ lineEnd, lineLimit });
    const want = Buffer.concat([whole.records(bytes), whole.end()]);
    const got = Buffer.concat([...pieces(bytes, places).map((piece) => Buffer.from(cut.records(piece))), cut.end()]);
    assert.deepEqual(got, want);
    assert.equal(cut.length, whole.length);
  }));
});

/** The same by another way: line by line. */
function oneByOne(content: string, lineLimit: number, replaceStray: boolean): string[] {
  const lines = content.split('\n');
  const last = lines.pop()!;
  const list = lines.map((line) => line.replace(/\r$/, ''));
  const kept = [...list, ...(last === '' ? [] : [last])].map((line) => (replaceStray ? line.replaceAll('\r', ' ') : line));
  return kept.flatMap((line) => {
    const found: string[] = [];
    for (; line.length >= lineLimit; line = line.slice(lineLimit)) found.push(`L${line.slice(0, lineLimit)}`);
    return [...found, `N${line}`];
  });
}

test('records are those of the lines, one by one', () => {
  fc.assert(fc.property(text, cuts, fc.integer({ min: 1, max: 300 }), fc.boolean(), (content, places, lineLimit, replaceStray) => {
    const records = new ContentRecords({ lineEnd: 'crlf', lineLimit, replaceStray });
    const got = [...pieces(Buffer.from(content, 'latin1'), places).map((piece) => Buffer.from(records.records(piece))), records.end()];
    assert.deepEqual(shown(got), oneByOne(content, lineLimit, replaceStray));
  }), { numRuns: 500 });
});

test('more short lines than are copied at once', () => {
  const line = 'abc\r\n';
  const records = new ContentRecords({ lineEnd: 'crlf' });
  assert.deepEqual(shown([Buffer.from(records.records(Buffer.from(line.repeat(10_000))))]), Array(10_000).fill('Nabc'));
  assert.equal(records.length, 40_000);
});

test('content comes back from its records, however they are cut', () => {
  fc.assert(fc.property(text, cuts, fc.integer({ min: 1, max: 300 }), fc.constantFrom('\n', '\r\n'), (content, places, lineLimit, lineEnd) => {
    const lines = Buffer.from(content.replaceAll('\r\n', '\n'), 'latin1');
    const records = [...recordsFromContent(lines, { lineEnd: 'lf', lineLimit }), encodeRecord(recordType.padding, 'x'.repeat(9)), encodeRecord(recordType.extracted), Buffer.from('rest')];
    const decoder = new ContentDecoder(lineEnd);
    const out = pieces(Buffer.concat(records), places).map((piece) => decoder.decode(piece));
    assert.equal(decoder.trouble, undefined);
    assert.ok(decoder.done);
    const wanted = content.replaceAll('\r\n', '\n');
    const ended = wanted === '' || wanted.endsWith('\n') ? wanted : `${wanted}\n`;
    assert.equal(Buffer.concat(out).toString('latin1'), ended.replaceAll('\n', lineEnd));
  }));
});

test('any bytes are decoded or refused, never thrown at', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), cuts, (bytes, places) => {
    const decoder = new ContentDecoder('\r\n');
    for (const piece of pieces(Buffer.from(bytes), places)) assert.ok(decoder.decode(piece).length <= piece.length + 2);
  }));
});

for (const [name, bytes, trouble] of [
  ['a record that does not belong', encodeRecord(recordType.recipient, 'joe'), /unexpected record type 'R'/],
  ['too many length bytes', Buffer.from([recordType.normal, 0x81, 0x81, 0x81, 0x81, 1]), /too many length bits/],
  ['a pointer without a number', encodeRecord(recordType.pointer, 'x1'), /malformed pointer/],
] as const) {
  test(`content decoder: ${name}`, () => {
    const decoder = new ContentDecoder();
    decoder.decode(bytes);
    assert.match(decoder.trouble ?? '', trouble);
  });
}

test('a pointer is followed by the caller; a loop ends', () => {
  const decoder = new ContentDecoder();
  const loop = encodeRecord(recordType.pointer, '            100');
  decoder.decode(encodeRecord(recordType.pointer, '              0'));
  assert.equal(decoder.seek, undefined);
  for (let round = 0; round < 10_002; round++) {
    decoder.decode(loop);
    if (round < 3) assert.equal(decoder.seek, 100);
  }
  assert.equal(decoder.trouble, 'too many reverse jump records');
});

for (const [name, chunks, lineEnd, want] of [
  ['inside a line', ['a\rb\r\r\n'], 'crlf', 'a b \n'],
  ['before LF where LF ends lines', ['a\r\n'], 'lf', 'a \n'],
  ['at the end of a chunk, and no line end', ['a\r', 'b\r\n'], 'crlf', 'a b\n'],
  ['at the end of a chunk, and a line end', ['a\r', '\nb\r\n'], 'crlf', 'a\nb\n'],
  ['at the end of everything', ['a\r'], 'crlf', 'a \n'],
] as const) {
  test(`a stray CR becomes a space: ${name}`, () => {
    const records = new ContentRecords({ lineEnd, replaceStray: true });
    const bytes = Buffer.concat([...chunks.map((chunk) => Buffer.from(records.records(Buffer.from(chunk, 'latin1')))), records.end(), encodeRecord(recordType.end)]);
    let text = '';
    for (const step of recordsOf(bytes)) if (step.kind === 'record' && step.record.type === recordType.normal) text += `${recordText(step.record)}\n`;
    assert.equal(text, want);
  });
}
