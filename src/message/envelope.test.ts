import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Envelope, EnvelopeRecipient } from './envelope.ts';
import { attributeName, splitAttribute } from './envelope-names.ts';
import { readEnvelope } from './envelope-reader.ts';
import { emptyEnvelope, parseTimeRecord, renderTimeRecord, writeEnvelope, writeExtracted } from './envelope.ts';
import { recordsOf } from './record-reader.ts';
import { RecordWriter } from './record-writer.ts';
import { encodeRecord, recordText, recordType, renderSize } from './record.ts';

const recipient = (address: string, rest: Partial<EnvelopeRecipient> = {}): EnvelopeRecipient => ({
  address, originalAddress: address, dsnOrcpt: '', dsnNotify: 0, offset: 0, done: false, ...rest,
});

/** A whole queue file with an empty body line as its content. */
function queueFile(envelope: Envelope, late: EnvelopeRecipient[] = [], room = false): Buffer {
  const write = (): RecordWriter => {
    const writer = new RecordWriter();
    const dataOffset = writeEnvelope(writer, envelope, envelope.recipients.filter((each) => !late.includes(each)), { room });
    writer.put(recordType.normal, 'Subject: x');
    const contentSize = writer.offset - dataOffset;
    envelope.size = { contentSize, dataOffset, recipientCount: envelope.recipients.length, queueFlags: 0, contentLength: contentSize, sendOptions: 0 };
    writeExtracted(writer, envelope, late, { room });
    return writer;
  };
  write();
  return Buffer.concat(write().take());
}

const list = (file: Buffer): string[] =>
  [...recordsOf(file)].map((step) => (step.kind === 'record' ? `${String.fromCharCode(step.record.type)} ${recordText(step.record)}` : step.kind));

test('records come in the order of smtpd and cleanup', () => {
  const envelope = emptyEnvelope();
  Object.assign(envelope, { arrivalTime: { seconds: 1795229028, microseconds: 12345 }, createTime: 1795229028, sender: 'a@example.org', dsnEnvid: 'x1', dsnRet: 2, warnTime: 1795300000 });
  envelope.attributes = new Map([['log_client_name', 'c.example'], ['rewrite_context', 'remote'], ['encoding', '8bit'], ['message_id', '<1@example.org>']]);
  envelope.recipients = [recipient('b@example.net', { dsnNotify: 6, dsnOrcpt: 'rfc822;b@example.net' }), recipient('c@example.net', { done: true })];
  const file = queueFile(envelope);
  assert.deepEqual(list(file).slice(1), [
    'T 1795229028 12345', 'A create_time=1795229028', 'A rewrite_context=remote', 'A envelope_id=x1', 'A ret_flags=2', 'S a@example.org',
    'A log_client_name=c.example', 'A encoding=8bit', 'W      1795300000',
    'A notify_flags=6', 'A dsn_orig_rcpt=rfc822;b@example.net', 'O b@example.net', 'R b@example.net', 'O c@example.net', 'D c@example.net', 'M ',
    'N Subject: x', 'X ', 'A message_id=<1@example.org>', 'A encoding=8bit', 'E ',
  ]);
  assert.equal(file[envelope.recipients[1]!.offset], recordType.done);
});

test('room for milters: pointers where records may be added or replaced', () => {
  const envelope = Object.assign(emptyEnvelope(), { arrivalTime: { seconds: 1, microseconds: 0 }, sender: '', recipients: [recipient('b@example.net')] });
  const file = queueFile(envelope, [], true);
  const raw = [...recordsOf(file, { followPointers: false })].flatMap((step) => (step.kind === 'record' ? [String.fromCharCode(step.record.type)] : []));
  assert.equal(raw.join(''), 'CTSpORpMNXpE');
  assert.deepEqual(readEnvelope(file).trouble, undefined);
});

const word = fc.string({ unit: fc.constantFrom(...'abc@.;+<> \xe9'.split('')), minLength: 1, maxLength: 8 });
const value = word.map((text) => text.trim() || 'x');
const anyRecipient = fc.record({ address: word, originalAddress: word, dsnOrcpt: value, dsnNotify: fc.constantFrom(0, 1, 2, 6, 14), done: fc.boolean() });
const optional = fc.option(value, { nil: undefined });

test('an envelope survives being written and read', () => {
  fc.assert(fc.property(
    fc.record({ sender: fc.string({ maxLength: 5 }).map((text) => text.replace(/[^!-~]/g, '')), fullName: optional, contentFilter: optional, redirect: optional, dsnEnvid: value, dsnRet: fc.constantFrom(0, 1, 2), warnTime: fc.nat() }),
    fc.array(anyRecipient, { maxLength: 5 }), fc.nat({ max: 5 }), fc.dictionary(fc.constantFrom('encoding', 'log_client_name', 'sasl_username', 'rewrite_context', 'other'), value), fc.boolean(),
    (fields, recipients, early, attributes, room) => {
      const envelope: Envelope = { ...emptyEnvelope(), ...fields, arrivalTime: { seconds: 1, microseconds: 2 }, createTime: 3, attributes: new Map(Object.entries(attributes)) };
      envelope.recipients = recipients.map((each) => ({ ...each, offset: 0 }));
      const { envelope: read, warnings, trouble } = readEnvelope(queueFile(envelope, envelope.recipients.slice(early), room));
      assert.deepEqual({ warnings, trouble }, { warnings: [], trouble: undefined });
      assert.deepEqual(
        { ...read, attributes: new Map([...read.attributes].sort()), warnOffset: 0 },
        { ...envelope, attributes: new Map([...envelope.attributes].sort()), complete: true },
      );
    },
  ), { numRuns: 300 });
});

test('any bytes give an envelope and a reason', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (input) => {
    const { envelope, trouble } = readEnvelope(Buffer.from(input));
    assert.equal(envelope.complete, trouble === undefined);
  }));
});

test('a good file with a byte changed never throws', () => {
  const envelope = { ...emptyEnvelope(), arrivalTime: { seconds: 1, microseconds: 0 }, sender: 'a@example.org', recipients: [recipient('b@example.net', { dsnNotify: 2 })] };
  const good = queueFile(envelope, [], true);
  fc.assert(fc.property(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
    const file = Buffer.from(good);
    file[at] = byte;
    const { envelope: read, trouble } = readEnvelope(file);
    assert.equal(read.complete, trouble === undefined);
  }));
});

const file = (...records: readonly [number, string][]): Buffer => Buffer.concat(records.map(([type, text]) => encodeRecord(type, text)));
const { attribute, sender, size, end, message, recipient: rcpt, verp, time, extracted } = recordType;

for (const [name, input, trouble, warnings] of [
  ['an unexpected type', file([recordType.normal, 'x']), "Unexpected record type 'N' at offset 0", []],
  ['a bad attribute', file([attribute, 'no value']), "bad attribute record: missing '=' after attribute name: no value", []],
  ['no end', file([time, '1 2'], [message, '']), 'missing end record', []],
  ['a bad size', file([size, '-5 10 1']), 'invalid size record: -5 10 1', []],
  ['bad queue flags', file([size, '1 10 1 64 1 0']), 'invalid flags in size record: 1 10 1 64 1 0', []],
  ['VERP for the null sender', file([sender, ''], [verp, '+='], [message, ''], [extracted, ''], [end, '']), undefined, ['ignoring VERP request for null sender']],
  ['a bad NOTIFY', file([attribute, 'notify_flags=3'], [rcpt, 'a'], [message, ''], [extracted, ''], [end, '']), undefined, ['ignoring malformed DSN notify flags <3>']],
  ['a bad RET', file([attribute, 'ret_flags=x'], [message, ''], [extracted, ''], [end, '']), undefined, ['ignoring malformed DSN RET flags in queue file record:x']],
  ['two SASL names', file([attribute, 'sasl_username=a'], [attribute, 'sasl_username=b'], [message, ''], [extracted, ''], [end, '']), undefined, ['ignoring multiple sasl_username attribute: b']],
  ['a recipient that never comes', file([message, ''], [extracted, ''], [recordType.originalRecipient, 'o'], [end, '']), undefined, ['ignoring out-of-order original recipient <o>']],
] as const) {
  test(`reading: ${name}`, () => {
    const reading = readEnvelope(input);
    assert.deepEqual([reading.trouble, reading.warnings], [trouble, warnings]);
  });
}

test("sendmail's own size record says nothing but the options", () => {
  const input = file([size, renderSize({ contentSize: -1, dataOffset: -1, recipientCount: -1, queueFlags: 0, contentLength: 0, sendOptions: 1 })], [message, ''], [recordType.normal, 'x'], [extracted, ''], [end, '']);
  const { envelope, trouble } = readEnvelope(input);
  assert.equal(trouble, undefined);
  assert.deepEqual(envelope.size, { contentSize: 0, dataOffset: 0, recipientCount: 0, queueFlags: 0, contentLength: 0, sendOptions: 1 });
});

test('the content is skipped by the size record: what looks like records in it is not read', () => {
  const envelope = { ...emptyEnvelope(), arrivalTime: { seconds: 1, microseconds: 0 }, sender: 'a' };
  const good = queueFile(envelope);
  const at = envelope.size!.dataOffset;
  good.fill(0xff, at, at + envelope.size!.contentSize);
  assert.equal(readEnvelope(good).trouble, undefined);
});

for (const [text, want] of [
  ['name=value', { name: 'name', value: 'value' }], [' name = a b ', { name: 'name', value: 'a b' }], ['n==', { name: 'n', value: '=' }], ['n=', { name: 'n', value: '' }],
  ['=x', { error: 'missing attribute name' }], ['', { error: 'missing attribute name' }], ['n x=1', { error: "missing '=' after attribute name" }],
] as const) {
  test(`attribute ${JSON.stringify(text)}`, () => assert.deepEqual(splitAttribute(text), want));
}

test('time records', () => {
  assert.equal(renderTimeRecord({ seconds: 12, microseconds: 34 }), '12 34');
  assert.deepEqual(['12 34', '12', '', 'x'].map(parseTimeRecord), [{ seconds: 12, microseconds: 34 }, { seconds: 12, microseconds: 0 }, { seconds: 0, microseconds: 0 }, { seconds: 0, microseconds: 0 }]);
});

test('trace flags: the record that asks for a report can be found again', () => {
  const { envelope } = readEnvelope(file([attribute, 'trace_flags=1024'], [attribute, `${attributeName.traceFlags}=512`], [message, ''], [extracted, ''], [end, '']));
  assert.deepEqual([envelope.traceFlags, envelope.traceFlagsOffset], [1024, 0]);
});
