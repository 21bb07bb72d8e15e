/**
 * Many streams on one thread with nothing between a program and the kernel: for load generators and sinks, whose own cost must not
 * be what they measure. A loop of its own (epoll), descriptors instead of objects, one receive buffer for all.
 *
 * `run` blocks: Node's loop stands still meanwhile, so nothing else of the process may wait for it. Failed calls give negative error
 * numbers where a program goes on, and throw Errors shaped like Node's where it cannot. What a loop holds is bounded by its watches.
 */
import { chmodSync, closeSync, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { bind, byArchitecture, check, closingOnError, cText, lastErrno, stableBuffer, systemError } from './libc.ts';
import { inetAddress } from './sockets.ts';

const { EINPROGRESS, EINTR, ENAMETOOLONG } = constants.errno;
const longestUnixPath = 107;
const families = { unix: 1, inet: 2, inet6: 10 } as const;
const stream = 1;
const atBirth = 0o2000000 | 0o4000; // SOCK_CLOEXEC | SOCK_NONBLOCK
const level = { socket: 1, tcp: 6, ipv6: 41 } as const;
const option = { noDelay: 1, reuseAddress: 2, error: 4, sendBuffer: 7, receiveBuffer: 8, linger: 13, reusePort: 15, v6Only: 26 } as const;

const socketCall = bind('int socket(int domain, int type, int protocol)');
const bindTo = bind('int bind(int fd, const void *address, uint32_t length)');
const listenCall = bind('int listen(int fd, int backlog)');
const connectCall = bind('int connect(int fd, const void *address, uint32_t length)');
const acceptCall = bind('int accept4(int fd, _Out_ void *address, _Inout_ void *length, int flags)');
const setsockopt = bind('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)');
const getsockopt = bind('int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ void *length)');
const recv = bind('int64_t recv(int fd, _Out_ void *bytes, size_t length, int flags)');
const sendCall = bind('int64_t send(int fd, const void *bytes, size_t length, int flags)');
const close = bind('int close(int fd)');
const epollCreate = bind('int epoll_create1(int flags)');
const epollControl = bind('int epoll_ctl(int epoll, int operation, int fd, const void *event)');
const epollWait = bind('int epoll_wait(int epoll, _Out_ void *events, int count, int timeout)');

const noSignal = 0x4000;

/** Where a stream leads: a socket address as the kernel takes it. */
export interface StreamAddress {
  readonly family: 'unix' | 'inet' | 'inet6';
  readonly bytes: Buffer;
}

/** `address` is numeric. */
export function inetStreamAddress(address: string, port: number): StreamAddress {
  return { family: address.includes(':') ? 'inet6' : 'inet', bytes: inetAddress(address, port) };
}

/** ENAMETOOLONG when the path does not fit. */
export function unixStreamAddress(path: string): StreamAddress {
  const name = cText(path);
  if (name.length - 1 > longestUnixPath) throw systemError('socket', ENAMETOOLONG, path);
  const bytes = Buffer.alloc(110);
  bytes.writeUInt16LE(families.unix, 0);
  name.copy(bytes, 2);
  return { family: 'unix', bytes };
}

function word(value: number): Buffer {
  return Buffer.from(Int32Array.of(value).buffer);
}

const on = word(1);

function setWindow(fd: number, window: number): void {
  if (window <= 0) return;
  setsockopt(fd, level.socket, option.sendBuffer, word(window), 4);
  setsockopt(fd, level.socket, option.receiveBuffer, word(window), 4);
}

/**
 * A listening socket; `window` (bytes, 0: the kernel's) is the buffer size that clients' sockets inherit. A UNIX-domain socket
 * replaces what has its name, and everyone may connect to it. Errors have `syscall`: socket, bind, listen.
 */
export function listenStream({ family, bytes }: StreamAddress, backlog: number, window = 0): number {
  const path = family === 'unix' ? bytes.toString('latin1', 2, bytes.indexOf(0, 2)) : undefined;
  const fd = check(socketCall(families[family], stream | atBirth, 0), 'socket');
  return closingOnError(fd, () => {
    if (path === undefined) prepareInet(fd, family);
    else removeFile(path);
    check(bindTo(fd, bytes, bytes.length), 'bind');
    if (path !== undefined) chmodSync(Buffer.from(path, 'latin1'), 0o666);
    setWindow(fd, window);
    check(listenCall(fd, backlog), 'listen');
    return fd;
  });
}

function prepareInet(fd: number, family: string): void {
  if (family === 'inet6') check(setsockopt(fd, level.ipv6, option.v6Only, on, 4), 'setsockopt');
  check(setsockopt(fd, level.socket, option.reuseAddress, on, 4), 'setsockopt');
  check(setsockopt(fd, level.socket, option.reusePort, on, 4), 'setsockopt');
  check(setsockopt(fd, level.tcp, option.noDelay, on, 4), 'setsockopt');
}

function removeFile(path: string): void {
  try {
    unlinkSync(Buffer.from(path, 'latin1'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

const lingerNothing = Buffer.from(Int32Array.of(1, 0).buffer);

/**
 * Begin to connect. Closing such a stream resets it, so that the port is free again at once. `pending`: it is writable when it has
 * been decided (see `streamError`). A negative `fd` is the error number of a connection that failed already.
 */
export function connectStream({ family, bytes }: StreamAddress, window = 0): { readonly fd: number; readonly pending: boolean } {
  const fd = check(socketCall(families[family], stream | atBirth, 0), 'socket');
  setsockopt(fd, level.socket, option.linger, lingerNothing, 8);
  if (family !== 'unix') setsockopt(fd, level.tcp, option.noDelay, on, 4);
  setWindow(fd, window);
  if (connectCall(fd, bytes, bytes.length) === 0) return { fd, pending: false };
  const errno = lastErrno();
  if (errno === EINPROGRESS) return { fd, pending: true };
  close(fd);
  return { fd: -errno, pending: false };
}

/** The error number of a connection that was under way; 0: it stands. */
export function streamError(fd: number): number {
  const value = Buffer.alloc(4);
  if (getsockopt(fd, level.socket, option.error, value, word(4)) < 0) return lastErrno();
  return value.readInt32LE(0);
}

const peerAddress = stableBuffer(128);
const peerLength = stableBuffer(4);

/** The next client that waits; negative: there is none. `peer()` tells who it is until the next call. */
export function acceptStream(listener: number): number {
  peerLength.writeInt32LE(128, 0);
  return acceptCall(listener, peerAddress, peerLength, atBirth);
}

/** The client that acceptStream gave last: an address, or 'local'. */
export function peer(): { readonly family: StreamAddress['family']; readonly address: string } {
  const family = peerAddress.readUInt16LE(0);
  if (family === families.inet) return { family: 'inet', address: peerAddress.subarray(4, 8).join('.') };
  if (family === families.inet6) return { family: 'inet6', address: shortIpv6(peerAddress.subarray(8, 24)) };
  return { family: 'unix', address: 'local' };
}

/** RFC 5952. */
export function shortIpv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  const text = groups.join(':');
  let longest = { index: 0, run: '' };
  for (const { 0: run, index } of text.matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g)) if (run.length > longest.run.length) longest = { index, run };
  if (longest.run === '') return text;
  return `${text.slice(0, longest.index).replace(/:$/, '')}::${text.slice(longest.index + longest.run.length).replace(/^:/, '')}`;
}

/** What `receive` fills. Whoever wants to keep bytes copies them. */
export const received = stableBuffer(64 << 10);

/** How many bytes came into `received`; 0: the peer has ended; negative: none now, or an error (`wouldBlock` tells). */
export function receive(fd: number): number {
  return Number(recv(fd, received, received.length, 0));
}

/** How many of the bytes the kernel took; negative: none now, or an error (`wouldBlock` tells). */
export function send(fd: number, bytes: Buffer): number {
  return Number(sendCall(fd, bytes, bytes.length, noSignal));
}

/** Was the last failure only that nothing could be done now? */
export function wouldBlock(): boolean {
  const errno = lastErrno();
  return errno === constants.errno.EAGAIN || errno === EINTR;
}

export interface Watcher {
  /** The descriptor can be read (or has ended), or can be written, whichever was asked for. */
  ready(): void;
}

interface Timer {
  readonly due: number;
  readonly run: () => void;
}

const operation = { add: 1, remove: 2, change: 3 } as const;
const events = { read: 1, write: 4 } as const;
const batch = 256;
/** struct epoll_event is packed on x86-64 alone: its size, and where its descriptor stands. */
const eventShape = byArchitecture({ x64: { size: 12, fd: 4 }, arm64: { size: 16, fd: 8 } });

export class StreamLoop {
  /** Milliseconds, never backwards; of the present turn. */
  now = performance.now();
  readonly #epoll: number;
  readonly #watchers: (Watcher | undefined)[] = [];
  readonly #timers: Timer[] = [];
  readonly #found = stableBuffer(eventShape.size * batch);
  readonly #event = stableBuffer(eventShape.size);
  #ended = false;

  constructor() {
    this.#epoll = check(epollCreate(0o2000000), 'epoll_create1');
  }

  watch(fd: number, what: 'read' | 'write', watcher: Watcher): void {
    const known = this.#watchers[fd] !== undefined;
    this.#watchers[fd] = watcher;
    this.#control(known ? operation.change : operation.add, fd, events[what]);
  }

  unwatch(fd: number): void {
    if (this.#watchers[fd] === undefined) return;
    this.#watchers[fd] = undefined;
    this.#control(operation.remove, fd, 0);
  }

  /** Close a descriptor, watched or not. */
  close(fd: number): void {
    this.#watchers[fd] = undefined;
    close(fd);
  }

  after(milliseconds: number, run: () => void): Timer {
    const timer = { due: this.now + milliseconds, run };
    const later = this.#timers.findIndex(({ due }) => due > timer.due);
    this.#timers.splice(later < 0 ? this.#timers.length : later, 0, timer);
    return timer;
  }

  cancel(timer: Timer): void {
    const at = this.#timers.indexOf(timer);
    if (at >= 0) this.#timers.splice(at, 1);
  }

  /** Until `end` is called; `turn` runs after what each wake-up brought. */
  run(turn: () => void = () => {}): void {
    while (!this.#ended) {
      const count = epollWait(this.#epoll, this.#found, batch, this.#patience());
      this.now = performance.now();
      for (let at = 0; at < count && !this.#ended; at++) this.#watchers[this.#found.readInt32LE(at * eventShape.size + eventShape.fd)]?.ready();
      if (this.#timers.length > 0) this.#due();
      turn();
    }
    closeSync(this.#epoll);
  }

  end(): void {
    this.#ended = true;
  }

  #patience(): number {
    const first = this.#timers[0];
    return first === undefined ? -1 : Math.max(Math.ceil(first.due - performance.now()), 0);
  }

  #due(): void {
    while (!this.#ended && this.#timers.length > 0 && this.#timers[0]!.due <= this.now) this.#timers.shift()!.run();
  }

  #control(what: number, fd: number, wanted: number): void {
    this.#event.writeUInt32LE(wanted, 0);
    this.#event.writeInt32LE(fd, eventShape.fd);
    check(epollControl(this.#epoll, what, fd, this.#event), 'epoll_ctl');
  }
}
