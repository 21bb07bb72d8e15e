/**
 * The cleanup service over a socket, as mail sources see it: one trunk (cleanup-trunk.ts) for all messages that it has a name for
 * and room for, else a connection for one message at a time, kept for the next.
 *
 * A connection that breaks in the middle of a message makes `end` answer with status `write`: nothing was kept. Records are
 * gathered and written once per turn of the event loop.
 */
import net from 'node:net';
import { sharedReads } from '../host/reading.ts';
import { recordType } from '../message/record.ts';
import { RecordWriter } from '../message/record-writer.ts';
import {
  cleanupFlag, cleanupReplyShape, cleanupService, cleanupStatus, contentChunkRecord,
  type Cleanup, type CleanupOptions, type CleanupReply, type CleanupSession,
} from './cleanup.ts';
import { Trunk } from './cleanup-trunk.ts';
import { InspectionConductor } from './inspection-conductor.ts';
import type { Adoption } from './trunk-session.ts';
import type { ConnectionLimits } from './connection.ts';
import { flushLogs } from '../log/turn.ts';
import type { ContentInspection } from '../protocol/milter/inspection.ts';
import { ServiceTrouble } from './service.ts';
import { attribute, decode, encode, type Shape, type ShapeValue } from './shape.ts';
import type { MaybePromise } from '../text/maybe.ts';

/** Bytes waiting for the socket beyond which a mail source should pause. */
const enough = 256 << 10;
/** Milliseconds between attempts to connect, and how many of them. */
const connectPause = 200;
const connectTries = 10;

interface Waiting { readonly shape: Shape; readonly resolve: (value: object) => void; readonly reject: (trouble: Error) => void }

class CleanupConnection {
  readonly socket: net.Socket;
  broken = false;
  #input = '';
  #waiting: Waiting | undefined;
  #conductor: InspectionConductor | undefined;

  constructor(path: string, limits: ConnectionLimits, released: () => void) {
    this.socket = net.connect({ ...sharedReads, path });
    let trouble = 'connection closed';
    this.socket.setTimeout(limits.timeout);
    this.socket.on('error', (error) => { trouble = error.message; });
    this.socket.on('timeout', () => this.socket.destroy(new Error('no answer in time')));
    this.socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.socket.on('end', () => this.socket.end());
    this.socket.on('close', () => {
      this.broken = true;
      released();
      this.#conductor?.lost();
      this.#waiting?.reject(new ServiceTrouble(path, trouble));
      this.#waiting = undefined;
    });
  }

  expect<S extends Shape>(shape: S): Promise<ShapeValue<S>> {
    if (this.broken) return Promise.reject(new ServiceTrouble('cleanup', 'connection closed'));
    return new Promise((resolve, reject) => {
      this.#waiting = { shape, resolve: resolve as (value: object) => void, reject };
      this.#deliver();
    });
  }

  /** Filters look at the message; settles when they have, or the connection is lost. */
  conduct(inspection: ContentInspection): Promise<void> {
    return new Promise((resolve) => {
      const conductor = new InspectionConductor(this.socket, inspection, (rest) => {
        this.#conductor = undefined;
        resolve();
        this.#receive(rest);
      });
      this.#conductor = conductor;
      if (this.broken) conductor.lost();
    });
  }

  #receive(chunk: Buffer): void {
    if (this.#conductor !== undefined) return this.#conductor.receive(chunk);
    this.#input += chunk.toString('latin1');
    try {
      this.#deliver();
    } catch (error) {
      this.socket.destroy(error as Error);
    }
  }

  #deliver(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const answer = decode(waiting.shape, this.#input);
    if (answer === undefined) return;
    this.#input = this.#input.slice(answer.next);
    this.#waiting = undefined;
    waiting.resolve(answer.value);
  }
}

class RemoteSession implements CleanupSession {
  readonly queueId: string;
  readonly #connection: CleanupConnection;
  readonly #writer = new RecordWriter();
  readonly #release: (connection: CleanupConnection) => void;
  #scheduled = false;
  #inspection: ContentInspection | undefined;

  constructor(queueId: string, connection: CleanupConnection, release: (connection: CleanupConnection) => void) {
    this.queueId = queueId;
    this.#connection = connection;
    this.#release = release;
  }

  record(type: number, text: string): void {
    this.#writer.put(type, text);
    this.#schedule();
  }

  inspect(inspection: ContentInspection): void {
    this.#inspection = inspection;
    this.record(recordType.milterCount, '1');
  }

  message(): void {
    this.record(recordType.message, '');
  }

  content(chunk: Buffer): boolean {
    this.#writer.put(contentChunkRecord, chunk);
    this.#schedule();
    return this.#connection.broken || this.#connection.socket.writableLength < enough;
  }

  drained(): Promise<void> {
    this.#flush();
    const { socket } = this.#connection;
    if (this.#connection.broken || socket.writableLength < enough) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }

  extracted(): void {
    this.record(recordType.extracted, '');
  }

  async end(): Promise<CleanupReply> {
    this.record(recordType.end, '');
    this.#flush();
    if (this.#inspection !== undefined) await this.#connection.conduct(this.#inspection);
    try {
      const reply = await this.#connection.expect(cleanupReplyShape);
      this.#release(this.#connection);
      return reply;
    } catch {
      return { status: cleanupStatus.write, reason: '' };
    }
  }

  abort(): void {
    this.#connection.socket.destroy();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const { socket } = this.#connection;
    const pieces = this.#writer.take();
    if (this.#connection.broken || pieces.length === 0) return;
    flushLogs();
    socket.cork();
    for (const piece of pieces) socket.write(piece);
    socket.uncork();
  }
}

export class RemoteCleanup implements Cleanup {
  readonly #path: string;
  readonly #limits: ConnectionLimits;
  readonly #now: () => number;
  readonly #free: CleanupConnection[] = [];
  #trunk: Trunk | undefined;
  #trunkComing: Promise<Trunk> | undefined;

  constructor(path: string, limits: ConnectionLimits, now: () => number = wallClock) {
    this.#path = path;
    this.#limits = limits;
    this.#now = now;
  }

  open(options: CleanupOptions): MaybePromise<CleanupSession> {
    // Filters talk back, which takes a connection of the message's own.
    if ((options.flags & cleanupFlag.inspect) !== 0) return this.#openAlone(options);
    return this.#trunk?.open(options) ?? this.#openLater(options);
  }

  async #openLater(options: CleanupOptions): Promise<CleanupSession> {
    let trunk = await this.#reach();
    do {
      const session = trunk.open(options);
      if (session !== undefined) return session;
      if (!trunk.isOpen) trunk = await this.#reach();
    } while (await trunk.more());
    return this.#openAlone(options);
  }

  /** The trunk; a new one when there is none, or the old one's server is ending. */
  #reach(): MaybePromise<Trunk> {
    if (this.#trunk?.isOpen) return this.#trunk;
    return (this.#trunkComing ??= this.#attempt(() => this.#newTrunk()).finally(() => { this.#trunkComing = undefined; }));
  }

  async #newTrunk(): Promise<Trunk> {
    const trunk = new Trunk({
      path: this.#path, limits: this.#limits, now: this.#now,
      alone: (adoption) => this.#adopt(adoption),
      gone: (lost) => { if (this.#trunk === lost) this.#trunk = undefined; },
    });
    await trunk.ready;
    if (trunk.isOpen) this.#trunk = trunk;
    return trunk;
  }

  /** A service that is being restarted, or has many callers, is tried again for a moment before its caller hears of it. */
  async #attempt<T>(work: () => Promise<T>): Promise<T> {
    for (let left = connectTries; ; left--) {
      try {
        return await work();
      } catch (error) {
        if (left === 0) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, connectPause));
    }
  }

  async #openAlone(options: CleanupOptions): Promise<CleanupSession> {
    const { flags, lineEnd } = options;
    // A kept connection may have been ended by the other side just now: then the next one, at last a new one.
    for (let kept = this.#free.pop(); kept !== undefined; kept = this.#free.pop()) {
      if (kept.broken) continue;
      try {
        return await this.#begin(kept, 'open', { flags, lineEnd });
      } catch { /* the next one */ }
    }
    return this.#begin(await this.#attempt(() => this.#connect()), 'open', { flags, lineEnd });
  }

  /** A message of a trunk goes on alone. The name is taken over once: a connection that fails is not tried again. */
  async #adopt({ options: { flags, lineEnd }, trunk, name, arrival }: Adoption): Promise<CleanupSession> {
    const connection = await this.#connect();
    return this.#begin(connection, 'adopt', { flags, lineEnd, trunk, name, ...arrival });
  }

  async #connect(): Promise<CleanupConnection> {
    const connection: CleanupConnection = new CleanupConnection(this.#path, this.#limits, () => this.#forget(connection));
    await connection.expect({ protocol: 'text' });
    return connection;
  }

  async #begin(connection: CleanupConnection, request: 'open' | 'adopt', fields: object): Promise<CleanupSession> {
    const shapes = cleanupService.requests[request];
    connection.socket.setTimeout(this.#limits.timeout);
    connection.socket.write(encode(shapes.request, fields, attribute('request', request)), 'latin1');
    const { queueId } = await connection.expect(shapes.reply);
    return new RemoteSession(queueId, connection, (used) => this.#keep(used));
  }

  #keep(connection: CleanupConnection): void {
    if (connection.broken) return;
    connection.socket.setTimeout(this.#limits.idle);
    this.#free.push(connection);
  }

  #forget(connection: CleanupConnection): void {
    const at = this.#free.indexOf(connection);
    if (at >= 0) this.#free.splice(at, 1);
  }
}

/** Milliseconds since the epoch, with fraction. */
function wallClock(): number {
  return performance.timeOrigin + performance.now();
}
