/**
 * The server end of a trunk (trunk-wire.ts): names are handed out, whole messages come and are given to cleanup at once, answers of
 * one turn of the loop leave in one write.
 *
 * A client that goes away aborts what is under way, and the names it held are free again. A message whose name is not one of
 * this trunk's is a mistake of the client's: the connection ends. Trouble of ours is an answer with status `write`, and a warning.
 */
import type net from 'node:net';
import type { Log } from '../log/log.ts';
import { composeQueueId } from '../message/queue-id.ts';
import { isPending } from '../text/maybe.ts';
import type { TimeValue } from '../text/time.ts';
import { cleanupStatus, type Cleanup, type CleanupReply, type CleanupSession, type NameReservation, type ReservedName } from './cleanup.ts';
import { ShapeTrouble } from './shape.ts';
import { TurnWriter } from './turn-writer.ts';
import {
  eachRecord, FrameCutter, frameLimit, frameString, nameString, readMessage, toClient, toServer, uint32, type Name, type WholeMessage,
} from './trunk-wire.ts';
import { SteadyMap } from '../text/steady.ts';

/** Names that one trunk may hold at a time. */
const nameLimit = 20_000;
/** Text of a refusal that fits into an answer. */
const reasonLimit = 0xffff;

/** The trunks of a process, so that a message may leave its trunk for a connection of its own. */
export class TrunkRegistry {
  readonly #trunks = new Map<number, TrunkConversation>();
  #last = 0;

  add(trunk: TrunkConversation): number {
    this.#trunks.set(++this.#last, trunk);
    return this.#last;
  }

  remove(number: number): void {
    this.#trunks.delete(number);
  }

  /** The name, which is the taker's from now on. Throws ShapeTrouble when there is no such trunk or name. */
  take(trunk: number, name: number, arrival: TimeValue): ReservedName {
    const found = this.#trunks.get(trunk);
    if (found === undefined) throw new ShapeTrouble('unknown trunk');
    return found.take(name, arrival);
  }
}

export class TrunkConversation {
  readonly #writer: TurnWriter;
  readonly #cleanup: Cleanup;
  readonly #log: Log;
  readonly #registry: TrunkRegistry;
  readonly #number: number;
  readonly #names = new SteadyMap<number, NameReservation>();
  readonly #sessions = new SteadyMap<number, CleanupSession | undefined>();
  readonly #cutter = new FrameCutter(frameLimit);
  #lastName = 0;
  #closed = false;
  #ending = false;

  constructor(socket: net.Socket, cleanup: Cleanup, log: Log, registry: TrunkRegistry) {
    this.#writer = new TurnWriter(socket);
    this.#cleanup = cleanup;
    this.#log = log;
    this.#registry = registry;
    this.#number = registry.add(this);
  }

  receive(chunk: Buffer): void {
    this.#cutter.feed(chunk, this.#take);
  }

  /** The process is to end: the client closes when nothing is under way. */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#writer.say(frameString(toClient.retire, ''));
  }

  closed(): void {
    this.#closed = true;
    this.#registry.remove(this.#number);
    for (const session of this.#sessions.values()) session?.abort();
    this.#sessions.clear();
    for (const name of this.#names.values()) name.release();
    this.#names.clear();
  }

  take(number: number, arrival: TimeValue): ReservedName {
    const reservation = this.#names.get(number);
    if (reservation === undefined) throw new ShapeTrouble(`name ${number} was not handed out`);
    this.#names.delete(number);
    return { reservation, arrival, queueId: composeQueueId(arrival, reservation.inode, reservation.long) };
  }

  readonly #take = (frame: Buffer, at: number, end: number): void => this.#frame(frame, at, end);

  #frame(frame: Buffer, at: number, end: number): void {
    const kind = frame[at];
    if (kind === toServer.message) this.#message(readMessage(frame, at, end));
    else if (kind === toServer.want && end - at === 3) this.#stock(frame.readUInt16BE(at + 1));
    else if (kind === toServer.giveBack && end - at === 5) this.#giveBack(frame.readUInt32BE(at + 1));
    else throw new ShapeTrouble(`unknown frame ${kind}`);
  }

  #stock(wanted: number): void {
    this.#writer.say(frameString(toClient.stock, uint32(this.#number) + uint16(wanted) + this.#handOut(wanted)));
  }

  #handOut(wanted: number): string {
    let names = '';
    for (let left = this.#ending ? 0 : wanted; left > 0 && this.#names.size < nameLimit; left--) {
      const reservation = this.#reserve();
      if (reservation === undefined) break;
      const name: Name = { number: ++this.#lastName, inode: reservation.inode, long: reservation.long };
      this.#names.set(name.number, reservation);
      names += nameString(name);
    }
    return names;
  }

  #reserve(): NameReservation | undefined {
    try {
      return this.#cleanup.reserve?.();
    } catch (error) {
      this.#log.warning((error as Error).message);
      return undefined;
    }
  }

  #giveBack(number: number): void {
    const reservation = this.#names.get(number);
    this.#names.delete(number);
    reservation?.release();
  }

  #message(message: WholeMessage): void {
    const { number, name, seconds, microseconds, flags, lineEnd } = message;
    const reserved = this.take(name, { seconds, microseconds });
    if (this.#sessions.has(number)) throw new ShapeTrouble(`message ${number} comes twice`);
    this.#sessions.set(number, undefined);
    try {
      const session = this.#cleanup.open({ flags, lineEnd, reserved });
      if (!isPending(session)) return this.#feed(session, message);
      session.then((late) => this.#feed(late, message)).catch((error: Error) => this.#failed(message, error));
    } catch (error) {
      this.#failed(message, error as Error);
    }
  }

  /** The message in one go: it is small, so that `content` need not be asked whether there is room. */
  #feed(session: CleanupSession, message: WholeMessage): void {
    if (this.#closed) return session.abort();
    this.#sessions.set(message.number, session);
    eachRecord(message.envelope, (type, text) => session.record(type, text));
    session.message();
    session.content(message.content);
    session.extracted();
    if (message.extracted !== '') eachRecord(message.extracted, (type, text) => session.record(type, text));
    session.end().then((reply) => this.#answer(message, reply)).catch((error: Error) => this.#failed(message, error));
  }

  #failed(message: WholeMessage, error: Error): void {
    this.#log.warning(`cleanup: ${error.message}`);
    this.#answer(message, { status: cleanupStatus.write, reason: '' });
  }

  #answer({ number, want }: WholeMessage, { status, reason }: CleanupReply): void {
    this.#sessions.delete(number);
    if (this.#closed) return;
    const text = reason.length > reasonLimit ? reason.slice(0, reasonLimit) : reason;
    this.#writer.say(frameString(toClient.answer, uint32(number) + uint32(status) + uint16(text.length) + text + uint16(want) + this.#handOut(want)));
  }
}

function uint16(value: number): string {
  return String.fromCharCode(value >>> 8, value & 0xff);
}
