/**
 * What a local user may hand in: the records of sendmail(1), checked as postdrop(1) does before anything is believed of them.
 *
 * A pure filter. Every record gives one step: keep it, leave it out (perhaps with a warning), or refuse the whole message. The
 * time is never the user's: time records are left out, and whoever uses the filter writes one first. A message is complete when
 * `ended`; `status` then says whether it has a sender and a recipient.
 */
import { attributeName, bodyEncoding, rewriteContext, splitAttribute, traceFlag } from './envelope-names.ts';
import { recordText, recordType, recordTypeName, segmentTypes, typeIn } from './record.ts';

export type SubmissionStep =
  | { readonly kind: 'keep'; readonly type: number; readonly payload: Buffer | string }
  | { readonly kind: 'drop'; readonly warning?: string }
  /** The text for the log, without the user's id. */
  | { readonly kind: 'refuse'; readonly reason: string };

const segments = [segmentTypes.submittedEnvelope, segmentTypes.submittedContent, segmentTypes.submittedExtracted] as const;
const drop: SubmissionStep = { kind: 'drop' };
/** Text of a user's that a log line shows at most. */
const shown = 200;

/** Attributes about delivery status that a user may give, whatever their values. */
const dsnNames: ReadonlySet<string> = new Set([
  attributeName.dsnEnvid, attributeName.dsnNotify, attributeName.dsnOrcpt, attributeName.dsnRet, attributeName.createTime,
]);
const encodings: ReadonlySet<string> = new Set(Object.values(bodyEncoding));
const contexts: ReadonlySet<string> = new Set(Object.values(rewriteContext));

export class SubmissionFilter {
  #segment = 0;
  #senders = 0;
  #recipients = 0;

  /** The content began. */
  get begun(): boolean {
    return this.#segment > 0;
  }

  /** The end record came. */
  get ended(): boolean {
    return this.#segment === segments.length;
  }

  /** Has it what every message must have? To be asked when it has ended. */
  get isComplete(): boolean {
    return this.ended && this.#senders > 0 && this.#recipients > 0;
  }

  take({ type, data }: { readonly type: number; readonly data: Buffer }): SubmissionStep {
    // A message from the maildrop has one, of the program that put it there.
    if (type === recordType.time && this.#segment === 0) return drop;
    const allowed = segments[this.#segment];
    if (allowed === undefined || !typeIn(allowed, type)) return { kind: 'refuse', reason: `unexpected record type: ${type}` };
    const isText = type === recordType.normal || type === recordType.partial;
    if (!isText && hasLineBreak(data)) return { kind: 'refuse', reason: `null or line break in '${recordTypeName(type)}' record type: ${shownText(data)}` };
    if (type === allowed.charCodeAt(0)) this.#segment++;
    if (type === recordType.sender) this.#senders++;
    if (type === recordType.recipient) this.#recipients++;
    return type === recordType.attribute ? attributeStep(data.toString('latin1')) : { kind: 'keep', type, payload: data };
  }
}

/** What would not be one line of a log, or one address, later. */
function hasLineBreak(data: Buffer): boolean {
  return data.includes(0) || data.includes(10) || data.includes(13);
}

function shownText(data: Buffer): string {
  return recordText({ data }).slice(0, shown);
}

function attributeStep(text: string): SubmissionStep {
  const split = splitAttribute(text);
  if ('error' in split) return { kind: 'drop', warning: `ignoring malformed record: ${split.error}: ${text.slice(0, shown)}` };
  const { name, value } = split;
  if (name === attributeName.traceFlags) return traceStep(value);
  if (mayBeGiven(name, value)) return { kind: 'keep', type: recordType.attribute, payload: `${name}=${value}` };
  return { kind: 'drop', warning: `ignoring attribute record: ${name.slice(0, shown)}=${value.slice(0, shown)}` };
}

/** `sendmail -v` and `-bv`, and nothing that only the mail system may ask for. */
function traceStep(value: string): SubmissionStep {
  const flags = Number(/^[0-9]{1,9}/.exec(value)?.[0] ?? 0);
  if (flags !== traceFlag.userVerify && flags !== traceFlag.record)
    return { kind: 'drop', warning: `ignoring unexpected trace flags: ${value.slice(0, shown)}` };
  return { kind: 'keep', type: recordType.attribute, payload: `${attributeName.traceFlags}=${flags}` };
}

function mayBeGiven(name: string, value: string): boolean {
  if (name === attributeName.encoding) return encodings.has(value);
  if (name === attributeName.rewriteContext) return contexts.has(value);
  return dsnNames.has(name);
}
