import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import { readEnvelope } from '../../message/envelope-reader.ts';
import { recordType } from '../../message/record.ts';
import type { MessageFacts, MessageWriter } from '../../queue/store.ts';
import { AnswerMemory } from '../../text/answer-memory.ts';
import type { Report, ReportedMessage } from '../../delivery/reports.ts';
import type { Recipient as Told } from '../../ipc/deliver.ts';
import type { ContentRules } from './content-rules.ts';
import type { CleanupContext } from './context.ts';
import type { InFlow } from './in-flow.ts';
import { MessageSession } from './session.ts';

/** Nothing is asked of content. */
const plainContent: ContentRules = {
  tables: { headers: { primary: undefined, mime: undefined, nested: undefined }, body: undefined },
  report: new Set(), reportUnfiltered: new Set(), emptyLine: 'fix_quietly', rejected: undefined, stripped: undefined, dropped: new Set(['bcc']), dropsOthers: false, trouble: undefined,
};

interface Kept { facts: MessageFacts | undefined; image: Buffer; committed: boolean; triggers: number }

/** cleanup with a queue in memory; addresses get a domain, at once or (`late`) after a turn of the loop. */
function bench({ late = false, announced = false, context: own = {} }: { late?: boolean; announced?: boolean; context?: Partial<CleanupContext> } = {}) {
  const kept: Kept = { facts: undefined, image: Buffer.alloc(0), committed: false, triggers: 0 };
  const writer = {
    queueId: 'AB12', arrival: { seconds: 1_700_000_000, microseconds: 5 }, full: false, trouble: undefined,
    write: (bytes: Buffer) => { kept.image = Buffer.concat([kept.image, bytes]); },
    patch: (offset: number, bytes: Buffer) => void bytes.copy(kept.image, offset),
    drained: async () => undefined, discard: () => undefined,
    commit: async (_queue: string, facts?: MessageFacts) => ((kept.facts = facts), (kept.committed = true), announced),
  } as unknown as MessageWriter;
  const warnings: string[] = [];
  const infos: string[] = [];
  const full = (address: string): string => (address.includes('@') || address === '' ? address : `${address}@host.test`);
  const answer = <T>(value: T): T | Promise<T> => (late ? new Promise((resolve) => { setImmediate(() => resolve(value)); }) : value);
  const context = {
    view: {
      myhostname: 'host.test', line_length_limit: 2048, header_size_limit: 102_400, header_address_token_limit: 10_240, message_size_limit: 0, hopcount_limit: 50,
      enable_original_recipient: true, enable_long_queue_ids: false, always_add_missing_headers: false, undisclosed_recipients_header: '', cleanup_replace_stray_cr_lf: true,
      message_drop_headers: 'bcc', header_from_format: 'standard', detect_8bit_encoding_header: true, duplicate_filter_limit: 1000, delay_warning_time: 3600,
      always_bcc: '', remote_header_rewrite_domain: '', virtual_alias_expansion_limit: 1000, virtual_alias_recursion_limit: 1000, virtual_alias_address_length_limit: 1000,
      empty_address_recipient: 'MAILER-DAEMON', smtputf8_enable: true, queue_file_attribute_count_limit: 100, verp_delimiter_filter: '-=+', disable_verp_bounces: false,
      mime_nesting_limit: 100, mime_boundary_length_limit: 2048, body_checks_size_limit: 51_200, disable_mime_input_processing: false, force_mime_input_conversion: false,
      full_name_encoding_charset: 'utf-8', tls_required_enable: true, requiretls_enable: true, requiretls_esmtp_header: true, info_log_address_format: 'external',
    },
    content: plainContent,
    log: { info: (text: string) => void infos.push(text), warning: (text: string) => void warnings.push(text) },
    clock: { now: () => 1_700_000_001_000 }, store: { create: () => writer }, rewrittenHeaders: new AnswerMemory(10, Infinity, () => 0),
    services: { trigger: () => void kept.triggers++ }, virtualAliases: undefined, addressMaps: undefined,
    rewrite: { rewrite: ({ address }: { address: string }) => answer({ address: full(address) }) },
    fullAddress: (address: string) => answer(full(address)), ...own,
  } as unknown as CleanupContext;
  return { kept, warnings, infos, view: context.view, session: new MessageSession(context, { flags: cleanupFlag.mapOk, lineEnd: 'crlf' }) };
}

type Recipient = { address: string; notify: number; orcpt: string };

function feed(session: MessageSession, sender: string, recipients: readonly Recipient[], content: string): void {
  session.record(recordType.time, '1700000000 5');
  session.record(recordType.attribute, 'rewrite_context=local');
  session.record(recordType.attribute, 'envelope_id=E1');
  session.record(recordType.sender, sender);
  session.record(recordType.attribute, 'log_client_name=client.test');
  for (const { address, notify, orcpt } of recipients) {
    if (notify !== 0) session.record(recordType.attribute, `notify_flags=${notify}`);
    if (orcpt !== '') session.record(recordType.attribute, `dsn_orig_rcpt=${orcpt}`);
    session.record(recordType.recipient, address);
  }
  session.message();
  session.content(Buffer.from(`Received: from x\r\n${content}`, 'latin1'));
  session.extracted();
}

const word = fc.stringMatching(/^[a-z0-9.@+"\xe9-]{1,12}$/);
const recipient = fc.record({ address: word, notify: fc.constantFrom(0, 1, 4, 6), orcpt: fc.constantFrom('', 'rfc822;a@x') });
const lines = fc.array(fc.constantFrom('From: ann', 'To: joe@x, bob', 'Message-ID: <1@x>', 'Content-Transfer-Encoding: 8bit', '', 'body', 'a line of \xe9', '.'), { maxLength: 12 });

test('what the queue manager is told of a message is what it would read in it', async () => {
  await fc.assert(fc.asyncProperty(word, fc.array(recipient, { minLength: 1, maxLength: 5 }), lines, fc.boolean(), async (sender, recipients, text, late) => {
    const { kept, session } = bench({ late });
    feed(session, sender, recipients, text.map((line) => `${line}\r\n`).join(''));
    assert.deepEqual(await session.end(), { status: 0, reason: '' });
    const read = readEnvelope(kept.image);
    assert.deepEqual([read.trouble, read.warnings], [undefined, []]);
    assert.deepEqual(kept.facts?.envelope, read.envelope);
    assert.deepEqual(kept.facts?.recipients, read.envelope.recipients.map(({ offset }) => offset));
  }));
});

test('a record with a NUL in it is left for the reader of the file', async () => {
  const { kept, session } = bench();
  feed(session, 'a\0b@x', [{ address: 'joe@x', notify: 0, orcpt: '' }], 'x\r\n');
  await session.end();
  assert.equal(kept.facts?.envelope, undefined);
});

test('the queue manager is woken unless it was told', async () => {
  for (const announced of [false, true]) {
    const files: string[] = [];
    const { kept, session } = bench({ announced, context: { inFlow: { kept: (queueId: string) => void files.push(queueId) } as unknown as InFlow } });
    feed(session, 'me@x', [{ address: 'joe@x', notify: 0, orcpt: '' }], 'x\r\n');
    await session.end();
    assert.deepEqual([kept.triggers, files], announced ? [0, []] : [1, ['AB12']]);
  }
});

for (const [name, limit, recipients, content, status] of [
  ['content', 300, 1, 'x'.repeat(400), cleanupStatus.size],
  ['envelope', 2000, 100, '', cleanupStatus.size],
  ['nothing', 2000, 1, '', 0],
  ['no limit', 0, 100, 'x'.repeat(400), 0],
] as const) {
  test(`message_size_limit counts the whole file: ${name}`, async () => {
    const { kept, warnings, session } = bench({ context: { view: { ...bench().view, message_size_limit: limit } } });
    feed(session, 'me@x', Array.from({ length: recipients }, (_, at) => ({ address: `joe${at}@there.test`, notify: 0, orcpt: '' })), `\r\n${content}\r\n`);
    assert.equal((await session.end()).status, status);
    assert.deepEqual([kept.committed, warnings], status === 0 ? [true, []] : [false, ['AB12: queue file size limit exceeded']]);
  });
}

test('a message that its client gives up is told of', () => {
  const { infos, session } = bench();
  session.record(recordType.time, '1700000000 5');
  session.abort();
  session.abort();
  assert.deepEqual(infos, ['AB12: removed (canceled)']);
});

test('a late answer keeps everything in order, and an abort ends it', async () => {
  const { kept, session } = bench({ late: true });
  feed(session, 'me', [{ address: 'one', notify: 0, orcpt: '' }, { address: 'two', notify: 0, orcpt: '' }], '\r\nbody\r\n');
  await session.end();
  assert.deepEqual(readEnvelope(kept.image).envelope.recipients.map(({ address }) => address), ['one@host.test', 'two@host.test']);
  const other = bench({ late: true });
  feed(other.session, 'me', [{ address: 'one', notify: 0, orcpt: '' }], '\r\nbody\r\n');
  other.session.abort();
  assert.deepEqual([(await other.session.end()).status, other.kept.committed], [cleanupStatus.bad, false]);
});

for (const [name, flags, members, want] of [
  ['a probe of a list has one answer, and goes nowhere', '256', 'joe@x.test,ann@x.test', { recipients: 0, told: ['AB12 team@host.test team: 2.0.0 aliased to multiple recipients'] }],
  ['a probe of an alias goes on', '256', 'joe@x.test', { recipients: 1, told: [] }],
  ['sendmail -bv goes to every member', '512', 'joe@x.test,ann@x.test', { recipients: 2, told: [] }],
] as const) {
  test(name, async () => {
    const told: string[] = [];
    const reports = { sent: async ({ queueId }: ReportedMessage, { address, originalAddress }: Told, { dsn, text }: Report) => told.push(`${queueId} ${address} ${originalAddress}: ${dsn} ${text}`) > 0 };
    const { kept, session } = bench({
      context: {
        reports: reports as unknown as CleanupContext['reports'], virtualAliases: (address) => (address === 'team@host.test' ? members.split(',') : undefined),
      },
    });
    session.record(recordType.time, '1700000000 5');
    session.record(recordType.attribute, `trace_flags=${flags}`);
    session.record(recordType.sender, 'probe');
    session.record(recordType.recipient, 'team');
    session.message();
    session.content(Buffer.from('Received: by host.test\n', 'latin1'));
    session.extracted();
    assert.deepEqual(await session.end(), { status: 0, reason: '' });
    assert.deepEqual({ recipients: kept.facts!.recipients.length, told }, want);
  });
}
