/**
 * Pipes as C programs expect them at their standard input and output. (What Node calls a pipe is a socket, and opening
 * /dev/stdin then fails.)
 */
import { bind, check } from './libc.ts';

const pipe2 = bind('int pipe2(_Out_ int *ends, int flags)');
const closeOnExec = 0o2000000;

/** Two descriptors, closed on exec; what is written to `writable` comes out at `readable`. Throws an Error with `code`. */
export function makePipe(): { readable: number; writable: number } {
  const ends = [0, 0];
  check(pipe2(ends, closeOnExec), 'pipe2');
  return { readable: ends[0]!, writable: ends[1]! };
}
