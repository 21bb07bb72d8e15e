/**
 * The cleanup service over a socket, server end: one message after the other on a connection.
 *
 * A client that goes away in the middle of a message, or speaks out of turn, aborts that message and only that.
 */
import type net from 'node:net';
import type { Log } from '../log/log.ts';
import { recordText, recordType, type QueueRecord } from '../message/record.ts';
import { RecordReader } from '../message/record-reader.ts';
import { cleanupReplyShape, cleanupService, contentChunkRecord, type Cleanup, type CleanupSession } from './cleanup.ts';
import { serveConversation, type EndingSignal } from './serve.ts';
import { AttributeReader, attribute, decode, encode } from './shape.ts';

/** A single record is a header line or an address; content comes in chunks of what a socket read gives. */
const recordLimit = 16 << 20;

class CleanupConversation {
  readonly #socket: net.Socket;
  readonly #cleanup: Cleanup;
  #session: CleanupSession | undefined;
  #reader: RecordReader | undefined;
  #input = '';
  #opening = false;
  #ending = false;

  constructor(socket: net.Socket, cleanup: Cleanup) {
    this.#socket = socket;
    this.#cleanup = cleanup;
  }

  greet(): void {
    this.#socket.write(encode({}, {}, attribute('protocol', cleanupService.protocol)), 'latin1');
  }

  receive(chunk: Buffer): void {
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
    this.#session?.abort();
    this.#session = undefined;
  }

  end(): void {
    this.#ending = true;
    if (this.#session === undefined && !this.#opening) this.#socket.end();
  }

  #request(): void {
    if (this.#opening || this.#session !== undefined || this.#socket.writableEnded) return;
    const reader = new AttributeReader(this.#input);
    const name = reader.attribute('request');
    if (name === undefined) return;
    if (name !== 'open') throw new Error(`unknown request "${name.slice(0, 40)}"`);
    const request = decode(cleanupService.requests.open.request, this.#input, reader.at);
    if (request === undefined) return;
    const rest = Buffer.from(this.#input.slice(request.next), 'latin1');
    this.#input = '';
    void this.#open(request.value.flags, request.value.lineEnd === 'lf' ? 'lf' : 'crlf', rest);
  }

  async #open(flags: number, lineEnd: 'lf' | 'crlf', rest: Buffer): Promise<void> {
    this.#opening = true;
    try {
      const session = await this.#cleanup.open({ flags, lineEnd });
      if (this.#socket.destroyed) return session.abort();
      this.#session = session;
      this.#reader = new RecordReader({ maximumLength: recordLimit });
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
    if (record.type === recordType.message) session.message();
    else if (record.type === recordType.extracted) session.extracted();
    else session.record(record.type, recordText(record));
    return false;
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
    if (this.#socket.writable) this.#socket.write(encode(cleanupReplyShape, reply), 'latin1');
    if (this.#ending) this.#socket.end();
    else this.#request();
  }
}

/** Serve one connection until either side ends it. Trouble is logged, never thrown. */
export function serveCleanup(socket: net.Socket, cleanup: Cleanup, log: Log, ending?: EndingSignal): Promise<void> {
  return serveConversation(socket, new CleanupConversation(socket, cleanup), 'cleanup', log, ending);
}
