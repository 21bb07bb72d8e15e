/**
 * Reading and writing past the streams of Node's sockets while there is nothing in them: connections between our processes carry many
 * small frames, and a stream's queues, events and request objects cost more than these. Everything keeps its order: where something
 * waits, or the socket is not as we know it, the stream does it.
 */
import type net from 'node:net';
import { getSystemErrorName } from 'node:util';
import { giveRequest, node, takeRequest, waitsForKernel, type Handle } from './tcp-handle.ts';
import { directly, type DirectReader } from './reading.ts';

function quickHandle(socket: net.Socket): Handle | undefined {
  if (node === undefined || socket.connecting || !socket.writable || socket.writableLength > 0 || socket.writableCorked > 0) return undefined;
  const { _handle: handle } = socket as unknown as { _handle?: Handle | null };
  return handle && typeof handle.writeLatin1String === 'function' && !('encrypted' in socket) ? handle : undefined;
}

/** A byte string leaves now. What comes of it is told as for `socket.write`; its length is not in `writableLength`. */
export function writeNow(socket: net.Socket, text: string): void {
  const handle = quickHandle(socket);
  if (handle === undefined) return void socket.write(text, 'latin1');
  const sent = takeRequest();
  const status = handle.writeLatin1String(sent, text);
  if (waitsForKernel(status)) {
    sent.oncomplete = (late) => { if (late < 0) failed(socket, late); };
    return;
  }
  giveRequest(sent);
  if (status < 0) failed(socket, status);
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
