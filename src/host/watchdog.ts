/**
 * A process whose event loop stands still cannot end itself: the kernel does it, with SIGALRM, when the loop has not come round for so long.
 *
 * Who started the process sees that it was killed by that signal. A stopped process is killed when it goes on.
 */
import { bind } from './libc.ts';

const setitimer = bind('int setitimer(int which, const uint8_t *value, uint8_t *old)');
const realTime = 0;
/** So often within the time limit the loop says that it goes round. */
const steps = 3;
/** What a timer of Node's can wait for at most, milliseconds. */
const longest = 0x7fff_ffff;

/** From now on. @param limit milliseconds. Answers how to end the watch. Throws when the C library cannot be had. */
export function startWatchdog(limit: number): () => void {
  arm(limit);
  const timer = setInterval(() => arm(limit), Math.min(limit / steps, longest)).unref();
  return () => {
    clearInterval(timer);
    arm(0);
  };
}

/** struct itimerval: interval (none), then value, as seconds and microseconds. */
function arm(milliseconds: number): void {
  const value = Buffer.alloc(32);
  value.writeBigInt64LE(BigInt(Math.floor(milliseconds / 1000)), 16);
  value.writeBigInt64LE(BigInt(Math.round(milliseconds % 1000) * 1000), 24);
  setitimer(realTime, value, null);
}
