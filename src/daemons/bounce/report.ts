/**
 * Sending one report: to whom, about which recipients of which message, with how much of it.
 *
 * The outcome is 0 when the report is durable in the queue, or when there was nothing to report; else nothing was kept. The recipients
 * are read twice (for people, for programs), one at a time: memory does not grow with their number, nor with the message.
 */
import { cleanupDetail } from '../../ipc/cleanup.ts';
import { quote822Local } from '../../message/address.ts';
import type { ReportKind } from '../../message/bounce-templates.ts';
import { dsnRet } from '../../message/dsn.ts';
import { sendOption } from '../../message/envelope-names.ts';
import type { LogEntry } from '../../queue/report-log.ts';
import { printable } from '../../text/ascii.ts';
import { cleanupFlags, dateOf, type Desk } from './desk.ts';
import { HeaderPart } from './header-part.ts';
import { openOriginal, type Original } from './original.ts';
import { Posting } from './posting.ts';
import { ReportText } from './report-text.ts';

/** What a request says of the message. */
export interface ReportedMessage {
  readonly queueName: string;
  readonly queueId: string;
  readonly encoding: string;
  /** Bits of sendOption. */
  readonly sendOptions: number;
  readonly sender: string;
  readonly dsnEnvid: string;
  readonly dsnRet: number;
}

/** Recipients to report; undefined: there is no log, and nobody knows. Each call reads from the start. */
export type Entries = (() => Iterable<LogEntry>) | undefined;

export interface Report {
  readonly sender: string;
  readonly to: string;
  readonly copy: boolean;
  /** Only recipients whose sender wants to hear of this (a bit of dsnNotify); 0: all. */
  readonly wish: number;
  /** dsnRet.full or dsnRet.headers */
  readonly returns: number;
  /** In the log: `ID: <words>: NEWID`. */
  readonly words: string;
  /** In the log when it could not be sent; with `reason` the reason is added. */
  readonly complaint: string;
  readonly reason: boolean;
}

/** A message that is being reported, open; close it at the end. */
export interface Case {
  readonly desk: Desk;
  readonly message: ReportedMessage;
  readonly kind: ReportKind;
  readonly original: Original;
  readonly text: ReportText;
  readonly entries: Entries;
}

/** Throws QueueTrouble when the message cannot be opened for now. */
export function openCase(desk: Desk, kind: ReportKind, message: ReportedMessage, entries: Entries): Case {
  const original = openOriginal(desk.store, message.queueName, message.queueId, (text) => desk.log.warning(`${message.queueId}: ${text}`));
  try {
    original.learn(desk.view.enable_threaded_bounces);
    return { desk, message, kind, original, entries, text: reportText(desk, kind, message, original) };
  } catch (error) {
    original.close();
    throw error;
  }
}

function reportText(desk: Desk, kind: ReportKind, message: ReportedMessage, { facts }: Original): ReportText {
  const { view, clock, wording, log } = desk;
  const { template, lines } = wording[kind];
  const sender = facts.sender === undefined ? '' : quote822Local(facts.sender === '' ? `MAILER-DAEMON@${view.myhostname}` : facts.sender);
  return new ReportText({
    template, lines, hostname: view.myhostname, mailName: view.mail_name, queueId: message.queueId, envid: message.dsnEnvid,
    from: view.header_from_format === 'obsolete' ? template.from.obsolete : template.from.standard,
    boundary: `${message.queueId}.${Math.floor(clock.now() / 1000)}/${view.myhostname}`,
    encoding: encodingOf(message, view.smtputf8_enable, (text) => log.warning(text)),
    sendOptions: message.sendOptions,
    tlsRequiredNo: view.tls_required_enable && (message.sendOptions & sendOption.requireTlsHeader) !== 0,
    sender: printable(sender, '?', view.smtputf8_enable),
    arrivalDate: facts.arrival > 0 ? dateOf(facts.arrival) : '',
    retryUntil: dateOf(facts.arrival + view.maximal_queue_lifetime),
    messageId: facts.messageId,
  });
}

// With SMTPUTF8 any address in the report may have eight bits, whatever the message says of its own content.
function encodingOf({ encoding, queueId }: ReportedMessage, utf8: boolean, warn: (text: string) => void): '8bit' | '7bit' | '' {
  if (utf8 || encoding === '8bit') return '8bit';
  if (encoding === '7bit') return '7bit';
  if (encoding !== '') warn(`${queueId}: unknown encoding: ${encoding.slice(0, 200)}`);
  return '';
}

/** Send one report. Trouble is logged, never thrown. */
export async function sendReport(open: Case, report: Report): Promise<number> {
  const { desk, message } = open;
  const complain = (reason: string): void =>
    desk.log.warning(`${message.queueId}: ${report.complaint}${report.reason && reason !== '' ? `: ${reason}` : ''}`);
  const posting = await begin(open, report);
  if (posting === undefined) {
    complain('');
    return 1;
  }
  desk.log.info(`${message.queueId}: ${report.words}: ${posting.queueId}`);
  try {
    if (!await compose(open, report, posting)) {
      posting.abort();
      return 0;
    }
    const status = await posting.end();
    if (status !== 0) complain(cleanupDetail(status).text);
    return status;
  } catch (error) {
    posting.abort();
    complain((error as Error).message);
    return 1;
  }
}

async function begin({ desk, message }: Case, { sender, to }: Report): Promise<Posting | undefined> {
  const { view, services, clock, log } = desk;
  const options = { flags: cleanupFlags(desk, message.sendOptions), lineEnd: 'lf' } as const;
  const facts = { sender, recipient: to, hostname: view.myhostname, mailName: view.mail_name, now: clock.now() };
  try {
    return await Posting.open(services.cleanup(view.cleanup_service_name), options, facts);
  } catch (error) {
    log.warning(`connect to public/${view.cleanup_service_name}: ${(error as Error).message}`);
    return undefined;
  }
}

/** False: there is nothing to report. */
async function compose(open: Case, report: Report, posting: Posting): Promise<boolean> {
  const { text, entries, kind } = open;
  if (entries === undefined && kind !== 'failure') return false;
  posting.put(text.header(quote822Local(report.to), report.copy));
  if (!report.copy) posting.put(text.greeting());
  if (entries === undefined) posting.put(text.noticeUnavailable());
  else if (!await putEach(posting, entries(), report.wish, (entry) => text.notice(entry))) return false;
  posting.put(text.statusHead());
  if (entries !== undefined) await putEach(posting, entries(), report.wish, (entry) => text.status(entry));
  await putOriginal(open, report, posting);
  return true;
}

/** False: none of them is wanted. */
async function putEach(posting: Posting, entries: Iterable<LogEntry>, wish: number, render: (entry: LogEntry) => string): Promise<boolean> {
  let any = false;
  for (const entry of entries) {
    if (!isWanted(entry, wish)) continue;
    posting.put(render(entry));
    await posting.room();
    any = true;
  }
  return any;
}

/** RFC 3461 section 4.1; who said nothing gets reports of failures and delays. */
export function isWanted({ dsnNotify }: LogEntry, wish: number): boolean {
  return wish === 0 || dsnNotify === 0 || (dsnNotify & wish) !== 0;
}

async function putOriginal({ desk, original, text }: Case, { returns }: Report, posting: Posting): Promise<void> {
  const { contentSize } = original.facts;
  const isLarge = original.available && (contentSize === 0 || contentSize > desk.view.bounce_size_limit);
  // Cut off in the middle a message would be no message any more: of a large one only the header is returned.
  const headersOnly = returns === dsnRet.headers || isLarge;
  posting.put(text.originalHead(headersOnly));
  if (!original.available) posting.put(text.originalUnavailable());
  else {
    posting.put(text.returnPath());
    await (headersOnly ? putHeader(original, posting) : putContent(original, posting));
  }
  posting.put(`\n${text.end()}`);
}

async function putContent(original: Original, posting: Posting): Promise<void> {
  for await (const chunk of original.content()) {
    posting.bytes(chunk);
    await posting.room();
  }
}

async function putHeader(original: Original, posting: Posting): Promise<void> {
  const header = new HeaderPart();
  for await (const chunk of original.content()) {
    posting.bytes(header.push(chunk));
    await posting.room();
    if (header.done) return;
  }
  posting.bytes(header.end());
}
