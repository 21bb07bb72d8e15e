/**
 * The client end of a trunk: many messages at once on one kept connection to cleanup, each sent whole when it ends.
 *
 * A message is named here, with a name of the small stock that the server end has handed out, so that nothing waits for a round
 * trip before the end. Envelope and content are kept by reference until then; a message that grows beyond `wholeLimit`, or comes
 * when all messages together hold `heldLimit`, goes on over a connection of its own. Frames of one turn of the loop leave in one
 * write, which waits for no timer: cleanup gathers what comes while it flushes the disk.
 * A trunk that breaks answers `write` for every message on it, sent or not: none of them is ever sent a second time.
 */
import net from 'node:net';
import { hear, unsent, writeNow } from '../host/quick-stream.ts';
import { sharedReads } from '../host/reading.ts';
import { leavesThisTurn } from '../host/turn.ts';
import { flushLogs } from '../log/turn.ts';
import type { TimeValue } from '../text/time.ts';
import { cleanupService, cleanupStatus, type CleanupOptions, type CleanupSession } from './cleanup.ts';
import type { ConnectionLimits } from './connection.ts';
import { ServiceTrouble } from './service.ts';
import { attribute, decode, encode } from './shape.ts';
import { TrunkSession, type Adoption, type MessageTrunk } from './trunk-session.ts';
import { FrameCutter, FrameFields, toClient, toServer, type Name } from './trunk-wire.ts';
import { SteadyMap, SteadySet } from '../text/steady.ts';

/** Names in stock, wanted again as they are used: at first, and at most when the stock has run out again and again. */
const stockSize = 16;
const stockLimit = 128;
/** Bytes of frames that are copied together for one write. */
const batchSize = 256 << 10;
/** Longest answer frame that is believed. */
const answerLimit = 1 << 20;

export interface TrunkOptions {
  readonly path: string;
  readonly limits: ConnectionLimits;
  /** A connection of its own for a message that is too large. */
  readonly alone: (adoption: Adoption) => Promise<CleanupSession>;
  /** The trunk takes no more messages. */
  readonly gone: (trunk: Trunk) => void;
  /** Milliseconds since the epoch, with fraction. */
  readonly now: () => number;
}

export class Trunk implements MessageTrunk {
  readonly options: TrunkOptions;
  /** Settled by the first word of the server end: are there names to be had? Rejects with ServiceTrouble. */
  readonly ready: Promise<void>;
  /** Bytes of content held for messages that are not sent. */
  held = 0;
  number = 0;
  readonly #socket: net.Socket;
  readonly #cutter = new FrameCutter(answerLimit);
  readonly #stock: Name[] = [];
  readonly #unanswered = new SteadyMap<number, TrunkSession>();
  readonly #open = new SteadySet<TrunkSession>();
  #settle!: { resolve: () => void; reject: (trouble: Error) => void };
  #greeting: string | undefined = '';
  #serial = 0;
  /** Names that have been asked for and have not come. */
  #coming = 0;
  #waiting: ((came: boolean) => void)[] = [];
  #target = stockSize;
  #batch: TrunkSession[] = [];
  #words: Buffer[] = [];
  #scheduled = false;
  /** Bytes of the batch, and when it leaves at the latest. */
  #scratch: Buffer | undefined;
  #retired = false;
  #broken = false;
  #used = true;
  #silent = 0;
  #watch: NodeJS.Timeout;
  #lastArrival = 0;

  constructor(options: TrunkOptions) {
    this.options = options;
    this.ready = new Promise((resolve, reject) => { this.#settle = { resolve, reject }; });
    this.ready.catch(() => {});
    const socket = net.connect({ ...sharedReads, path: options.path });
    this.#socket = socket;
    let trouble = 'connection closed';
    socket.on('error', (error) => { trouble = error.message; });
    hear(socket, (chunk) => this.#receive(chunk));
    socket.on('end', () => socket.end());
    socket.on('close', () => this.#closed(trouble));
    this.#watch = setInterval(() => this.#look(), options.limits.idle).unref();
  }

  /** False: no more messages, another trunk is needed. */
  get isOpen(): boolean {
    return !this.#retired && !this.#broken;
  }

  /** Bytes that wait here, held by messages or on their way to the socket. */
  get load(): number {
    return this.held + unsent(this.#socket);
  }

  /** A message, named at once; undefined: there is no name in stock. */
  open(options: CleanupOptions): CleanupSession | undefined {
    if (!this.isOpen) return undefined;
    const name = this.#stock.shift();
    if (name === undefined) return undefined;
    this.#used = true;
    const session = new TrunkSession(this, options, name, this.#arrival());
    this.#open.add(session);
    if (this.#stock.length + this.#coming < this.#target / 4) this.#want(this.#target);
    return session;
  }

  /** True when names have come, false when there are none to be had. */
  more(): Promise<boolean> {
    if (!this.isOpen) return Promise.resolve(false);
    if (this.#stock.length > 0) return Promise.resolve(true);
    this.#target = Math.min(this.#target * 2, stockLimit);
    if (this.#coming === 0) this.#want(this.#target);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The message is complete: send it with this turn's others. */
  submit(session: TrunkSession): void {
    if (this.#broken) return session.answered({ status: cleanupStatus.write, reason: '' });
    this.#batch.push(session);
    this.#schedule();
  }

  /** The message is no more one of this trunk; its name, if it was not used, is back in stock. */
  forget(session: TrunkSession, unused?: Name): void {
    if (!this.#open.delete(session)) return;
    if (unused !== undefined && !this.#broken) this.#putBack(unused);
    this.#finish();
  }

  /** No message is under way, none will come. */
  #finish(): void {
    if (this.#retired && this.#open.size === 0 && !this.#broken) this.#socket.end();
  }

  #putBack(name: Name): void {
    if (this.#stock.length < this.#target * 2) return void this.#stock.push(name);
    const word = Buffer.alloc(9);
    word.writeUInt32BE(5);
    word[4] = toServer.giveBack;
    word.writeUInt32BE(name.number, 5);
    this.#say(word);
  }

  #want(count: number): void {
    this.#coming += count;
    const word = Buffer.alloc(7);
    word.writeUInt32BE(3);
    word[4] = toServer.want;
    word.writeUInt16BE(count, 5);
    this.#say(word);
  }

  #say(word: Buffer): void {
    this.#words.push(word);
    this.#schedule();
  }

  /** No two messages have the same moment: a name that was put back may be taken again at once. A clock that was set back is believed. */
  #arrival(): TimeValue {
    let moment = Math.round(this.options.now() * 1000);
    if (moment <= this.#lastArrival && this.#lastArrival - moment < 1_000_000) moment = this.#lastArrival + 1;
    this.#lastArrival = moment;
    return { seconds: Math.floor(moment / 1_000_000), microseconds: moment % 1_000_000 };
  }

  // ---- what goes out

  #schedule(): void {
    if (this.#scheduled || this.#greeting !== undefined) return;
    this.#scheduled = true;
    leavesThisTurn(this);
  }

  flush(): void {
    this.#scheduled = false;
    if (this.#broken) return;
    const words = this.#words;
    const batch = this.#batch;
    this.#words = [];
    this.#batch = [];
    flushLogs();
    for (const word of words) writeNow(this.#socket, word);
    this.#frames(batch);
  }

  #frames(batch: readonly TrunkSession[]): void {
    let buffer: Buffer | undefined;
    let at = 0;
    for (const session of batch) {
      if (!session.isWaiting) continue;
      const length = session.frameLength;
      if (buffer === undefined || at + length > buffer.length) {
        this.#write(buffer, at);
        buffer = this.#room(length);
        at = 0;
      }
      this.#unanswered.set(++this.#serial, session);
      at = session.write(buffer, at, this.#serial, this.#wish());
    }
    this.#write(buffer, at);
  }

  /** One buffer serves all writes, unless the socket still has it. */
  #write(buffer: Buffer | undefined, length: number): void {
    if (buffer === undefined || length === 0 || this.#broken) return;
    if (!writeNow(this.#socket, buffer.subarray(0, length))) this.#scratch = undefined;
  }

  /** How many names are to come with the next answer: what was used is replaced. */
  #wish(): number {
    const missing = this.#target - this.#stock.length - this.#coming;
    const wish = Math.max(0, Math.min(missing, 2));
    this.#coming += wish;
    return wish;
  }

  #room(length: number): Buffer {
    if (length > batchSize) return Buffer.allocUnsafeSlow(length);
    return (this.#scratch ??= Buffer.allocUnsafeSlow(batchSize));
  }

  // ---- what comes in

  #receive(chunk: Buffer): void {
    this.#silent = 0;
    try {
      if (this.#greeting !== undefined) {
        this.#greet(chunk);
        return;
      }
      this.#cutter.feed(chunk, this.#take);
      if (this.#batch.length > 0) this.#schedule();
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
  }

  #greet(chunk: Buffer): void {
    this.#greeting += chunk.toString('latin1');
    const greeting = decode({ protocol: 'text' }, this.#greeting!);
    if (greeting === undefined) return;
    this.#greeting = undefined;
    if (greeting.value.protocol !== cleanupService.protocol) throw new Error(`speaks ${greeting.value.protocol}`);
    this.#socket.write(encode({}, {}, attribute('request', 'trunk')), 'latin1');
    this.#want(stockSize);
  }

  readonly #take = (frame: Buffer, at: number, end: number): void => this.#frame(frame, at, end);

  #frame(frame: Buffer, at: number, end: number): void {
    const fields = new FrameFields(frame, at, end);
    const kind = fields.byte();
    if (kind === toClient.answer) this.#answer(fields);
    else if (kind === toClient.stock) this.#restock(fields);
    else if (kind === toClient.retire) this.#retire();
    else throw new Error(`unknown frame ${kind}`);
  }

  #answer(fields: FrameFields): void {
    const number = fields.uint32();
    const status = fields.uint32();
    const reason = fields.text(fields.uint16());
    const wanted = fields.uint16();
    const session = this.#unanswered.get(number);
    if (session === undefined) throw new Error(`answer to no message: ${number}`);
    this.#unanswered.delete(number);
    this.#takeNames(fields, wanted);
    session.answered({ status, reason });
  }

  #restock(fields: FrameFields): void {
    this.number = fields.uint32();
    this.#takeNames(fields, fields.uint16());
    this.#settle.resolve();
    this.#wake(this.#stock.length > 0);
  }

  #takeNames(fields: FrameFields, wanted: number): void {
    this.#coming -= wanted;
    while (!fields.isEmpty) this.#stock.push(fields.name());
    if (this.#stock.length > 0) this.#wake(true);
  }

  #wake(came: boolean): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve(came);
  }

  #retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.options.gone(this);
    this.#wake(false);
    this.#finish();
  }

  #look(): void {
    const { idle, timeout } = this.options.limits;
    this.#silent += idle;
    if (this.#unanswered.size > 0 && this.#silent >= timeout) return void this.#socket.destroy(new Error('no answer in time'));
    if (this.#used || this.#open.size > 0) this.#used = false;
    else this.#retire();
  }

  #closed(trouble: string): void {
    clearInterval(this.#watch);
    this.#broken = true;
    this.options.gone(this);
    this.#settle.reject(new ServiceTrouble(this.options.path, trouble));
    this.#wake(false);
    this.#unanswered.clear();
    for (const session of [...this.#open]) session.lost();
  }
}
