/**
 * Queue ids: the name of a message, and of its file, for as long as it is in the queue.
 *
 * A short id is the microseconds of its birth (five hexadecimal digits) and the file's inode number (hexadecimal): it may come
 * again. A long one (enable_long_queue_ids) is seconds, microseconds, `z`, inode number, in an alphabet without vowels: it never
 * does. Both are Postfix's (mail_queue(3)). What is no queue id gives false or undefined; nothing throws.
 */
import {
  composeQueueId, microsecondsWidth, queueIdDigits as alphabet, queueIdSeparator as separator, queueIdTimeBase as timeBase, secondsWidth, shortTime,
} from '../message/queue-id.ts';
import type { TimeValue } from '../text/time.ts';

export { composeQueueId };

const inodeBase = 51;
/** As long as a host name: the flush queue names its files after destinations. */
const longestName = 255;
const shortTimeWidth = 5;

const values: ReadonlyMap<string, number> = new Map(Array.from(alphabet, (letter, value) => [letter, value]));

function encodeNumber(value: bigint, base: number): string {
  let text = '';
  for (let rest = value; rest > 0n; rest /= BigInt(base)) text = alphabet[Number(rest % BigInt(base))] + text;
  return text;
}

function decodeNumber(text: string, base: number): bigint | undefined {
  let sum = 0n;
  for (const letter of text) {
    const value = values.get(letter);
    if (value === undefined || value >= base) return undefined;
    sum = sum * BigInt(base) + BigInt(value);
  }
  return text === '' || sum >= 1n << 64n ? undefined : sum;
}

/** An id for a file with this inode number, made at this moment. */
export function makeQueueId(time: TimeValue, inode: bigint, long: boolean): string {
  return composeQueueId(time, inodeText(inode, long), long);
}

/** An inode number as it stands in a queue id. */
export function inodeText(inode: bigint, long: boolean): string {
  return long ? encodeNumber(inode, inodeBase) : inode.toString(16).toUpperCase();
}

/**
 * May this be used as a file name in the queue? Letters, digits and `_` only, so never `/` or `..`: Postfix's own rule, which also
 * lets the names of flush logs pass.
 */
export function queueIdOk(id: string): boolean {
  if (id === '' || id.length > longestName) return false;
  return /^[0-9A-Za-z_]+$/.test(id);
}

/** Where the `z` of a long id stands; -1 when it is a short one. */
function separatorAt(id: string): number {
  const at = id.lastIndexOf(separator);
  return at >= secondsWidth + microsecondsWidth ? at : -1;
}

export function isLongQueueId(id: string): boolean {
  return separatorAt(id) >= 0;
}

/** The inode number an id was made of. */
export function inodeOf(id: string): bigint | undefined {
  const at = separatorAt(id);
  if (at >= 0) return decodeNumber(id.slice(at + 1), inodeBase);
  const digits = id.slice(shortTimeWidth);
  return /^[0-9A-Fa-f]{1,16}$/.test(digits) ? BigInt(`0x${digits}`) : undefined;
}

/** When a long id was given; a short one does not tell. */
export function arrivalOf(id: string): TimeValue | undefined {
  const at = separatorAt(id);
  if (at < 0) return undefined;
  const seconds = decodeNumber(id.slice(0, at - microsecondsWidth), timeBase);
  const microseconds = decodeNumber(id.slice(at - microsecondsWidth, at), timeBase);
  if (seconds === undefined || microseconds === undefined) return undefined;
  return { seconds: Number(seconds), microseconds: Number(microseconds) };
}

/** The text whose first letters choose the subdirectory: the id, or for a long one its microseconds as a short id has them. */
export function hashText(id: string): string {
  const at = separatorAt(id);
  return at < 0 ? id : shortTime(Number(decodeNumber(id.slice(at - microsecondsWidth, at), timeBase) ?? 0n));
}

/** The id that fits a file whose inode number changed (restored from a backup), or that must become a short one (postsuper -s). */
export function renameToInode(id: string, inode: bigint, longIds: boolean): string {
  const at = separatorAt(id);
  if (at < 0) return id.slice(0, shortTimeWidth) + inodeText(inode, false);
  return longIds ? id.slice(0, at) + separator + inodeText(inode, true) : hashText(id) + inodeText(inode, false);
}
