/**
 * TCP sockets without the machinery of Node's streams, for those who serve thousands of short sessions: the same handle, memory for
 * reads that is shared (reading.ts), writes that go straight to the kernel (short texts with the turn's others: turn-sends.ts), and of the
 * events of a net.Socket only what a pump hears.
 *
 * It behaves as a net.Socket with `allowHalfOpen` does, as far as it goes: nothing is read before `data` is heard or while paused, what the
 * kernel does not take waits (`writableLength`) and leaves in order, `drain` tells when it has left, and `close` comes once, after
 * everything else. Nothing is ever thrown for what a peer does: trouble is `close`. `fullSocket` makes a net.Socket of it, for whoever wants
 * more (TLS); to end the lean one is to end that one then. Where Node is not as we know it (`leanSockets` is false), there are none.
 */
import net from 'node:net';
import { tell, without, type Heard, type Listener } from './heard.ts';
import { desk, sharedReads, taken } from './reading.ts';
import { descriptorOf } from './sockets.ts';
import { flushSends, sendWithTurn, worthwhile, type Sender } from './turn-sends.ts';
import { giveRequest, node, takeRequest, waitsForKernel, writeTo, type Ends, type Handle, type Owner, type WriteRequest } from './tcp-handle.ts';

type Written = Buffer | string;

/** Milliseconds for a peer that has not taken the last of it, when nobody waits for that any more. */
const farewell = 30_000;
/** What a net.Socket likes to keep waiting, too. */
const waitingLimit = 64 << 10;
const endOfFile = -4095;
/** Sockets that may have something to say in this turn. */
let alive = 0;

function readSome(this: Handle): void {
  this.owner.arrived(node!.state[node!.atRead]!);
}

/** A handle that is closed outlives many young collections, and whatever it points to lives as long: it points to nothing then. */
function closed(this: Handle): void {
  const { owner } = this;
  this.owner = nobody;
  owner.closed();
}

const nobody: Owner = { arrived: nothing, written: nothing, closed: nothing };

function writeDone(this: WriteRequest, status: number): void {
  this.owner.written(this.length, status);
}

export class LeanSocket implements PeerSocket, Sender {
  writableEnded = false;
  /** Bytes that the kernel has not taken yet. */
  writableLength = 0;
  writableNeedDrain = false;
  readonly #handle: Handle;
  #data: ((bytes: Buffer) => void) | undefined;
  /** Who came last. */
  #heard: Heard | undefined;
  #isOver = false;
  /** What goes on in this one's place. */
  #heir: net.Socket | undefined;
  #reading = false;
  #paused = false;
  #readEnded = false;
  #corks = 0;
  /** Bytes leave at the end of the turn, and then it is closed, if that was asked for meanwhile. */
  #leaves = false;
  #closesThen = false;
  #descriptor: number | undefined;
  #held: Written[] | undefined;
  /** Called when everything written has left, or never will. */
  #emptied: (() => void)[] | undefined;
  #remote: Ends | undefined;
  #local: Ends | undefined;

  /** `handle`: a connected TCPWrap that nobody else uses. */
  constructor(handle: object) {
    this.#handle = handle as Handle;
    this.#handle.owner = this;
    this.#handle.onread = readSome;
    this.#handle.useUserBuffer(desk);
    alive++;
  }

  get destroyed(): boolean {
    return this.#heir === undefined ? this.#isOver : this.#heir.destroyed;
  }

  get readableEnded(): boolean {
    return this.#readEnded;
  }

  get writable(): boolean {
    return !this.#isOver && !this.writableEnded;
  }

  get fd(): number {
    return this.#handle.fd ?? -1;
  }

  get remoteAddress(): string | undefined { return this.#peer().address; }
  get remotePort(): number | undefined { return this.#peer().port; }
  get localAddress(): string | undefined { return this.#own().address; }
  get localPort(): number | undefined { return this.#own().port; }

  on(event: string, listener: Listener): this {
    if (this.#heir !== undefined) this.#heir.on(event, listener);
    else if (event === 'data') {
      this.#data = listener;
      if (!this.#paused) this.#read();
    } else if (event !== 'error') this.#heard = { event, listener, before: this.#heard };
    return this;
  }

  once(event: string, listener: Listener): this {
    const first = (...values: any[]): void => {
      this.off(event, first);
      listener(...values);
    };
    return this.on(event, first);
  }

  off(event: string, listener: Listener): this {
    if (event === 'data') {
      if (this.#data === listener) this.#data = undefined;
    } else this.#heard = without(this.#heard, event, listener);
    return this;
  }

  pause(): this {
    this.#paused = true;
    if (this.#reading) this.#handle.readStop();
    this.#reading = false;
    return this;
  }

  resume(): this {
    this.#paused = false;
    if (this.#data !== undefined) this.#read();
    return this;
  }

  /** False: more waits than is good. `left` is called when this and all before it has left (or never will). */
  write(bytes: Written, left?: 'latin1' | (() => void)): boolean {
    if (typeof left === 'function') this.#whenEmpty(left);
    if (!this.writable || bytes.length === 0) return this.writable;
    if (this.#corks > 0) {
      (this.#held ??= []).push(bytes);
      this.writableLength += bytes.length;
    } else this.#write(bytes);
    return this.#hasRoom();
  }

  cork(): void {
    this.#corks++;
  }

  uncork(): void {
    if (this.#corks > 0) this.#corks--;
    if (this.#corks === 0) this.#uncorked();
  }

  /** Nothing more is written. `left` is called when all has left, or never will. */
  end(left: () => void = nothing): this {
    this.#corks = 0;
    this.#uncorked();
    this.writableEnded = true;
    this.#whenEmpty(left);
    return this;
  }

  destroySoon(): void {
    if (this.#heir !== undefined) this.#heir.destroySoon();
    else this.end(() => this.destroy());
  }

  destroy(): this {
    if (this.#heir !== undefined) this.#heir.destroy();
    else if (!this.#isOver) this.#close();
    return this;
  }

  #close(): void {
    this.#isOver = true;
    this.#closesThen = this.#leaves;
    if (this.#leaves) this.#handle.readStop();
    else this.#handle.close(closed);
    this.#reading = false;
  }

  /** Node's own kind of socket takes this one's place: this one hears and writes nothing more. Its reads begin when it is listened to. */
  succeed(): net.Socket {
    if (this.#heir !== undefined) return this.#heir;
    if (this.#isOver) return new net.Socket().destroy();
    this.pause();
    this.#corks = 0;
    this.#uncorked();
    if (this.#leaves) flushSends();
    this.#data = this.#heard = undefined;
    this.#isOver = this.writableEnded = true;
    alive--;
    this.#heir = new net.Socket({ ...sharedReads, handle: this.#handle as object, allowHalfOpen: true, readable: true, writable: true, manualStart: true } as net.SocketConstructorOpts);
    return this.#heir.on('error', nothing);
  }

  /** For the handle alone: so many bytes lie on the desk; negative: no more come. */
  arrived(length: number): void {
    if (length > 0) return this.#data?.(taken(length));
    if (length === 0 || this.#isOver || this.#readEnded) return;
    if (length !== endOfFile) return void this.destroy();
    this.#readEnded = true;
    this.#emit('end');
  }

  /** For the handle alone: what had to wait has left. */
  written(length: number, status: number): void {
    if (status >= 0) return this.#left(length);
    this.destroy();
    this.sent();
  }

  #read(): void {
    if (this.#reading || this.#isOver || this.#readEnded) return;
    this.#reading = true;
    if (this.#handle.readStart() < 0) this.destroy();
  }

  #uncorked(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    for (const piece of held) this.writableLength -= piece.length;
    if (!this.writable) return;
    if (held.length === 1) this.#write(held[0]!);
    else if (held.every((piece) => typeof piece === 'string')) this.#write(held.join(''));
    else this.#gather(held);
  }

  #write(bytes: Written): void {
    if (this.#leaves) flushSends();
    // Among few there is nobody to wait for.
    if (alive >= worthwhile && typeof bytes === 'string' && this.writableLength === 0) this.#leaves = sendWithTurn(this, this.#descriptor ??= this.fd, bytes);
    if (!this.#leaves) this.#writeNow(bytes);
  }

  /** For the turn alone. */
  sendNow(text: string): void {
    this.#leaves = false;
    this.#writeNow(text);
    if (this.writableLength === 0) this.sent();
    else if (this.#closesThen) setTimeout(() => this.sent(), farewell).unref();
  }

  sent(): void {
    this.#leaves = false;
    if (!this.#closesThen) return;
    this.#closesThen = false;
    this.#handle.close(closed);
  }

  lost(): void {
    this.sent();
    this.destroy();
  }

  #writeNow(bytes: Written): void {
    const sent = takeRequest();
    this.#sent(sent, writeTo(this.#handle, sent, bytes), bytes.length, bytes);
  }

  #gather(held: readonly Written[]): void {
    if (this.#leaves) flushSends();
    const pieces = held.map((piece) => (typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece));
    const sent = takeRequest();
    this.#sent(sent, this.#handle.writev(sent, pieces, true), pieces.reduce((sum, { length }) => sum + length, 0), pieces);
  }

  #sent(sent: WriteRequest, status: number, length: number, kept: unknown): void {
    if (!waitsForKernel(status)) {
      giveRequest(sent);
      if (status < 0) this.destroy();
      return;
    }
    sent.oncomplete = writeDone;
    sent.owner = this;
    sent.length = length;
    sent.kept = kept; // the kernel still reads it
    this.writableLength += length;
  }

  #hasRoom(): boolean {
    if (this.writableLength < waitingLimit) return true;
    this.writableNeedDrain = true;
    return false;
  }

  #left(length: number): void {
    this.writableLength -= length;
    if (this.writableLength > 0) return;
    if (this.#closesThen) return this.sent();
    this.#tellEmptied();
    if (!this.writableNeedDrain || this.#isOver) return;
    this.writableNeedDrain = false;
    this.#emit('drain');
  }

  /** Never at once: as with a net.Socket, whoever asks has finished what it is doing. */
  #whenEmpty(left: () => void): void {
    if (this.writableLength > 0 && !this.#isOver) (this.#emptied ??= []).push(left);
    else queueMicrotask(left);
  }

  #tellEmptied(): void {
    const all = this.#emptied;
    if (all === undefined) return;
    this.#emptied = undefined;
    for (const left of all) left();
  }

  /** For the handle alone: it is closed. */
  closed(): void {
    alive--;
    this.#tellEmptied();
    this.#emit('close');
    this.#data = this.#heard = undefined;
  }

  #emit(event: string): void {
    tell(this.#heard, event);
  }

  #peer(): Ends {
    return this.#remote ??= this.#isOver ? unknownEnds : endsOf(this.#handle.getpeername(answered));
  }

  #own(): Ends {
    return this.#local ??= this.#isOver ? unknownEnds : endsOf(this.#handle.getsockname(answered));
  }
}

function nothing(): void {}

/** Where Node puts its answer: an object that has these fields from the beginning is filled much faster. */
const answered: Ends = { address: '', family: '', port: 0 };
const unknownEnds: Ends = {};

function endsOf(status: number): Ends {
  return status === 0 ? { address: answered.address!, port: answered.port! } : unknownEnds;
}

/** What pumps use of a socket, of either kind. */
export interface PeerSocket {
  readonly destroyed: boolean;
  readonly writable: boolean;
  readonly writableEnded: boolean;
  readonly writableLength: number;
  readonly writableNeedDrain: boolean;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  /** The peer has ended, and all that it sent was heard. */
  readonly readableEnded: boolean;
  /** What was put back into a net.Socket. */
  readonly readableLength?: number;
  read?(): unknown;
  on(event: string, listener: Listener): unknown;
  once(event: string, listener: Listener): unknown;
  off(event: string, listener: Listener): unknown;
  pause(): unknown;
  resume(): unknown;
  write(bytes: Written, encoding?: 'latin1'): boolean;
  write(bytes: Written, left: () => void): boolean;
  cork(): void;
  uncork(): void;
  end(left?: () => void): unknown;
  destroySoon(): void;
  destroy(): unknown;
}

/** Node's own kind of socket on the same connection. */
export function fullSocket(socket: PeerSocket): net.Socket {
  return socket instanceof LeanSocket ? socket.succeed() : socket as net.Socket;
}

/** The number of its descriptor; -1 where Node does not show it. */
export function peerDescriptor(socket: PeerSocket): number {
  return socket instanceof LeanSocket ? socket.fd : descriptorOf(socket as net.Socket) ?? -1;
}
