/**
 * The envelope records of a client, checked and written in the order of a queue file (cleanup_envelope(3)).
 *
 * A record that does not belong refuses the whole message as a protocol error: only our own programs talk to cleanup, and
 * what they cannot say right must not be half kept.
 */
import { cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import { attributeName, queueFlag, queueFlagsOfNotify, rewriteContext, sendOption, sendOptionMask, derivedSendOptions, splitAttribute, type NamedValue } from '../../message/envelope-names.ts';
import { parseTimeRecord } from '../../message/envelope.ts';
import { dsnNotifyValid, dsnRetValid } from '../../message/dsn.ts';
import { fixedNumber, parseSize, recordType, segmentTypes, typeIn } from '../../message/record.ts';
import { allDigits, allPrintableOrTab, isAscii, startsIgnoringCase } from '../../text/ascii.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import { foldCase, isUtf8 } from '../../text/utf8.ts';
import { mappedEnvelope } from './address-maps.ts';
import type { CleanupContext } from './context.ts';
import { addBccOf, addRecipient, noWishes, type RecipientWishes } from './recipients.ts';
import type { MessageState } from './state.ts';

type Treat = (intake: EnvelopeIntake, text: string) => MaybePromise<void>;

/** Record types that stand among recipients and do not end their group. */
const recipientTypes = segmentTypes.envelopeRecipients;

export class EnvelopeIntake {
  readonly context: CleanupContext;
  readonly state: MessageState;
  wishes: RecipientWishes = noWishes();
  #inRecipients = false;

  constructor(context: CleanupContext, state: MessageState) {
    this.context = context;
    this.state = state;
  }

  record(type: number, text: string): MaybePromise<void> {
    if (!this.state.isWhole) return; // nothing of it would be kept, and nobody hears of it twice
    if (type === recordType.flags) return this.#extraFlags(text);
    if (!typeIn(segmentTypes.envelope, type)) return this.bad(`unexpected record type ${type} in envelope`);
    if (!this.#inRecipients && type !== recordType.message && typeIn(recipientTypes, type) && !this.#beginRecipients()) return;
    const treat = treatments.get(type);
    if (treat !== undefined) return treat(this, text);
    this.noteMixed();
    this.state.put(type, text);
  }

  /** Late recipients and what else may follow the content: nothing of it is read for its meaning but recipients and their wishes. */
  extractedRecord(type: number, text: string): MaybePromise<void> {
    if (!this.state.isWhole) return;
    if (type === recordType.flags) return this.#extraFlags(text);
    if (!typeIn(segmentTypes.submittedExtracted + segmentTypes.extracted, type)) return this.bad(`unexpected record type ${type} in extracted envelope`);
    if (type === recordType.attribute) return extractedAttribute(this, text);
    if (typeIn(segmentTypes.extractedRecipients, type)) this.#inRecipients = true;
    const treat = extractedTreatments.get(type);
    if (treat !== undefined) return treat(this, text);
    this.noteMixed();
    this.state.put(type, text);
  }

  /** The content begins, and recipients end with it. */
  endOfEnvelope(): void {
    this.#inRecipients = false;
  }

  /** A record stands among recipients that is none of theirs: the queue manager has to read on behind them. */
  noteMixed(): void {
    if (this.#inRecipients) this.state.queueOptions |= queueFlag.mixed;
  }

  /** The whole message is refused: a mistake of the program that sent it. */
  bad(what: string): void {
    if (!this.state.isWhole) return; // what comes after a mistake is no news
    this.context.log.warning(`${this.state.queueId}: message rejected: ${what}`);
    this.state.refuse(cleanupStatus.bad);
  }

  #extraFlags(text: string): void {
    const flags = Number(text);
    const allowed = cleanupFlag.hold | cleanupFlag.discard;
    if (!Number.isInteger(flags) || (flags & ~allowed) !== 0) this.context.log.warning(`${this.state.queueId}: ignoring bad extra flags: ${text}`);
    else this.state.flags |= flags;
  }

  /** Sender and time are known now: the time of a delay warning stands before the recipients. */
  #beginRecipients(): boolean {
    const { state, context } = this;
    if (state.sender === undefined) return (this.bad('missing sender envelope record'), false);
    if (state.arrival.seconds === 0) return (this.bad('missing time envelope record'), false);
    const { delay_warning_time: delay } = context.view;
    if (!state.warnSeen && state.sender !== '' && delay > 0) state.put(recordType.warn, fixedNumber(state.arrival.seconds + delay));
    return (this.#inRecipients = true);
  }
}

function recipient(intake: EnvelopeIntake, text: string): MaybePromise<void> {
  const { wishes } = intake;
  intake.wishes = noWishes();
  const { state } = intake;
  if (state.told === undefined) return addRecipient(intake.context, state, text, wishes);
  return chain(addRecipient(intake.context, state, text, wishes), () => void state.told!.push(state.recipient ?? ''));
}

function originalRecipient({ wishes, context, state }: EnvelopeIntake, text: string): void {
  if (wishes.originalAddress !== undefined) context.log.warning(`${state.queueId}: ignoring out-of-order original recipient record <${wishes.originalAddress.slice(0, 200)}>`);
  wishes.originalAddress = text;
}

function dsnOrcpt({ wishes, context, state }: EnvelopeIntake, text: string): void {
  if (wishes.dsnOrcpt !== '') context.log.warning(`${state.queueId}: ignoring out-of-order DSN original recipient record <${wishes.dsnOrcpt.slice(0, 200)}>`);
  wishes.dsnOrcpt = text;
}

function notify({ wishes, context, state }: EnvelopeIntake, text: string): void {
  if (wishes.dsnNotify !== 0) context.log.warning(`${state.queueId}: ignoring out-of-order DSN notify record <${wishes.dsnNotify}>`);
  wishes.dsnNotify = 0;
  const mask = allDigits(text) ? Number(text) : 0;
  if (mask === 0 || !dsnNotifyValid(mask)) return context.log.warning(`${state.queueId}: ignoring malformed DSN notify record <${text.slice(0, 200)}>`);
  wishes.dsnNotify = mask;
  state.queueOptions |= queueFlagsOfNotify(mask);
}

function time({ state, context }: EnvelopeIntake, text: string): void {
  if (state.arrival.seconds === 0) {
    state.arrival = parseTimeRecord(text);
    state.put(recordType.time, text);
  }
  state.attribute(attributeName.createTime, Math.floor(context.clock.now() / 1000));
}

function sender(intake: EnvelopeIntake, text: string): MaybePromise<void> {
  const { state, context } = intake;
  if (state.sender !== undefined) return intake.bad('multiple envelope sender records');
  return putSender(context, state, text);
}

/** The sender record for an address as the client, or a filter, named it; and the sender's automatic copy. */
export function putSender(context: CleanupContext, state: MessageState, text: string): MaybePromise<void> {
  return chain(context.fullAddress(text), (full) => chain(nobodyInstead(context, full), (known) => chain(mappedSender(context, state, known), (clean) => {
    state.sender = clean;
    if (context.view.smtputf8_enable && !isAscii(clean) && isUtf8(clean)) state.noteUtf8(sendOption.smtputf8Sender);
    state.put(recordType.sender, clean);
    return context.addressMaps === undefined ? undefined : addBccOf(context, state, context.addressMaps.senderBcc, clean);
  })));
}

const daemonName = 'MAILER-DAEMON';

/** Mail from MAILER-DAEMON of this machine is a report, whoever wrote it: it has no sender. */
function nobodyInstead(context: CleanupContext, full: string): MaybePromise<string> {
  if (!startsIgnoringCase(full, `${daemonName}@`)) return full;
  return chain(context.fullAddress(daemonName), (daemon) => (foldCase(full) === foldCase(daemon) ? '' : full));
}

function mappedSender({ addressMaps }: CleanupContext, state: MessageState, full: string): MaybePromise<string> {
  return addressMaps === undefined || (state.flags & cleanupFlag.mapOk) === 0 ? full : mappedEnvelope(addressMaps, 'envelope_sender', state, full);
}

function fullName({ state }: EnvelopeIntake, text: string): void {
  if (state.fullName !== undefined) return;
  state.fullName = text;
  state.put(recordType.fullName, text);
}

function warn({ state }: EnvelopeIntake, text: string): void {
  if (state.warnSeen) return;
  state.warnSeen = true;
  state.put(recordType.warn, text);
}

function verp({ state, context }: EnvelopeIntake, text: string): void {
  if (state.verpDelimiters !== undefined) return;
  if (!state.sender) return context.log.warning(`${state.queueId}: ignoring VERP request for null sender`);
  const { verp_delimiter_filter: allowed } = context.view;
  if (text.length !== 2 || !allowed.includes(text[0]!) || !allowed.includes(text[1]!))
    return context.log.warning(`${state.queueId}: ignoring bad VERP request: "${text.slice(0, 100)}"`);
  state.verpDelimiters = text;
  state.put(recordType.verp, text);
}

/** An attribute's name and value; undefined: it was told of, and is none. */
function attributeParts(intake: EnvelopeIntake, text: string): NamedValue | undefined {
  const parsed = splitAttribute(text);
  if ('error' in parsed) return (intake.bad(`malformed attribute: ${parsed.error}: ${text.slice(0, 100)}`), undefined);
  if (parsed.value !== '') return parsed;
  intake.context.log.warning(`${intake.state.queueId}: spurious null attribute value for "${parsed.name}" -- ignored`);
  return undefined;
}

function attribute(intake: EnvelopeIntake, text: string): void {
  const parts = attributeParts(intake, text);
  if (parts === undefined) return;
  const { name, value } = parts;
  const wish = wishAttributes.get(name);
  if (wish !== undefined) return wish(intake, value);
  intake.noteMixed();
  if (name === attributeName.createTime) return; // ours says when this message came in
  const wrong = wrongValue(intake, name, value, text);
  if (wrong !== undefined) return intake.bad(wrong);
  const { state } = intake;
  const limit = intake.context.view.queue_file_attribute_count_limit;
  if (!dsnAttributes.has(name)) {
    if (state.attributeCount >= limit) return intake.bad(`attribute count exceeds limit ${limit}`);
    if (!state.attributes.has(name)) state.attributeCount++;
  }
  state.attributes.set(name, value);
  state.put(recordType.attribute, text, parts);
}

/** These do not count (queue_file_attribute_count_limit). */
const dsnAttributes: ReadonlySet<string> = new Set([attributeName.dsnEnvid, attributeName.dsnRet]);

/** Why the message cannot be taken with such an attribute. */
function wrongValue({ state }: EnvelopeIntake, name: string, value: string, text: string): string | undefined {
  if (name === attributeName.dsnEnvid && !allPrintableOrTab(value)) return 'bad DSN envelope ID record';
  if (name === attributeName.dsnRet && !(allDigits(value) && dsnRetValid(Number(value)))) return `bad DSN RET record <${text.slice(0, 200)}>`;
  if (name === attributeName.rewriteContext && value !== rewriteContext.local && value !== rewriteContext.remote) return `bad rewriting context: ${value.slice(0, 100)}`;
  if (name === attributeName.traceFlags && !allDigits(value)) return `bad TFLAG record <${text.slice(0, 200)}>`;
  return undefined;
}

function extractedAttribute(intake: EnvelopeIntake, text: string): void {
  const parts = attributeParts(intake, text);
  if (parts === undefined) return;
  const wish = wishAttributes.get(parts.name);
  if (wish !== undefined) return wish(intake, parts.value);
  intake.noteMixed();
  intake.state.put(recordType.attribute, text, parts);
}

const wishAttributes: ReadonlyMap<string, (intake: EnvelopeIntake, value: string) => void> = new Map([
  [attributeName.dsnOrcpt as string, dsnOrcpt],
  [attributeName.dsnNotify, notify],
]);

function size(intake: EnvelopeIntake, text: string): void {
  intake.noteMixed();
  intake.state.sendOptions |= (parseSize(text)?.sendOptions ?? 0) & sendOptionMask & ~derivedSendOptions;
}

const noMore = (intake: EnvelopeIntake): void => { intake.wishes = noWishes(); };

/** Recipients and what is wished for them: the same in both envelopes. */
const recipientTreatments: readonly (readonly [type: number, treat: Treat])[] = [
  [recordType.recipient, recipient],
  [recordType.originalRecipient, originalRecipient],
  [recordType.dsnOrcpt, dsnOrcpt],
  [recordType.dsnNotify, notify],
  [recordType.done, noMore],
  [recordType.canceled, noMore],
];

const mixing = (treat: Treat): Treat => (intake, text) => (intake.noteMixed(), treat(intake, text));

const treatments: ReadonlyMap<number, Treat> = new Map<number, Treat>([
  ...recipientTreatments,
  [recordType.attribute, attribute],
  [recordType.size, size],
  [recordType.time, mixing(time)],
  [recordType.fullName, mixing(fullName)],
  [recordType.sender, mixing(sender)],
  [recordType.warn, mixing(warn)],
  [recordType.verp, mixing(verp)],
  [recordType.createTime, mixing(() => {})],
]);

const extractedTreatments: ReadonlyMap<number, Treat> = new Map<number, Treat>(recipientTreatments);

/** Which rewriting the addresses in headers get: 'local', 'remote', or '' when headers are left alone (local_header_rewrite_clients). */
export function headerContext(state: MessageState, remoteDomain: string): string {
  const context = state.attributes.get(attributeName.rewriteContext) ?? rewriteContext.local;
  return context === rewriteContext.remote && remoteDomain === '' ? '' : context;
}
