import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import { queueFlag } from '../../message/envelope-names.ts';
import { recordType as type } from '../../message/record.ts';
import { RecordReader } from '../../message/record-reader.ts';
import type { MessageWriter } from '../../queue/store.ts';
import type { AddressMaps } from './address-maps.ts';
import type { CleanupContext } from './context.ts';
import { EnvelopeIntake } from './envelope.ts';
import { addBcc } from './recipients.ts';
import { MessageState } from './state.ts';

type Line = readonly [type: number, text: string];

/** An envelope taken in: what was written behind the size record (as `type text`), what was said, and the state. */
async function taken(lines: readonly Line[], { flags = cleanupFlag.mapOk | cleanupFlag.bccOk, view = {}, maps, late = [] }: { flags?: number; view?: object; maps?: Partial<AddressMaps>; late?: readonly Line[] } = {}) {
  let image = Buffer.alloc(0);
  const said: string[] = [];
  const writer = { queueId: 'AB12', write: (bytes: Buffer) => { image = Buffer.concat([image, bytes]); } } as unknown as MessageWriter;
  const context = {
    view: { empty_address_recipient: 'MAILER-DAEMON', smtputf8_enable: true, queue_file_attribute_count_limit: 3, verp_delimiter_filter: '-=+', delay_warning_time: 0, duplicate_filter_limit: 1000, enable_original_recipient: true, ...view },
    log: { warning: (text: string) => void said.push(text) }, clock: { now: () => 5_000 },
    fullAddress: (address: string) => (address === '' || address.includes('@') ? address : `${address}@here.test`),
    virtualAliases: undefined, addressMaps: maps === undefined ? undefined : { steps: () => undefined, senderBcc: undefined, recipientBcc: undefined, ...maps },
  } as unknown as CleanupContext;
  const state = new MessageState(writer, flags);
  const intake = new EnvelopeIntake(context, state);
  for (const [kind, text] of lines) await intake.record(kind, text);
  intake.endOfEnvelope();
  for (const [kind, text] of late) await intake.extractedRecord(kind, text);
  state.hand();
  return { written: records(image), said, state, context };
}

function records(image: Buffer): string[] {
  const reader = new RecordReader({});
  reader.feed(image);
  const found: string[] = [];
  for (let step = reader.next(); step.kind === 'record'; step = reader.next()) found.push(`${String.fromCharCode(step.record.type)} ${step.record.data.toString('latin1')}`);
  return found.slice(1);
}

const head: readonly Line[] = [[type.time, '1700000000 5'], [type.sender, 'me']];
const headWritten = ['T 1700000000 5', 'A create_time=5', 'S me@here.test'];

for (const [name, lines, want, says] of [
  ['a recipient', [[type.recipient, 'joe']], ['A dsn_orig_rcpt=rfc822;joe@here.test', 'O joe', 'R joe@here.test'], []],
  ['no name at all', [[type.recipient, '']], ['A dsn_orig_rcpt=rfc822;MAILER-DAEMON@here.test', 'O ', 'R MAILER-DAEMON@here.test'], []],
  ['an original recipient', [[type.originalRecipient, 'ann'], [type.dsnOrcpt, 'rfc822;x'], [type.recipient, 'joe']], ['A dsn_orig_rcpt=rfc822;x', 'O ann', 'R joe@here.test'], []],
  ['each once, whatever the case', [[type.originalRecipient, 'ann'], [type.recipient, 'joe'], [type.originalRecipient, 'ANN'], [type.recipient, 'JOE']], ['A dsn_orig_rcpt=rfc822;joe@here.test', 'O ann', 'R joe@here.test'], []],
  ['what was wished for a recipient that is done', [[type.dsnOrcpt, 'rfc822;x'], [type.originalRecipient, 'ann'], [type.done, 'ann'], [type.recipient, 'joe']], ['A dsn_orig_rcpt=rfc822;joe@here.test', 'O joe', 'R joe@here.test'], []],
  ['wishes without a recipient between', [[type.originalRecipient, 'a'], [type.originalRecipient, 'b'], [type.dsnOrcpt, 'rfc822;a'], [type.attribute, 'dsn_orig_rcpt=rfc822;b'], [type.attribute, 'notify_flags=2'], [type.dsnNotify, '4'], [type.recipient, 'joe']],
    ['A notify_flags=4', 'A dsn_orig_rcpt=rfc822;b', 'O b', 'R joe@here.test'],
    ['AB12: ignoring out-of-order original recipient record <a>', 'AB12: ignoring out-of-order DSN original recipient record <rfc822;a>', 'AB12: ignoring out-of-order DSN notify record <2>']],
  ['a bad wish', [[type.dsnNotify, '99'], [type.recipient, 'joe']], ['A dsn_orig_rcpt=rfc822;joe@here.test', 'O joe', 'R joe@here.test'], ['AB12: ignoring malformed DSN notify record <99>']],
  ['VERP', [[type.verp, '+='], [type.verp, '-=']], ['V +='], []],
  ['VERP with odd delimiters', [[type.verp, '+x']], [], ['AB12: ignoring bad VERP request: "+x"']],
  ['a time for the warning, once', [[type.warn, '17'], [type.warn, '18']], ['W 17'], []],
  ['a full name, once', [[type.fullName, 'Joe'], [type.fullName, 'Ann']], ['F Joe'], []],
  ['an attribute without value', [[type.attribute, 'a=']], [], ['AB12: spurious null attribute value for "a" -- ignored']],
  ['attributes as they came', [[type.attribute, 'a = b '], [type.attribute, 'envelope_id=x'], [type.attribute, 'ret_flags=2'], [type.attribute, 'rewrite_context=remote'], [type.attribute, 'trace_flags=256']],
    ['A a = b ', 'A envelope_id=x', 'A ret_flags=2', 'A rewrite_context=remote', 'A trace_flags=256'], []],
] as const) {
  test(name, async () => {
    const { written, said, state } = await taken([...head, ...lines]);
    assert.deepEqual([written, said, state.status], [[...headWritten, ...want], says, 0]);
  });
}

for (const [name, lines, says] of [
  ['two senders', [[type.sender, 'a']], 'multiple envelope sender records'],
  ['too many attributes', [[type.attribute, 'a=1'], [type.attribute, 'b=1'], [type.attribute, 'c=1'], [type.attribute, 'd=1']], 'attribute count exceeds limit 3'],
  ['a malformed attribute', [[type.attribute, 'abc']], "malformed attribute: missing '=' after attribute name: abc"],
  ['a strange rewriting context', [[type.attribute, 'rewrite_context=far']], 'bad rewriting context: far'],
  ['a strange RET', [[type.attribute, 'ret_flags=7']], 'bad DSN RET record <ret_flags=7>'],
  ['an ENVID that cannot be printed', [[type.attribute, 'envelope_id=a\x01']], 'bad DSN envelope ID record'],
  ['strange trace flags', [[type.attribute, 'trace_flags=x']], 'bad TFLAG record <trace_flags=x>'],
  ['a record of the content', [[type.normal, 'x']], 'unexpected record type 78 in envelope'],
] as const) {
  test(`the message is refused: ${name}`, async () => {
    const { said, state } = await taken([...head, ...lines, [type.recipient, 'joe']]);
    assert.deepEqual([said, state.status, state.recipient], [[`AB12: message rejected: ${says}`], cleanupStatus.bad, undefined]);
  });
}

for (const [sender, want] of [['MAILER-DAEMON', ''], ['mailer-daemon@here.test', ''], ['mailer-daemon@else.test', 'mailer-daemon@else.test'], ['', '']] as const)
  test(`sender <${sender}>`, async () => assert.equal((await taken([[type.time, '1 1'], [type.sender, sender]])).state.sender, want));

test('VERP is not for the null sender', async () => {
  const { said } = await taken([[type.time, '1 1'], [type.sender, ''], [type.verp, '+=']]);
  assert.deepEqual(said, ['AB12: ignoring VERP request for null sender']);
});

test('the queue manager is told of records among the recipients, and of wishes', async () => {
  const options = async (lines: readonly Line[], late: readonly Line[] = []): Promise<number> => (await taken([...head, ...lines], { late })).state.queueOptions;
  assert.equal(await options([[type.attribute, 'a=b'], [type.recipient, 'joe']]), 0);
  assert.equal(await options([[type.recipient, 'joe'], [type.attribute, 'a=b']]), queueFlag.mixed);
  assert.equal(await options([[type.dsnNotify, '2'], [type.recipient, 'joe']]), queueFlag.notifySuccess);
  assert.equal(await options([[type.recipient, 'joe']], [[type.attribute, 'a=b'], [type.recipient, 'ann']]), 0);
  assert.equal(await options([[type.recipient, 'joe']], [[type.recipient, 'ann'], [type.attribute, 'a=b']]), queueFlag.mixed);
});

test('automatic copies: of the sender before all recipients, of a recipient behind it, and nobody is told about them', async () => {
  const maps: Partial<AddressMaps> = { senderBcc: (_state, address) => (address === 'me@here.test' ? 'archive' : undefined), recipientBcc: (_state, address) => (address === 'joe@here.test' ? 'boss@x.test' : undefined) };
  const { written } = await taken([...head, [type.recipient, 'joe'], [type.recipient, 'ann']], { maps });
  assert.deepEqual(written.slice(3), [
    'A notify_flags=1', 'O archive@here.test', 'R archive@here.test',
    'A dsn_orig_rcpt=rfc822;joe@here.test', 'O joe', 'R joe@here.test',
    'A notify_flags=1', 'O boss@x.test', 'R boss@x.test',
    'A dsn_orig_rcpt=rfc822;ann@here.test', 'O ann', 'R ann@here.test',
  ]);
  const without = await taken([...head, [type.recipient, 'joe']], { maps, flags: cleanupFlag.mapOk });
  assert.deepEqual(without.written.filter((line) => line.startsWith('R')), ['R joe@here.test']);
});

test('a recipient that a filter adds has the wishes that come with it', async () => {
  const { context, state } = await taken(head);
  await addBcc(context, state, 'added', { originalAddress: undefined, dsnOrcpt: 'rfc822;x', dsnNotify: 4 });
  assert.deepEqual([state.recipientCount, state.recipient], [1, undefined]);
});
