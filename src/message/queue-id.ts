/**
 * How a queue id is put together of a moment and an inode number, for all who name messages: the queue itself, and mail sources
 * that hold a reservation of it. What the parts mean, and taking ids apart, is queue/queue-id.ts. Nothing throws.
 */
import type { TimeValue } from '../text/time.ts';

/** Digits of a long queue id: no vowels, so that no id is a word. */
export const queueIdDigits = '0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz';
export const queueIdTimeBase = 52;
export const secondsWidth = 6;
export const microsecondsWidth = 4;
/** Between time and inode number of a long id; no digit of the inode number, which is in base 51. */
export const queueIdSeparator = 'z';
const shortTimeWidth = 5;

/** What the last long id of the same second began with. */
let lastSeconds = -1;
let lastSecondsText = '';

function digits(value: number, width: number): string {
  let text = '';
  for (let rest = value; rest > 0; rest = Math.floor(rest / queueIdTimeBase)) text = queueIdDigits[rest % queueIdTimeBase] + text;
  return text.padStart(width, '0');
}

/** The microseconds as they stand in front of a short id: five hexadecimal digits. */
export function shortTime(microseconds: number): string {
  return microseconds.toString(16).toUpperCase().padStart(shortTimeWidth, '0');
}

/** The id of a message of this moment. `inode` is the inode number as text: hexadecimal for a short id, base 51 for a long one. */
export function composeQueueId({ seconds, microseconds }: TimeValue, inode: string, long: boolean): string {
  if (!long) return shortTime(microseconds) + inode;
  if (seconds !== lastSeconds) {
    lastSeconds = seconds;
    lastSecondsText = digits(seconds, secondsWidth);
  }
  return lastSecondsText + digits(microseconds, microsecondsWidth) + queueIdSeparator + inode;
}
