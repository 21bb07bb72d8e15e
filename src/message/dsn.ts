/**
 * Delivery status: enhanced status codes (RFC 3463), and the NOTIFY and RET wishes of a sender (RFC 3461).
 *
 * Masks have Postfix's values, because queue files and the internal protocols carry them as numbers. What cannot be parsed
 * gives undefined (or length 0); the only throw is for a default status of our own that is none.
 */
import { isDigit, isWhite, splitList, trimLeft, upperAscii } from '../text/ascii.ts';

/** Length of the enhanced status code at the start of `text` ("5.1.1 no such user": 5), 0 when there is none. */
export function dsnValid(text: string): number {
  const first = text.charCodeAt(0);
  if ((first !== 0x32 && first !== 0x34 && first !== 0x35) || text.charCodeAt(1) !== dot) return 0;
  const subject = pastNumber(text, 2);
  if (subject === 2 || text.charCodeAt(subject) !== dot) return 0;
  const end = pastNumber(text, subject + 1);
  return end > subject + 1 && (end === text.length || isWhite(text.charCodeAt(end))) ? end : 0;
}

const dot = 0x2e;

/** Behind the digits at `at`, three of them at most. */
function pastNumber(text: string, at: number): number {
  let end = at;
  while (end < at + 3 && isDigit(text.charCodeAt(end))) end++;
  return end;
}

/** A text taken apart: status, and what remains without leading white space. */
export interface DsnSplit {
  readonly status: string;
  readonly text: string;
}

/** "5.1.1 no such user" becomes 5.1.1 and "no such user"; a text without a status gets `defaultStatus`. */
export function splitDsn(defaultStatus: string, text: string): DsnSplit {
  const start = trimLeft(text);
  const length = dsnValid(start);
  if (length > 0) return { status: start.slice(0, length), text: trimLeft(start.slice(length)) };
  const fallback = dsnValid(defaultStatus);
  if (fallback === 0) throw new Error(`bad default status "${defaultStatus}"`);
  return { status: defaultStatus.slice(0, fallback), text: start };
}

/** The same as one text, status first. */
export function withDsn(defaultStatus: string, text: string): string {
  const split = splitDsn(defaultStatus, text);
  return `${split.status} ${split.text}`;
}

/**
 * Status of an SMTP reply: the one the reply names when it agrees with the reply code, else X.0.0 after the first digit of the
 * code, and 5.5.0 (protocol error) when the code is none of 2xx, 4xx, 5xx.
 */
export function replyStatus(code: number, text = ''): string {
  const first = Math.floor(code / 100);
  if (first !== 2 && first !== 4 && first !== 5) return '5.5.0';
  const start = trimLeft(text);
  const length = dsnValid(start);
  return length > 0 && start.charCodeAt(0) === 0x30 + first ? start.slice(0, length) : `${first}.0.0`;
}

/** What a recipient's sender wants to hear of (RFC 3461 section 4.1). Zero: nothing was said. */
export const dsnNotify = { never: 1, success: 2, failure: 4, delay: 8 } as const;

/** How much of the message a report returns (RFC 3461 section 4.3). Zero: nothing was said. */
export const dsnRet = { full: 1, headers: 2 } as const;

const notifyNames: readonly (readonly [string, number])[] = [
  ['NEVER', dsnNotify.never],
  ['SUCCESS', dsnNotify.success],
  ['FAILURE', dsnNotify.failure],
  ['DELAY', dsnNotify.delay],
];
const anyNotify = dsnNotify.success | dsnNotify.failure | dsnNotify.delay;

/** RFC 3461 section 4.1: NEVER stands alone; the others may be combined. */
export function dsnNotifyValid(mask: number): boolean {
  return mask === dsnNotify.never || (mask !== 0 && mask === (mask & anyNotify));
}

/** "SUCCESS,failure" to a mask; undefined for an unknown or empty wish, or NEVER together with others. */
export function parseDsnNotify(text: string): number | undefined {
  let mask = 0;
  for (const word of splitList(text)) {
    const wish = notifyNames.find(([name]) => name === upperAscii(word));
    if (!wish) return undefined;
    mask |= wish[1];
  }
  return dsnNotifyValid(mask) ? mask : undefined;
}

/** A mask as the NOTIFY parameter spells it: "SUCCESS,FAILURE". */
export function renderDsnNotify(mask: number): string {
  return notifyNames.filter(([, bit]) => (mask & bit) !== 0).map(([name]) => name).join(',');
}

/** "FULL" or "HDRS", in whatever case; undefined for anything else. */
export function parseDsnRet(text: string): number | undefined {
  const word = upperAscii(text);
  return word === 'FULL' ? dsnRet.full : word === 'HDRS' ? dsnRet.headers : undefined;
}

export function dsnRetValid(code: number): boolean {
  return code === dsnRet.full || code === dsnRet.headers;
}

export function renderDsnRet(code: number): 'FULL' | 'HDRS' {
  return code === dsnRet.full ? 'FULL' : 'HDRS';
}

/** sysexits(3) statuses of commands and what they mean for a delivery. */
const exitStatuses: ReadonlyMap<number, DsnSplit> = new Map([
  [64, { status: '5.3.0', text: 'command line usage error' }],
  [65, { status: '5.6.0', text: 'data format error' }],
  [66, { status: '5.3.0', text: 'cannot open input' }],
  [67, { status: '5.1.1', text: 'user unknown' }],
  [68, { status: '5.1.2', text: 'host name unknown' }],
  [69, { status: '5.3.0', text: 'service unavailable' }],
  [70, { status: '5.3.0', text: 'internal software error' }],
  [71, { status: '4.3.0', text: 'system resource problem' }],
  [72, { status: '5.3.0', text: 'critical OS file missing' }],
  [73, { status: '5.2.0', text: "can't create user output file" }],
  [74, { status: '5.3.0', text: 'input/output error' }],
  [75, { status: '4.3.0', text: 'temporary failure' }],
  [76, { status: '5.5.0', text: 'remote error in protocol' }],
  [77, { status: '5.7.0', text: 'permission denied' }],
  [78, { status: '5.3.5', text: 'local configuration error' }],
]);

/** Status and text for a command's exit status; an unknown one is a permanent error that names the number. */
export function exitStatus(code: number): DsnSplit {
  return exitStatuses.get(code) ?? { status: '5.3.0', text: `unknown mail system error ${code}` };
}
