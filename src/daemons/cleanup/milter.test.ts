/** What filters do to a message in cleanup: the queue file that comes of it is one as if it had been written so, or there is none. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { Configuration } from '../../config/configuration.ts';
import { parseMainCf } from '../../config/main-cf.ts';
import { cleanupFlag, cleanupStatus, type CleanupReply } from '../../ipc/cleanup.ts';
import { readEnvelope } from '../../message/envelope-reader.ts';
import { recordsOf } from '../../message/record-reader.ts';
import { recordText, recordType } from '../../message/record.ts';
import type { Edit } from '../../protocol/milter/edit.ts';
import type { ContentInspection, ContentPass } from '../../protocol/milter/inspection.ts';
import type { FilterVerdict } from '../../protocol/milter/reply.ts';
import type { MessageFacts, MessageWriter } from '../../queue/store.ts';
import { AnswerMemory } from '../../text/answer-memory.ts';
import { contentRules } from './content-rules.ts';
import { cleanupParameters, type CleanupContext } from './context.ts';
import { MessageSession } from './session.ts';

const directory = mkdtempSync(`${tmpdir()}/held-`);
after(() => rmSync(directory, { recursive: true }));

interface Outcome { readonly reply: CleanupReply; readonly image: Buffer; readonly facts: MessageFacts | undefined; readonly queue: string; readonly seen: string; readonly log: readonly string[] }

interface Play {
  readonly edits?: readonly Edit[];
  readonly verdict?: FilterVerdict;
  readonly content?: string;
  readonly hold?: string;
  readonly limit?: number;
  /** Something happens while the filter thinks. */
  readonly meanwhile?: (session: MessageSession) => void;
}

async function play({ edits = [], verdict, content = 'From: a@x\r\nTo: b@x\r\n\r\nbody\r\n', hold = directory, limit = 0, meanwhile }: Play): Promise<Outcome> {
  let image = Buffer.alloc(0);
  let facts: MessageFacts | undefined;
  let queue = '';
  let seen = '';
  const log: string[] = [];
  const writer = {
    queueId: 'AB12', arrival: { seconds: 1_700_000_000, microseconds: 5 }, full: false, trouble: undefined, offset: 0,
    write: (bytes: Buffer) => { image = Buffer.concat([image, bytes]); },
    patch: (offset: number, bytes: Buffer) => void bytes.copy(image, offset),
    drained: async () => undefined, discard: () => undefined, settle: async () => undefined,
    commit: async (name: string, told?: MessageFacts) => ((queue = name), (facts = told), true),
  } as unknown as MessageWriter;
  const mainCf = parseMainCf(`compatibility_level = 3.12\nmyhostname = host.test\nmessage_size_limit = ${limit}\n`, 'main.cf', () => undefined);
  const view = new Configuration('/conf', mainCf).view(cleanupParameters);
  const context = {
    view, content: contentRules(view, { parameter: () => '', warn: () => undefined }), addressMaps: undefined,
    log: { info: (text: string) => void log.push(text), warning: (text: string) => void log.push(`warning: ${text}`) },
    clock: { now: () => 1_700_000_001_000 }, store: { create: () => writer }, rewrittenHeaders: new AnswerMemory(10, Infinity, () => 0),
    services: { trigger: () => undefined }, virtualAliases: undefined, holdDirectory: hold,
    rewrite: { rewrite: ({ address }: { address: string }) => ({ address }) }, fullAddress: (address: string) => address,
  } as unknown as CleanupContext;
  const session = new MessageSession(context, { flags: cleanupFlag.mapOk | cleanupFlag.smtpReply | cleanupFlag.inspect, lineEnd: 'crlf' });
  const pass: ContentPass = {
    wantsHeaders: true, wantsBody: true,
    header: (name, value) => ((seen += `${name}:${value}\n`), true),
    endOfHeaders: () => true,
    body: (chunk) => ((seen += chunk.length > 1000 ? `<${chunk.length}>` : chunk.toString('latin1')), true),
    end: async (edit) => {
      for (const each of edits) await edit(each);
      meanwhile?.(session);
      return verdict;
    },
  };
  const passes = [pass];
  const inspection: ContentInspection = { next: () => passes.shift(), close: () => undefined };
  session.record(recordType.time, '1700000000 5');
  session.record(recordType.attribute, 'rewrite_context=remote');
  session.record(recordType.sender, 'a@x');
  session.record(recordType.recipient, 'b@x');
  session.inspect(inspection);
  session.message();
  session.content(Buffer.from(`Received: from x\r\n${content}`, 'latin1'));
  session.extracted();
  return { reply: await session.end(), image, facts, queue, seen, log };
}

const lines = (image: Buffer): string[] => [...recordsOf(image)].flatMap((step) =>
  (step.kind === 'record' && (step.record.type === recordType.normal || step.record.type === recordType.partial) ? [recordText(step.record)] : []));

test('a filter sees what is kept, but not our own Received', async () => {
  const { seen, reply, image } = await play({});
  assert.equal(seen, 'From: a@x\nTo: b@x\nbody\r\n');
  assert.deepEqual(reply, { status: 0, reason: '' });
  assert.deepEqual(lines(image), ['Received: from x', 'From: a@x', 'To: b@x', '', 'body']);
});

const word = fc.stringMatching(/^[a-z]{1,5}$/);
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant('add-header' as const), name: word, space: fc.constant(' '), value: word }),
  fc.record({ kind: fc.constantFrom('insert-header' as const, 'change-header' as const), index: fc.integer({ min: 1, max: 6 }), name: fc.constantFrom('From', 'to', 'Received', 'X'), space: fc.constant(' '), value: word }),
  fc.record({ kind: fc.constant('delete-header' as const), index: fc.integer({ min: 1, max: 3 }), name: fc.constantFrom('From', 'Received', 'X') }),
  fc.record({ kind: fc.constant('change-sender' as const), address: word.map((local) => `<${local}@y>`), parameters: fc.constantFrom('', 'RET=HDRS', 'ENVID=abc') }),
  fc.record({ kind: fc.constant('add-recipient' as const), address: fc.constantFrom('<b@x>', '<c@x>', 'd@x', ''), parameters: fc.constantFrom('', 'NOTIFY=NEVER', 'ORCPT=rfc822;q@x') }),
  fc.record({ kind: fc.constant('delete-recipient' as const), address: fc.constantFrom('<b@x>', '<c@x>', '<none@x>') }),
);

test('whatever filters change, the queue manager is told what it would read, and our Received stays', async () => {
  await fc.assert(fc.asyncProperty(fc.array(edit, { maxLength: 8 }), fc.option(fc.array(fc.constantFrom('a\r\n', 'b\r', '\nc', ''), { maxLength: 3 }), { nil: undefined }), async (edits, body) => {
    const pieces: Edit[] = body === undefined || body.length === 0 ? [] : [...body.map((text): Edit => ({ kind: 'body', bytes: Buffer.from(text) })), { kind: 'end-of-body' }];
    const { reply, image, facts } = await play({ edits: [...edits, ...pieces] });
    assert.equal(reply.status, 0);
    const read = readEnvelope(image);
    assert.deepEqual([read.trouble, read.warnings], [undefined, []]);
    assert.deepEqual(facts?.envelope, read.envelope);
    assert.deepEqual(facts?.recipients, read.envelope.recipients.filter(({ canceled }) => !canceled).map(({ offset }) => offset));
    assert.ok(lines(image).includes('Received: from x'));
    assert.ok([...recordsOf(image)].every((step) => step.kind === 'record' && step.record.type !== recordType.pointer));
  }), { numRuns: 150 });
});

test('a large message is held on the disk, and comes back whole', async () => {
  const content = `Subject: x\r\n\r\n${`${'y'.repeat(98)}\r\n`.repeat(20_000)}`;
  const { image, reply } = await play({ content, edits: [{ kind: 'add-header', name: 'X-A', space: ' ', value: '1' }] });
  assert.equal(reply.status, 0);
  const kept = lines(image);
  assert.deepEqual(kept.slice(0, 3), ['Received: from x', 'Subject: x', 'X-A: 1']);
  assert.equal(kept.filter((line) => line === 'y'.repeat(98)).length, 20_000);
  assert.deepEqual(readdirSync(directory), []);
});

for (const [name, want, how] of [
  ['reject', { status: cleanupStatus.contents, reason: '550 5.7.1 no' }, { verdict: '550 5.7.1 no' }],
  ['tempfail', { status: cleanupStatus.defer, reason: '451 4.7.1 later' }, { verdict: '451 4.7.1 later' }],
  ['shutdown', { status: cleanupStatus.defer, reason: '421 4.7.0 Service unavailable' }, { verdict: 'S' }],
  ['discard', { status: 0, reason: '' }, { verdict: 'D' }],
  ['no disk for a large message', { status: cleanupStatus.write, reason: '' }, { hold: `${directory}/none`, content: `\r\n${'z\r\n'.repeat(300_000)}` }],
  ['a new body beyond the limit', { status: cleanupStatus.size, reason: '' }, { limit: 1000, edits: [{ kind: 'body', bytes: Buffer.alloc(2000, 'x') }, { kind: 'end-of-body' }] }],
  ['headers beyond the limit', { status: cleanupStatus.size, reason: '' }, { limit: 1000, edits: [{ kind: 'add-header', name: 'X-A', space: ' ', value: 'x'.repeat(2000) }] }],
  ['the client goes away meanwhile', { status: cleanupStatus.bad, reason: '' }, { meanwhile: (session: MessageSession) => session.abort() }],
] as const) {
  test(`nothing is kept: ${name}`, async () => {
    const { reply, queue } = await play(how as Play);
    assert.deepEqual([reply, queue], [want, '']);
  });
}

test('a hold is a hold, with its reason', async () => {
  const { queue, log } = await play({ verdict: 'Hlooks odd' });
  assert.equal(queue, 'hold');
  assert.ok(log.includes('AB12: milter-hold: END-OF-MESSAGE from localhost[127.0.0.1]: looks odd; from=<a@x> to=<b@x>'));
});

test('an announced inspection that does not come changes nothing', async () => {
  const { image, facts } = await play({ edits: [] });
  assert.deepEqual(facts?.envelope, readEnvelope(image).envelope);
});
