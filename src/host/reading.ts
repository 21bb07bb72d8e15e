/**
 * Sockets whose reads share memory.
 *
 * Node makes a buffer of 64 kB for each read of a socket, and V8 collects garbage early because of such buffers. Here all sockets of
 * the process read into one place, and what came is copied into a block that many reads share; whoever reads owns what
 * comes, as ever. A slice that is kept keeps its block, at most `blockSize` bytes.
 */
import net from 'node:net';
import { madeOutside } from './outside.ts';

const deskSize = 64 << 10;
const blockSize = 64 << 10;
/** What is larger has memory of its own. */
const largeRead = blockSize >> 2;

/** Where reads arrive. */
export const desk = Buffer.allocUnsafeSlow(deskSize);
let block = Buffer.allocUnsafeSlow(blockSize);
let used = 0;

/** The first `length` bytes on the desk, taken off it. */
export function taken(length: number): Buffer {
  if (length > largeRead) {
    madeOutside(length);
    return Buffer.from(desk.subarray(0, length));
  }
  if (used + length > blockSize) {
    block = Buffer.allocUnsafeSlow(blockSize);
    used = 0;
  }
  desk.copy(block, used, 0, length);
  return block.subarray(used, used += length);
}

/** Whoever hears a socket's bytes without its stream (quick-stream.ts). */
export const directly = Symbol('read directly');
export type DirectReader = net.Socket & { [directly]?: (bytes: Buffer) => void };

function told(this: DirectReader, length: number): boolean {
  const read = this[directly];
  if (read === undefined || this.readableFlowing !== true || this.readableLength > 0) return this.push(taken(length));
  read(taken(length));
  return true;
}

/** Put among the options of a new socket. */
export const sharedReads: Pick<net.SocketConstructorOpts, 'onread'> = { onread: { buffer: desk, callback: told } };

interface ServerHandle { onconnection?: (status: number, client: object | undefined) => void }

/** A socket with shared reads on a handle of Node's (see takeHandles). */
export function sharedSocket(handle: object): net.Socket {
  return new net.Socket({ ...sharedReads, handle, allowHalfOpen: true, readable: true, writable: true } as net.SocketConstructorOpts);
}

/**
 * What a listening server accepts comes as Node's handles instead of sockets: Node has no option for shared reads there. Where the server is
 * not as we know it, its sockets are Node's own, and 'connection' tells of them as before.
 */
export function takeHandles(server: net.Server, accepted: (handle: object) => void): void {
  const handle = (server as unknown as { _handle?: ServerHandle | null })._handle;
  const usual = handle?.onconnection;
  if (!handle || typeof usual !== 'function') return;
  handle.onconnection = function (status, client) {
    if (status !== 0 || client === undefined) return usual.call(this, status, client);
    accepted(client);
  };
}

interface ReadingHandle { reading: boolean; readStop(): number }

/**
 * Take nothing more from the kernel; the answer is what was taken already. Somebody else may read on from here; of sockets
 * with shared reads `resume` does too.
 */
export function stopReading(socket: net.Socket): Buffer {
  const handle = (socket as unknown as { _handle?: ReadingHandle | null })._handle;
  const stop = (): void => {
    if (!handle) return;
    handle.reading = false;
    handle.readStop();
  };
  socket.pause();
  stop();
  const taken = socket.readableLength > 0 ? socket.read() as Buffer : Buffer.alloc(0);
  // Reading what there was makes a stream ask for more.
  stop();
  return taken;
}
