/**
 * The envelope records of a client, checked and written in the order of a queue file (cleanup_envelope(3)).
 *
 * A record that does not belong refuses the whole message as a protocol error: only our own programs talk to cleanup, and
 * what they cannot say right must not be half kept.
 */
import { cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import { attributeName, rewriteContext, sendOption, sendOptionMask, derivedSendOptions, splitAttribute } from '../../message/envelope-names.ts';
import { parseTimeRecord } from '../../message/envelope.ts';
import { dsnNotifyValid } from '../../message/dsn.ts';
import { fixedNumber, parseSize, recordType, segmentTypes, typeIn } from '../../message/record.ts';
import { isAscii } from '../../text/ascii.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import type { CleanupContext } from './context.ts';
import { addRecipient, noWishes, type RecipientWishes } from './recipients.ts';
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
    if (type === recordType.flags) return this.#extraFlags(text);
    if (!typeIn(segmentTypes.envelope, type)) return this.bad(`unexpected record type ${type} in envelope`);
    if (!this.#inRecipients && type !== recordType.message && typeIn(recipientTypes, type) && !this.#beginRecipients()) return;
    const treat = treatments.get(type);
    if (treat !== undefined) return treat(this, text);
    this.state.put(type, text);
  }

  /** The whole message is refused: a mistake of the program that sent it. */
  bad(what: string): void {
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
    if (state.sender !== '' && delay > 0) state.put(recordType.warn, fixedNumber(state.arrival.seconds + delay));
    return (this.#inRecipients = true);
  }
}

function recipient(intake: EnvelopeIntake, text: string): MaybePromise<void> {
  const { wishes } = intake;
  intake.wishes = noWishes();
  return addRecipient(intake.context, intake.state, text, wishes);
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
  return chain(context.fullAddress(text), (full) => {
    state.sender = full;
    if (!isAscii(full)) state.noteUtf8(sendOption.smtputf8Sender);
    state.put(recordType.sender, full);
  });
}

function fullName({ state }: EnvelopeIntake, text: string): void {
  if (state.fullName !== undefined) return;
  state.fullName = text;
  state.put(recordType.fullName, text);
}

function attribute(intake: EnvelopeIntake, text: string): void {
  const parsed = splitAttribute(text);
  if ('error' in parsed) return intake.bad(`malformed attribute: ${parsed.error}: ${text.slice(0, 100)}`);
  const { name, value } = parsed;
  if (value === '') return intake.context.log.warning(`${intake.state.queueId}: spurious null attribute value for "${name}" -- ignored`);
  if (name === attributeName.dsnOrcpt) intake.wishes.dsnOrcpt = value;
  else if (name === attributeName.dsnNotify) notify(intake, value);
  else if (name !== attributeName.createTime) keepAttribute(intake, name, value);
}

function notify(intake: EnvelopeIntake, value: string): void {
  const mask = /^[0-9]+$/.test(value) ? Number(value) : 0;
  if (mask === 0 || !dsnNotifyValid(mask)) intake.context.log.warning(`${intake.state.queueId}: ignoring malformed DSN notify record <${value.slice(0, 200)}>`);
  else intake.wishes.dsnNotify = mask;
}

function keepAttribute({ state }: EnvelopeIntake, name: string, value: string): void {
  state.attributes.set(name, value);
  state.attribute(name, value);
}

function size({ state }: EnvelopeIntake, text: string): void {
  state.sendOptions |= (parseSize(text)?.sendOptions ?? 0) & sendOptionMask & ~derivedSendOptions;
}

const treatments: ReadonlyMap<number, Treat> = new Map<number, Treat>([
  [recordType.size, size],
  [recordType.time, time],
  [recordType.fullName, fullName],
  [recordType.sender, sender],
  [recordType.attribute, attribute],
  [recordType.recipient, recipient],
  [recordType.originalRecipient, (intake, text) => { intake.wishes.originalAddress = text; }],
  [recordType.dsnOrcpt, (intake, text) => { intake.wishes.dsnOrcpt = text; }],
  [recordType.dsnNotify, notify],
  [recordType.done, (intake) => { intake.wishes = noWishes(); }],
  [recordType.canceled, (intake) => { intake.wishes = noWishes(); }],
  [recordType.createTime, () => {}],
]);

/** Which rewriting the addresses in headers get: 'local', 'remote', or '' when headers are left alone (local_header_rewrite_clients). */
export function headerContext(state: MessageState, remoteDomain: string): string {
  const context = state.attributes.get(attributeName.rewriteContext) ?? rewriteContext.local;
  return context === rewriteContext.remote && remoteDomain === '' ? '' : context;
}
