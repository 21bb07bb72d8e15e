/**
 * A client that postscreen(8) passes on over a row of type `pass`: its descriptor, who it is, and what it has said already.
 *
 * Written as Postfix writes it: one byte with the descriptor (SCM_RIGHTS), then attributes; `unread` is ours, in base64, and unknown to
 * Postfix's smtpd, which skips it. The receiver closes the connection when it has the client, and so tells the sender. Never throws.
 */
import { closeSync } from 'node:fs';
import net from 'node:net';
import { awaitReadable } from '../host/descriptors.ts';
import { errorText } from '../host/libc.ts';
import { sharedReads } from '../host/reading.ts';
import { descriptorOf, passDescriptor, receiveDescriptor } from '../host/sockets.ts';
import { encode } from '../ipc/shape.ts';
import type { Log } from '../log/log.ts';
import type { ConnectionEnds } from './daemon.ts';

export interface PassedClient {
  readonly socket: net.Socket;
  readonly ends: ConnectionEnds;
}

/** Milliseconds for a descriptor or its attributes to come, and bytes of attributes. */
const patience = 100_000;
const attributeLimit = 256 << 10;

const endShape = { client_address: 'text', client_port: 'text', server_address: 'text', server_port: 'text' } as const;

/** Take the client that comes over `carrier`, which is closed; undefined: none came, and the log knows why. */
export async function receivePassed(carrier: net.Socket, log: Log): Promise<PassedClient | undefined> {
  const over = descriptorOf(carrier);
  let fd: number | undefined;
  try {
    if (over === undefined) throw new Error('connection closed');
    const first = await receive(over, 'file descriptor');
    fd = first.fd;
    if (fd === undefined) throw new Error('cannot receive file descriptor');
    const attributes = await attributesOf(over, first.bytes.subarray(1));
    const ends = endsOf(attributes);
    const socket = socketOf(fd, Buffer.from(attributes.get('unread') ?? '', 'base64'));
    fd = undefined;
    return { socket, ends };
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    log.warning(`pass: ${errorText(error)}`);
    return undefined;
  } finally {
    carrier.destroy();
  }
}

async function receive(over: number, what: string): Promise<{ fd: number | undefined; bytes: Buffer }> {
  for (;;) {
    const received = receiveDescriptor(over, 64 << 10);
    if (received !== undefined) return received;
    if (!(await awaitReadable(over, patience))) throw new Error(`timeout receiving ${what}`);
  }
}

async function attributesOf(over: number, start: Buffer): Promise<ReadonlyMap<string, string>> {
  let text = start.toString('latin1');
  for (;;) {
    const found = parsed(text);
    if (found !== undefined) return found;
    const { bytes, fd } = await receive(over, 'connection attributes');
    if (fd !== undefined) closeSync(fd);
    if (bytes.length === 0 || text.length > attributeLimit) throw new Error('cannot receive connection attributes');
    text += bytes.toString('latin1');
  }
}

/** Undefined: not all of them are there. */
function parsed(text: string): ReadonlyMap<string, string> | undefined {
  const found = new Map<string, string>();
  const pieces = text.split('\0');
  for (let at = 0; at + 1 < pieces.length; at += 2) {
    if (pieces[at] === '') return found;
    if (at + 2 >= pieces.length) return undefined;
    found.set(pieces[at]!, pieces[at + 1]!);
  }
  return undefined;
}

function endsOf(attributes: ReadonlyMap<string, string>): ConnectionEnds {
  const value = (name: string): string => {
    const found = attributes.get(name);
    if (found === undefined) throw new Error(`missing attribute "${name}"`);
    return found;
  };
  return {
    remoteAddress: value('client_address'), remotePort: Number(value('client_port')),
    localAddress: value('server_address'), localPort: Number(value('server_port')),
  };
}

function socketOf(fd: number, unread: Buffer): net.Socket {
  const socket = new net.Socket({ ...sharedReads, fd, allowHalfOpen: true, readable: true, writable: true } as net.SocketConstructorOpts);
  if (unread.length > 0) socket.unshift(unread);
  return socket;
}

/** Milliseconds for the other side to take a client. */
const notice = 100_000;

export interface PassOptions {
  /** Whether the client was taken: when it was not, it is still the caller's. */
  readonly passed: (isPassed: boolean, why?: string) => void;
  /** The other side has the client, or never said so: `late`. The socket is nobody's here any more. */
  readonly taken: (isLate: boolean) => void;
}

/** Pass a client to the service at `path`. `unread` was taken from the socket already; nothing may be read from it any more. */
export function passClient(path: string, socket: net.Socket, ends: ConnectionEnds, unread: Buffer, { passed, taken }: PassOptions): void {
  const carrier = net.connect({ path });
  let isSent = false;
  let trouble = 'connection closed';
  carrier.on('connect', () => {
    try {
      isSent = send(carrier, socket, ends, unread);
    } catch (error) {
      trouble = errorText(error);
    }
    if (!isSent) return void carrier.destroy();
    passed(true);
    carrier.setTimeout(notice);
  });
  let isLate = false;
  carrier.on('timeout', () => {
    isLate = true;
    carrier.destroy();
  });
  carrier.on('data', () => undefined).on('end', () => carrier.destroy());
  carrier.on('error', (error) => { trouble = errorText(error); });
  carrier.on('close', () => (isSent ? taken(isLate) : passed(false, trouble)));
}

function send(carrier: net.Socket, client: net.Socket, ends: ConnectionEnds, unread: Buffer): boolean {
  const over = descriptorOf(carrier);
  const fd = descriptorOf(client);
  if (over === undefined || fd === undefined) return false;
  const values = { client_address: ends.remoteAddress, client_port: String(ends.remotePort), server_address: ends.localAddress, server_port: String(ends.localPort) };
  const more = unread.length === 0 ? endShape : { unread: 'text', ...endShape } as const;
  const text = `\0${encode(more, { ...values, unread: unread.toString('base64') })}`;
  if (!passDescriptor(over, fd, Buffer.from(text.slice(0, firstPiece), 'latin1'))) return false;
  if (text.length > firstPiece) carrier.write(text.slice(firstPiece), 'latin1');
  return true;
}

/** Goes along with the descriptor: a fresh connection takes it in one piece. */
const firstPiece = 16 << 10;
