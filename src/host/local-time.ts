/** Local time as text, by strftime(3)'s patterns. The C library reads its zone file at the first call: make that before chroot(2). */
import { bind, cText } from './libc.ts';

const localtime = bind('void *localtime_r(const void *seconds, _Out_ void *parts)');
const strftime = bind('size_t strftime(_Out_ void *text, size_t size, const void *pattern, const void *parts)');

const largest = 64 << 10;

/** @param time milliseconds since 1970; the pattern and what comes of it are byte strings. '' also when that is too long. */
export function localTimeText(pattern: string, time: number): string {
  const seconds = Buffer.alloc(8);
  seconds.writeBigInt64LE(BigInt(Math.floor(time / 1000)));
  const parts = Buffer.alloc(56);
  localtime(seconds, parts);
  for (let size = pattern.length + 100; size <= largest; size *= 2) {
    const text = Buffer.alloc(size);
    const length = Number(strftime(text, size, cText(pattern), parts));
    if (length > 0) return text.toString('latin1', 0, length);
  }
  return '';
}
