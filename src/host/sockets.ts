/**
 * Raw sockets: made, bound and listening, as descriptors to keep or to give to a child. Nothing accepts here.
 *
 * All are close-on-exec and non-blocking. Errors carry `code` (EADDRINUSE, EACCES, ENAMETOOLONG, ...) and name the address.
 */
import { closeSync, constants as files, lstatSync, openSync, unlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { constants } from 'node:os';
import type { Socket } from 'node:net';
import { addressOf, bind, cText, check, closingOnError, lastErrno, stableBuffer, systemError } from './libc.ts';

const { EADDRINUSE, ECONNREFUSED, EINVAL, ENAMETOOLONG, ENOENT, EAGAIN, EEXIST } = constants.errno;
const family = { unix: 1, inet: 2, inet6: 10 } as const;
const kinds = { stream: 1, dgram: 2 } as const;
const atBirth = 0o2000000 | 0o4000; // SOCK_CLOEXEC | SOCK_NONBLOCK
const level = { socket: 1, tcp: 6, ipv6: 41 } as const;
const option = { noDelay: 1, reuseAddress: 2, sendBuffer: 7, receiveBuffer: 8, peerCredentials: 17, v6Only: 26 } as const;
const longestUnixPath = 107;

const socket = bind('int socket(int domain, int type, int protocol)');
const bindTo = bind('int bind(int fd, const void *address, uint32_t length)');
const listen = bind('int listen(int fd, int backlog)');
const connect = bind('int connect(int fd, const void *address, uint32_t length)');
const setsockopt = bind('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)');
const getsockopt = bind('int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ void *length)');
const inetPton = bind('int inet_pton(int family, const void *text, _Out_ void *address)');
const interfaceIndex = bind('uint32_t if_nametoindex(const void *name)');

/** sockaddr_in or sockaddr_in6 for a numeric address ('127.0.0.1', '::1', 'fe80::1%eth0'). */
export function inetAddress(address: string, port: number): Buffer {
  const [text = '', zone] = address.split('%', 2);
  const isV6 = text.includes(':');
  const bytes = Buffer.alloc(isV6 ? 28 : 16);
  bytes.writeUInt16LE(isV6 ? family.inet6 : family.inet, 0);
  bytes.writeUInt16BE(port, 2);
  const number = Buffer.alloc(16);
  if (inetPton(isV6 ? family.inet6 : family.inet, cText(text), number) !== 1) throw systemError('inet_pton', EINVAL, address);
  number.copy(bytes, isV6 ? 8 : 4, 0, isV6 ? 16 : 4);
  if (zone !== undefined) bytes.writeUInt32LE(interfaceIndex(cText(zone)), 24);
  return bytes;
}

/**
 * A TCP socket that listens at a numeric address. An IPv6 socket takes IPv6 clients only, so that '::' and '0.0.0.0' coexist.
 * Clients' sockets inherit that small writes leave at once (tcp(7) TCP_NODELAY), and the size of their buffers: `window` bytes, 0 for the
 * system's own choice.
 */
export function listenInet(address: string, port: number, backlog: number, window = 0): number {
  const where = inetAddress(address, port);
  const isV6 = where.length === 28;
  const on = Buffer.from(Uint32Array.of(1).buffer);
  const fd = check(socket(isV6 ? family.inet6 : family.inet, kinds.stream | atBirth, 0), 'socket', address);
  return closingOnError(fd, () => {
    const name = isV6 ? `[${address}]:${port}` : `${address}:${port}`;
    check(setsockopt(fd, level.socket, option.reuseAddress, on, 4), 'setsockopt', name);
    if (isV6) check(setsockopt(fd, level.ipv6, option.v6Only, on, 4), 'setsockopt', name);
    check(setsockopt(fd, level.tcp, option.noDelay, on, 4), 'setsockopt', name);
    check(bindTo(fd, where, where.length), 'bind', name);
    if (window > 0) setBuffers(fd, window);
    check(listen(fd, backlog), 'listen', name);
    return fd;
  });
}

// The system may give less, or refuse: mail comes all the same.
function setBuffers(fd: number, bytes: number): void {
  const size = Buffer.from(Uint32Array.of(bytes).buffer);
  for (const name of [option.sendBuffer, option.receiveBuffer]) setsockopt(fd, level.socket, name, size, 4);
}

/** sockaddr_un. */
function unixAddress(path: string): Buffer {
  const bytes = Buffer.from(path, 'latin1');
  if (bytes.length > longestUnixPath) throw systemError('socket path (longest is 107 bytes)', ENAMETOOLONG, path);
  if (bytes.includes(0)) throw systemError('socket path', EINVAL, path);
  const address = Buffer.alloc(2 + bytes.length + 1);
  address.writeUInt16LE(family.unix, 0);
  bytes.copy(address, 2);
  return address;
}

/**
 * Call `use` with a path to the same socket file that fits a socket address: a longer one is reached through a descriptor
 * of its directory.
 */
export function withSocketPath<T>(path: string, use: (path: string) => T): T {
  if (Buffer.byteLength(path, 'latin1') <= longestUnixPath) return use(path);
  const directory = openSync(Buffer.from(dirname(path), 'latin1'), files.O_RDONLY | files.O_DIRECTORY);
  try {
    return use(`/proc/self/fd/${directory}/${basename(path)}`);
  } finally {
    closeSync(directory);
  }
}

export interface UnixListener {
  /** Access mode of the socket file, for instance 0o666. */
  mode: number;
  /** Clients that may wait; of no meaning to 'dgram'. */
  backlog?: number;
  kind?: 'stream' | 'dgram';
}

/**
 * A UNIX-domain socket bound at `path`, listening when it is a stream. A socket file that nobody serves any more is replaced;
 * one that is served gives EADDRINUSE; anything else in its place (but a left-over FIFO) gives EEXIST.
 */
export function listenUnix(path: string, listener: UnixListener): number {
  const kind = listener.kind ?? 'stream';
  return withSocketPath(path, (short) => {
    removeStale(short, path, kind);
    const fd = check(socket(family.unix, kinds[kind] | atBirth, 0), 'socket', path);
    return closingOnError(fd, () => {
      bindUnderUmask(fd, short, path, listener.mode);
      if (kind === 'stream') check(listen(fd, listener.backlog ?? 100), 'listen', path);
      return fd;
    });
  });
}

/** The mode must hold from the first moment: there is no chmod for a socket that someone may connect to in between. */
function bindUnderUmask(fd: number, short: string, path: string, mode: number): void {
  const address = unixAddress(short);
  const before = process.umask(0o777 & ~mode);
  try {
    check(bindTo(fd, address, address.length), 'bind', path);
  } finally {
    process.umask(before);
  }
}

function removeStale(short: string, path: string, kind: 'stream' | 'dgram'): void {
  const name = Buffer.from(short, 'latin1');
  const found = lstatSync(name, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket() && !found.isFIFO()) throw systemError('bind (the file in its place is no socket)', EEXIST, path);
  if (found.isSocket() && isServed(short, kind)) throw systemError('bind', EADDRINUSE, path);
  unlinkSync(name);
}

/** Does a process hold the other end? A full queue of waiting clients (EAGAIN) is a living server too. */
function isServed(short: string, kind: 'stream' | 'dgram'): boolean {
  const fd = check(socket(family.unix, kinds[kind] | atBirth, 0), 'socket');
  try {
    const address = unixAddress(short);
    return connect(fd, address, address.length) >= 0 || ![ECONNREFUSED, ENOENT].includes(lastErrno());
  } finally {
    closeSync(fd);
  }
}

/** A datagram socket whose every write goes to `path`, for fs.writeSync: EAGAIN when the reader is slow, ECONNREFUSED when it is gone. */
export function connectDatagram(path: string): number {
  return withSocketPath(path, (short) => {
    const address = unixAddress(short);
    const fd = check(socket(family.unix, kinds.dgram | atBirth, 0), 'socket', path);
    return closingOnError(fd, () => {
      check(connect(fd, address, address.length), 'connect', path);
      return fd;
    });
  });
}

/** The descriptor below a net.Socket or net.Server, which stays theirs; undefined once closed. */
export function descriptorOf(stream: object): number | undefined {
  const fd = (stream as { _handle?: { fd?: number } })._handle?.fd;
  return fd !== undefined && fd >= 0 ? fd : undefined;
}

/** Who is at the other end of a UNIX-domain connection, as the kernel saw it at connect(2). */
export function peerCredentials(stream: number | Socket): { pid: number; uid: number; gid: number } {
  const fd = typeof stream === 'number' ? stream : descriptorOf(stream);
  if (fd === undefined) throw systemError('getsockopt', constants.errno.EBADF);
  const answer = Buffer.alloc(12);
  const length = Buffer.from(Uint32Array.of(12).buffer);
  check(getsockopt(fd, level.socket, option.peerCredentials, answer, length), 'getsockopt');
  return { pid: answer.readInt32LE(0), uid: answer.readUInt32LE(4), gid: answer.readUInt32LE(8) };
}

const sendmsg = bind('long sendmsg(int fd, const void *message, int flags)');
const recvmsg = bind('long recvmsg(int fd, _Inout_ void *message, int flags)');
const flags = { dontWait: 0x40, noSignal: 0x4000, closeOnExec: 0x40000000 } as const;
const rights = { space: 24, length: 20, type: 1 } as const;

/**
 * One area of memory for sendmsg and recvmsg: struct msghdr at 0, the one piece of bytes it names at 64, room for one
 * descriptor at 80, the bytes from 104 on. One area, because the pointers inside must not outlive what they lead to.
 */
function messageArea(length: number): Buffer {
  const area = stableBuffer(104 + length);
  const start = addressOf(area);
  area.writeBigUInt64LE(start + 64n, 16);
  area.writeBigUInt64LE(1n, 24);
  area.writeBigUInt64LE(start + 80n, 32);
  area.writeBigUInt64LE(BigInt(rights.space), 40);
  area.writeBigUInt64LE(start + 104n, 64);
  area.writeBigUInt64LE(BigInt(length), 72);
  return area;
}

/**
 * Send a descriptor and at least one byte over a UNIX-domain connection (SCM_RIGHTS). False when the connection cannot take
 * it now (EAGAIN). The descriptor stays open here: close it afterwards.
 */
export function passDescriptor(over: number, fd: number, text: Buffer = Buffer.from([0])): boolean {
  const area = messageArea(text.length);
  text.copy(area, 104);
  area.writeBigUInt64LE(BigInt(rights.length), 80);
  area.writeInt32LE(level.socket, 88);
  area.writeInt32LE(rights.type, 92);
  area.writeInt32LE(fd, 96);
  if (sendmsg(over, area, flags.dontWait | flags.noSignal) >= 0) return true;
  if (lastErrno() === EAGAIN) return false;
  throw systemError('sendmsg', lastErrno());
}

/**
 * Take a descriptor, and up to `room` bytes that came with it. `undefined` when nothing is there yet (see awaitReadable);
 * no bytes and no descriptor: the other end has closed. Bytes without a descriptor are possible: the sender decides.
 */
export function receiveDescriptor(over: number, room = 4096): { fd: number | undefined; bytes: Buffer } | undefined {
  const area = messageArea(room);
  const length = Number(recvmsg(over, area, flags.dontWait | flags.closeOnExec));
  if (length < 0 && lastErrno() === EAGAIN) return undefined;
  check(length, 'recvmsg');
  const came = area.readBigUInt64LE(40) >= BigInt(rights.length) && area.readInt32LE(92) === rights.type;
  return { fd: came ? area.readInt32LE(96) : undefined, bytes: Buffer.from(area.subarray(104, 104 + length)) };
}
