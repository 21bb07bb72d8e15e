/**
 * File descriptors as such: copies, flags, and knowing when one can be read.
 *
 * `awaitReadable` and ReadWatch use the event loop's own poller (epoll): no thread waits. They throw Errors with `code`.
 */
import { closeSync } from 'node:fs';
import { bind, check, ffi } from './libc.ts';

const fcntl = bind('int fcntl(int fd, int command, long value)');
const commands = { dupCloseOnExec: 1030, getFlags: 1, setFlags: 2, getStatus: 3, setStatus: 4 } as const;
const closeOnExec = 1;
const nonBlocking = 0o4000;

/** A copy of a descriptor, closed on exec. */
export function dup(fd: number): number {
  return check(fcntl(fd, commands.dupCloseOnExec, 3), 'dup');
}

/** Is the descriptor open at all? */
export function isOpen(fd: number): boolean {
  return fcntl(fd, commands.getFlags, 0) >= 0;
}

export function setCloseOnExec(fd: number, on: boolean): void {
  const flags = check(fcntl(fd, commands.getFlags, 0), 'fcntl');
  check(fcntl(fd, commands.setFlags, on ? flags | closeOnExec : flags & ~closeOnExec), 'fcntl');
}

export function isCloseOnExec(fd: number): boolean {
  return (check(fcntl(fd, commands.getFlags, 0), 'fcntl') & closeOnExec) !== 0;
}

export function setNonBlocking(fd: number, on: boolean): void {
  const flags = check(fcntl(fd, commands.getStatus, 0), 'fcntl');
  check(fcntl(fd, commands.setStatus, on ? flags | nonBlocking : flags & ~nonBlocking), 'fcntl');
}

const poll = bind('int poll(void *set, ulong count, int timeout)');

/** Which of these descriptors can be read (or have ended) this very moment? poll(2) without waiting. */
export function readableNow(fds: readonly number[]): number[] {
  const set = Buffer.alloc(fds.length * 8);
  fds.forEach((fd, i) => {
    set.writeInt32LE(fd, i * 8);
    set.writeInt16LE(1, i * 8 + 4);
  });
  if (check(poll(set, fds.length, 0), 'poll') === 0) return [];
  return fds.filter((_, i) => set.readInt16LE(i * 8 + 6) !== 0);
}

interface PollHandle {
  start(options: { readable?: boolean }, callback: () => void): void;
  close(): void;
  ref(): void;
  unref(): void;
}

/**
 * Tells when a client waits at one of a set of listening sockets, without accepting it. Level-triggered: `onReadable` runs
 * again on each turn of the loop while the client still waits, so unwatch before giving the socket to a child.
 * The descriptor stays the caller's; unwatch it before closing it.
 */
export class ReadWatch {
  readonly #watched = new Map<number, PollHandle>();

  watch(fd: number, onReadable: (fd: number) => void): void {
    this.unwatch(fd);
    const started = ffi().node.poll(fd, { readable: true }, () => this.#later(fd, handle, onReadable));
    const handle = started as PollHandle;
    this.#watched.set(fd, handle);
  }

  /** The poller calls us outside of Node's usual frame, where promises would not run on and a throw would be lost. */
  #later(fd: number, handle: PollHandle, onReadable: (fd: number) => void): void {
    setImmediate(() => {
      if (this.#watched.get(fd) === handle) onReadable(fd);
    });
  }

  watches(fd: number): boolean {
    return this.#watched.has(fd);
  }

  unwatch(fd: number): void {
    this.#watched.get(fd)?.close();
    this.#watched.delete(fd);
  }

  /** Let the process end although something is watched. */
  unref(): void {
    for (const handle of this.#watched.values()) handle.unref();
  }

  close(): void {
    for (const fd of [...this.#watched.keys()]) this.unwatch(fd);
  }
}

/** Wait until a descriptor can be read; false after `milliseconds`. Works beside a net.Socket on the same descriptor. */
export function awaitReadable(fd: number, milliseconds: number): Promise<boolean> {
  const copy = dup(fd);
  const watch = new ReadWatch();
  return new Promise((resolve) => {
    const finish = (answer: boolean) => {
      clearTimeout(timer);
      watch.close();
      // The poller lets go of the descriptor at the end of this turn; closing it earlier would confuse a new owner of the number.
      setImmediate(() => closeSync(copy));
      resolve(answer);
    };
    const timer = setTimeout(finish, milliseconds, false);
    watch.watch(copy, () => finish(true));
  });
}
