/**
 * The cleanup service over a socket, server end: one message after the other on a connection, or many at once (trunk-server.ts).
 *
 * A client that goes away in the middle of a message, or speaks out of turn, aborts that message and only that.
 */
import type net from 'node:net';
import type { Log } from '../log/log.ts';
import { flushLogs } from '../log/turn.ts';
import { recordText, recordType, type QueueRecord } from '../message/record.ts';
import { RecordReader } from '../message/record-reader.ts';
import { cleanupReplyShape, cleanupService, contentChunkRecord, type Cleanup, type CleanupOptions, type CleanupSession } from './cleanup.ts';
import { serveConversation, type EndingSignal } from './serve.ts';
import { AttributeReader, attribute, decode, encode } from './shape.ts';
import { RemoteInspection } from './inspection-remote.ts';
import { TrunkConversation, TrunkRegistry } from './trunk-server.ts';

/** A single record is a header line or an address; content comes in chunks of what a socket read gives. */
const recordLimit = 16 << 20;

class CleanupConversation {
  readonly #socket: net.Socket;
  readonly #cleanup: Cleanup;
  readonly #log: Log;
  #trunk: TrunkConversation | undefined;
  #session: CleanupSession | undefined;
  #reader: RecordReader | undefined;
  #input = '';
  #opening = false;
  #ending = false;
  /** Filters that the client has; they are shown the message when it has ended. */
  #inspection: RemoteInspection | undefined;

  constructor(socket: net.Socket, cleanup: Cleanup, log: Log) {
    this.#socket = socket;
    this.#cleanup = cleanup;
    this.#log = log;
  }

  greet(): void {
    this.#socket.write(encode({}, {}, attribute('protocol', cleanupService.protocol)), 'latin1');
  }

  receive(chunk: Buffer): void {
    if (this.#trunk !== undefined) return this.#trunk.receive(chunk);
    if (this.#reader === undefined && this.#inspection !== undefined) return this.#inspection.receive(chunk);
    if (this.#reader !== undefined) {
      this.#reader.feed(chunk);
      this.#records();
      return;
    }
    this.#input += chunk.toString('latin1');
    if (this.#input.length > recordLimit) throw new Error('request too large');
    this.#request();
  }

  closed(): void {
    this.#trunk?.closed();
    this.#session?.abort();
    this.#session = undefined;
    this.#inspection?.lost();
  }

  end(): void {
    this.#ending = true;
    if (this.#trunk !== undefined) return this.#trunk.end();
    if (this.#session === undefined && !this.#opening) this.#socket.end();
  }

  #request(): void {
    if (this.#opening || this.#session !== undefined || this.#socket.writableEnded) return;
    const reader = new AttributeReader(this.#input);
    const name = reader.attribute('request');
    if (name === undefined) return;
    if (name === 'open') return this.#opened(reader.at);
    if (name === 'adopt') return this.#adopted(reader.at);
    if (name === 'trunk') return this.#became(reader.at);
    throw new Error(`unknown request "${name.slice(0, 40)}"`);
  }

  #opened(at: number): void {
    const request = decode(cleanupService.requests.open.request, this.#input, at);
    if (request === undefined) return;
    void this.#open({ flags: request.value.flags, lineEnd: lineEndOf(request.value.lineEnd) }, this.#rest(request.next));
  }

  /** A message that was begun on a trunk, under the name it has from there. */
  #adopted(at: number): void {
    const request = decode(cleanupService.requests.adopt.request, this.#input, at);
    if (request === undefined) return;
    const { flags, lineEnd, trunk, name, seconds, microseconds } = request.value;
    const reserved = registryOf(this.#cleanup).take(trunk, name, { seconds, microseconds });
    void this.#open({ flags, lineEnd: lineEndOf(lineEnd), reserved }, this.#rest(request.next));
  }

  #became(at: number): void {
    const request = decode(cleanupService.requests.trunk.request, this.#input, at);
    if (request === undefined) return;
    const rest = this.#rest(request.next);
    this.#trunk = new TrunkConversation(this.#socket, this.#cleanup, this.#log, registryOf(this.#cleanup));
    if (this.#ending) this.#trunk.end();
    if (rest.length > 0) this.#trunk.receive(rest);
  }

  #rest(at: number): Buffer {
    const rest = Buffer.from(this.#input.slice(at), 'latin1');
    this.#input = '';
    return rest;
  }

  async #open(options: CleanupOptions, rest: Buffer): Promise<void> {
    this.#opening = true;
    try {
      const session = await this.#cleanup.open(options);
      if (this.#socket.destroyed) return session.abort();
      this.#session = session;
      this.#reader = new RecordReader({ maximumLength: recordLimit, inParts: contentChunkRecord });
      this.#socket.write(encode(cleanupService.requests.open.reply, { queueId: session.queueId }), 'latin1');
      if (rest.length === 0) return;
      this.#reader.feed(rest);
      this.#records();
    } catch (error) {
      this.#socket.destroy(error as Error);
    } finally {
      this.#opening = false;
    }
  }

  #records(): void {
    const reader = this.#reader!;
    let full = false;
    for (let step = reader.next(); step.kind === 'record'; step = reader.next()) {
      if (step.record.type === recordType.end) return void this.#finish(reader);
      full = this.#record(step.record) || full;
    }
    const last = reader.next();
    if (last.kind === 'bad') throw new Error(last.reason);
    if (full) void this.#pause();
  }

  #record(record: QueueRecord): boolean {
    const session = this.#session!;
    if (record.type === contentChunkRecord) return !session.content(record.data);
    if (record.type === recordType.milterCount) this.#inspect(session);
    else if (record.type === recordType.message) session.message();
    else if (record.type === recordType.extracted) session.extracted();
    else session.record(record.type, recordText(record));
    return false;
  }

  #inspect(session: CleanupSession): void {
    if (session.inspect === undefined) throw new Error('this message cannot be shown to filters');
    this.#inspection = new RemoteInspection(this.#socket);
    session.inspect(this.#inspection);
  }

  async #pause(): Promise<void> {
    this.#socket.pause();
    await this.#session?.drained();
    this.#socket.resume();
  }

  async #finish(reader: RecordReader): Promise<void> {
    const session = this.#session!;
    this.#reader = undefined;
    this.#input = reader.rest().toString('latin1');
    const reply = await session.end();
    this.#session = undefined;
    flushLogs();
    this.#inspection?.finish();
    this.#inspection = undefined;
    if (this.#socket.writable) this.#socket.write(encode(cleanupReplyShape, reply), 'latin1');
    if (this.#ending) this.#socket.end();
    else this.#request();
  }
}

const lineEndOf = (text: string): 'lf' | 'crlf' => (text === 'lf' ? 'lf' : 'crlf');

/** One registry for all connections to the same cleanup. */
const registries = new WeakMap<Cleanup, TrunkRegistry>();

function registryOf(cleanup: Cleanup): TrunkRegistry {
  const known = registries.get(cleanup) ?? new TrunkRegistry();
  registries.set(cleanup, known);
  return known;
}

/** Serve one connection until either side ends it. Trouble is logged, never thrown. */
export function serveCleanup(socket: net.Socket, cleanup: Cleanup, log: Log, ending?: EndingSignal): Promise<void> {
  return serveConversation(socket, new CleanupConversation(socket, cleanup, log), 'cleanup', log, ending);
}
