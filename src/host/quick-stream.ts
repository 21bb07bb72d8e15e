/**
 * Reading and writing past the streams of Node's sockets while there is nothing in them: connections between our processes carry many
 * small frames, and a stream's queues, events and request objects cost more than these. Everything keeps its order: where something
 * waits, or the socket is not as we know it, the stream does it.
 */
import type net from 'node:net';
import { getSystemErrorName } from 'node:util';
import { giveRequest, node, takeRequest, waitsForKernel, writeTo, type Handle } from './tcp-handle.ts';
import { directly, type DirectReader } from './reading.ts';

function quickHandle(socket: net.Socket): Handle | undefined {
  if (node === undefined || socket.connecting || !socket.writable || socket.writableLength > 0 || socket.writableCorked > 0) return undefined;
  const { _handle: handle } = socket as unknown as { _handle?: Handle | null };
  return handle && typeof handle.writeLatin1String === 'function' && !('encrypted' in socket) ? handle : undefined;
}

/**
 * Bytes, or a byte string, leave now. What comes of it is told as for `socket.write`, but `unsent` counts them. True: the kernel has it all, so
 * that the memory may be used again.
 */
export function writeNow(socket: net.Socket, bytes: Buffer | string): boolean {
  const handle = quickHandle(socket);
  if (handle === undefined) {
    socket.write(bytes, 'latin1');
    return false;
  }
  const sent = takeRequest();
  const status = writeTo(handle, sent, bytes);
  if (waitsForKernel(status)) {
    waits(socket, bytes.length);
    sent.kept = bytes;
    sent.oncomplete = (late) => {
      waits(socket, -bytes.length);
      if (late < 0) failed(socket, late);
    };
    return false;
  }
  giveRequest(sent);
  if (status < 0) failed(socket, status);
  return true;
}

const unsentLength = Symbol('bytes that wait in the handle');
type WaitingSocket = net.Socket & { [unsentLength]?: number };

function waits(socket: WaitingSocket, length: number): void {
  socket[unsentLength] = (socket[unsentLength] ?? 0) + length;
}

/** Bytes that the kernel has not taken yet, in the stream or past it. */
export function unsent(socket: net.Socket): number {
  return socket.writableLength + ((socket as WaitingSocket)[unsentLength] ?? 0);
}

function failed(socket: net.Socket, status: number): void {
  const code = getSystemErrorName(status);
  socket.destroy(Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: 'write' }));
}

/** `read` hears what comes, as listeners of `data` do; with shared reads (reading.ts) it hears it without the stream. */
export function hear(socket: net.Socket, read: (bytes: Buffer) => void): void {
  socket.on('data', read);
  (socket as DirectReader)[directly] = read;
}
