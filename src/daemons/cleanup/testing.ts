/** A cleanup for tests: its queue is in memory, and addresses get a domain. */
import { cleanupFlag, type CleanupReply } from '../../ipc/cleanup.ts';
import { recordType } from '../../message/record.ts';
import { Configuration } from '../../config/configuration.ts';
import { parseMainCf } from '../../config/main-cf.ts';
import type { MessageFacts, MessageWriter } from '../../queue/store.ts';
import type { TableContext } from '../../tables/table.ts';
import { AnswerMemory } from '../../text/answer-memory.ts';
import { contentRules, type ContentRules } from './content-rules.ts';
import { cleanupParameters, type CleanupContext } from './context.ts';
import { MessageSession } from './session.ts';

export interface Kept {
  readonly reply: CleanupReply;
  readonly image: Buffer;
  /** Where the queue file was put; undefined: nowhere. */
  readonly queue: string | undefined;
  /** May it stay in the journal? */
  readonly hasFacts: boolean;
  readonly log: readonly string[];
}

export interface Setting {
  /** Lines of main.cf. */
  readonly mainCf?: string;
  readonly rules?: Partial<ContentRules>;
  readonly flags?: number;
}

const usualFlags = cleanupFlag.filter | cleanupFlag.bccOk | cleanupFlag.mapOk | cleanupFlag.milter;

/** Play one message, its content in the chunks that are given. */
export async function playMessage(chunks: Iterable<Buffer>, { mainCf = '', rules = {}, flags = usualFlags }: Setting = {}): Promise<Kept> {
  const pieces: Buffer[] = [];
  const log: string[] = [];
  let queue: string | undefined;
  let hasFacts = false;
  const writer = {
    queueId: 'AB12', arrival: { seconds: 1_700_000_000, microseconds: 5 }, full: false, trouble: undefined,
    write: (bytes: Buffer) => void pieces.push(Buffer.from(bytes)), patch: () => undefined, drained: async () => undefined, discard: () => undefined, settle: async () => undefined,
    commit: async (name: string, facts?: MessageFacts) => ((queue = name), (hasFacts = facts !== undefined), true),
  } as unknown as MessageWriter;
  const view = new Configuration('/conf', parseMainCf(`compatibility_level = 3.12\nmyhostname = host.test\n${mainCf}`, 'main.cf', (text: string) => log.push(text))).view(cleanupParameters);
  const full = (address: string): string => (address.includes('@') || address === '' ? address : `${address}@host.test`);
  const tables: TableContext = { parameter: () => '', warn: (text) => void log.push(`warning: ${text}`) };
  const context = {
    view, content: { ...contentRules(view, tables), ...rules }, store: { create: () => writer }, services: { trigger: () => undefined }, virtualAliases: undefined,
    log: { info: (text: string) => void log.push(text), warning: (text: string) => void log.push(`warning: ${text}`) },
    clock: { now: () => 1_700_000_001_000 }, rewrittenHeaders: new AnswerMemory(10, Infinity, () => 0),
    rewrite: { rewrite: ({ address }: { address: string }) => ({ address: full(address) }) }, fullAddress: full,
  } as unknown as CleanupContext;
  const session = new MessageSession(context, { flags, lineEnd: 'lf' });
  session.record(recordType.time, '1700000000 5');
  session.record(recordType.sender, 'me@x.test');
  session.record(recordType.recipient, 'you@x.test');
  session.message();
  for (const chunk of chunks) if (!session.content(chunk)) await session.drained();
  session.extracted();
  const reply = await session.end();
  return { reply, image: Buffer.concat(pieces), queue, hasFacts, log };
}
