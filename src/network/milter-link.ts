/**
 * The connection to one filter: carries what the machine (protocol/milter/milter.ts) says, and waits for its verdict no longer than
 * the filter's time limits allow.
 *
 * Never rejects: whatever goes wrong is the machine's to judge. The limit is for each whole packet of the filter, so that one that
 * drips gains nothing; a filter that says `progress` goes on working. While edits are being carried out it is not read.
 */
import type net from 'node:net';
import type { Edit } from '../protocol/milter/edit.ts';
import { Milter } from '../protocol/milter/milter.ts';
import type { FilterVerdict } from '../protocol/milter/reply.ts';
import type { MilterSettings } from '../protocol/milter/settings.ts';
import { isPending, type MaybePromise } from '../text/maybe.ts';
import type { Connected } from './connect.ts';
import type { Ticker } from './ticker.ts';

export interface MilterSurroundings {
  readonly ticker: Ticker;
  readonly softBounce: boolean;
  warn(text: string): void;
  /** `inet:host:port` or `unix:path`, taken apart. A throw says that there is no such place. */
  connect(kind: 'inet' | 'unix', place: string, seconds: number): Promise<Connected>;
}

/** Bytes that are gathered for the filter before they are sent without need. */
const enough = 64 << 10;

/** What Postfix's log says when the other side has closed. */
const ended = 'Application error';
const timedOut = 'Connection timed out';

export class MilterLink {
  readonly milter: Milter;
  readonly settings: MilterSettings;
  isQuit = false;
  readonly #surroundings: MilterSurroundings;
  #socket: net.Socket | undefined;
  /** The connection is lost, and why; told when it is needed. */
  #lost: string | undefined;
  /** Continues whoever waits for the verdict. */
  #wake: (() => void) | undefined;
  #edit: ((edit: Edit) => MaybePromise<void>) | undefined;
  /** Edits are being carried out. */
  #editing = false;
  #timer: { cancel(): void } | undefined;
  #seen = 0;
  #limit: number;

  constructor(settings: MilterSettings, surroundings: MilterSurroundings) {
    this.settings = settings;
    this.#surroundings = surroundings;
    this.#limit = settings.commandTimeout;
    this.milter = new Milter({ name: settings.name, protocol: settings.protocol, defaultAction: settings.defaultAction, softBounce: surroundings.softBounce, warn: surroundings.warn });
  }

  /** Connect and agree. */
  async open(): Promise<void> {
    const { milter, settings } = this;
    const { warn } = this.#surroundings;
    const colon = settings.name.indexOf(':');
    const kind = settings.name.slice(0, Math.max(colon, 0));
    const place = settings.name.slice(colon + 1);
    if (colon <= 0 || place === '') {
      warn(`Milter service needs transport:endpoint instead of "${settings.name}"`);
      return milter.unreachable('setup');
    }
    if (kind !== 'inet' && kind !== 'unix' && kind !== 'local') {
      warn(`invalid transport name: ${kind} in Milter service: ${settings.name}`);
      return milter.unreachable('setup');
    }
    if (!milter.open()) return;
    const connected = await this.#connect(kind === 'inet' ? 'inet' : 'unix', place);
    if ('trouble' in connected) {
      warn(`connect to Milter service ${settings.name}: ${connected.trouble}`);
      return milter.unreachable('talk');
    }
    this.#adopt(connected.socket);
    await this.settle();
  }

  async #connect(kind: 'inet' | 'unix', place: string): Promise<{ socket: net.Socket } | { trouble: string }> {
    try {
      const connected = await this.#surroundings.connect(kind, place, this.settings.connectTimeout);
      return 'socket' in connected ? connected : { trouble: connected.trouble.text };
    } catch (error) {
      return { trouble: (error as Error).message };
    }
  }

  #adopt(socket: net.Socket): void {
    this.#socket = socket;
    this.#lost = undefined;
    let why = ended;
    socket.on('error', (error: NodeJS.ErrnoException) => { why = error.code === 'EPIPE' ? 'Broken pipe' : error.code === 'ECONNRESET' ? 'Connection reset by peer' : error.message; });
    socket.on('data', (chunk: Buffer) => this.#receive(socket, chunk));
    const over = (): void => this.#gone(socket, why);
    socket.on('end', over).on('close', over);
    socket.resume();
  }

  #receive(socket: net.Socket, chunk: Buffer): void {
    if (socket !== this.#socket) return;
    this.milter.receive(chunk);
    this.#goOn();
  }

  #gone(socket: net.Socket, why: string): void {
    if (socket !== this.#socket) return;
    this.#lost ??= why;
    this.#goOn();
  }

  /** Something has come: edits first, in order, then whoever waits. */
  #goOn(): void {
    if (this.#editing) return;
    const { milter } = this;
    while (milter.edits.length > 0) {
      const edits = milter.edits;
      milter.edits = [];
      const pending = this.#carryOut(edits, 0);
      if (pending !== undefined) return void pending.then(() => this.#edited());
    }
    if (milter.waits && this.#lost !== undefined) {
      milter.lost(this.#lost);
      return this.#goOn();
    }
    if (!milter.waits) return this.#done();
    if (milter.progress !== this.#seen) this.#watch();
  }

  #carryOut(edits: readonly Edit[], from: number): Promise<void> | undefined {
    for (let at = from; at < edits.length; at++) {
      const pending = this.#edit?.(edits[at]!);
      if (!isPending(pending)) continue;
      this.#editing = true;
      this.#timer?.cancel();
      this.#socket?.pause();
      return pending.then(() => this.#carryOut(edits, at + 1));
    }
    return undefined;
  }

  #edited(): void {
    this.#editing = false;
    this.#socket?.resume();
    if (this.milter.waits) this.#watch();
    this.#goOn();
  }

  #done(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.milter.isOver) this.#drop();
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #watch(): void {
    this.#seen = this.milter.progress;
    this.#timer?.cancel();
    this.#timer = this.#surroundings.ticker.after(this.#limit * 1000, () => {
      this.#lost ??= timedOut;
      this.#goOn();
    });
  }

  /** Send what there is and wait for the verdict, when the filter owes one. Edits go to `edit`. */
  settle(edit?: (edit: Edit) => MaybePromise<void>): MaybePromise<FilterVerdict> {
    const { milter } = this;
    if (!milter.waits) {
      if (milter.isOver) this.#drop();
      if (milter.pending > enough) return this.#flushed();
      return milter.verdict;
    }
    if (this.#socket === undefined) this.#lost ??= ended;
    this.#edit = edit;
    this.#write();
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#edit = undefined;
        resolve(milter.verdict);
      };
      this.#watch();
      if (this.#lost !== undefined) this.#goOn();
    });
  }

  /** A lot has been told and no answer is due: not faster than the filter takes it. */
  #flushed(): MaybePromise<FilterVerdict> {
    const { milter } = this;
    const socket = this.#socket;
    this.#write();
    if (socket === undefined || socket.destroyed || !socket.writableNeedDrain) return milter.verdict;
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        socket.off('drain', done).off('close', done);
        resolve(milter.verdict);
      };
      const timer = this.#surroundings.ticker.after(this.#limit * 1000, () => {
        this.#lost ??= timedOut;
        socket.destroy();
      });
      socket.on('drain', done).on('close', done);
    });
  }

  #write(): void {
    const socket = this.#socket;
    const pieces = this.milter.take();
    if (socket === undefined || !socket.writable || pieces.length === 0) return;
    socket.cork();
    for (const piece of pieces) socket.write(piece);
    socket.uncork();
  }

  /** The message has a time limit of its own. */
  beginContent(): void {
    this.#limit = this.settings.contentTimeout;
    this.milter.beginContent();
  }

  endContent(): void {
    this.#limit = this.settings.commandTimeout;
    this.milter.endContent();
  }

  /** Nobody waits for the filter any more. */
  quit(): void {
    this.isQuit = true;
    this.milter.quit();
    this.#write();
    this.#timer?.cancel();
    const wake = this.#wake;
    this.#wake = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket !== undefined) {
      socket.end();
      const timer = this.#surroundings.ticker.after(1000, () => socket.destroy(), true);
      socket.on('end', () => socket.destroy()).on('close', () => timer.cancel());
    }
    wake?.();
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }
}
