/**
 * One connection of the queue manager to an agent process: requests under way by number, and the two waits that are bounded.
 *
 * It reports to its pool: greeted once, freed when it has room again, answered after each piece of answers, closed at the end with the
 * requests that had no answer. An agent that breaks the protocol is hung up on. Time is counted in ticks of one timer,
 * so that no request costs a timer or a look at the clock: waits end up to one tick late.
 */
import type net from 'node:net';
import { deliverService, type DeliveryReply, type DeliveryRequest } from './deliver.ts';
import { decodeReply, encodeRequest, FrameReader, FrameWriter, greetingShape, retirement } from './deliver-frames.ts';
import { decode, ShapeTrouble } from './shape.ts';
import { hear } from '../host/quick-stream.ts';
import { SteadyMap } from '../text/steady.ts';

/** A request that waits for its answer. */
export interface Job {
  readonly request: DeliveryRequest;
  readonly resolve: (reply: DeliveryReply) => void;
  readonly reject: (trouble: Error) => void;
  /** Has been on a connection that broke. */
  readonly again: boolean;
}

interface Asked {
  readonly job: Job;
  /** The tick in which it was sent. */
  readonly tick: number;
}

export interface ConnectionOwner {
  greeted(connection: AgentConnection): void;
  freed(connection: AgentConnection): void;
  answered(): void;
  closed(connection: AgentConnection, jobs: Iterable<Job>, error: NodeJS.ErrnoException | undefined): void;
}

const lastNumber = 0xffff_ffff;
/** Bytes of a greeting. */
const greetingLimit = 4096;

export class AgentConnection {
  /** Requests that the agent serves at once on this connection; 0 before it has greeted. */
  slots = 0;
  /** Which process greeted. */
  process = 0;
  isGreeted = false;
  /** Has answered a request. */
  kept = false;
  /** Counts among the connections with room. */
  isListed = true;
  readonly #socket: net.Socket;
  readonly #owner: ConnectionOwner;
  readonly #limits: { readonly timeout: number; readonly idle: number };
  readonly #asked = new SteadyMap<number, Asked>();
  readonly #reader = new FrameReader();
  readonly #writer: FrameWriter;
  readonly #timer: NodeJS.Timeout;
  #greeting = '';
  #number = retirement;
  #tick = 0;
  #lastUse = 0;
  /** The agent takes no further requests, or we have none. */
  #retired = false;

  constructor(socket: net.Socket, limits: { readonly timeout: number; readonly idle: number }, owner: ConnectionOwner) {
    let trouble: NodeJS.ErrnoException | undefined;
    this.#socket = socket;
    this.#limits = limits;
    this.#owner = owner;
    this.#writer = new FrameWriter(socket);
    this.#timer = setInterval(() => this.#look(), this.#period).unref();
    socket.on('error', (error: NodeJS.ErrnoException) => { trouble = error; });
    hear(socket, (chunk) => this.#receive(chunk));
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      clearInterval(this.#timer);
      owner.closed(this, this.#left(), trouble);
    });
  }

  /** Can a request still be written? */
  get usable(): boolean {
    return !this.#retired && this.#socket.writable;
  }

  /** Requests that fit in besides those under way. */
  get room(): number {
    return this.slots - this.#asked.size;
  }

  send(job: Job): void {
    this.#number = this.#number === lastNumber ? retirement + 1 : this.#number + 1;
    this.#asked.set(this.#number, { job, tick: this.#tick });
    this.#lastUse = this.#tick;
    this.#writer.put(this.#number, encodeRequest(job.request));
  }

  end(): void {
    this.#retired = true;
    this.#socket.end();
  }

  /** Close as soon as nothing is under way. */
  retire(): void {
    this.#retired = true;
    if (this.isGreeted && this.#asked.size === 0) this.#socket.end();
  }

  #left(): Job[] {
    return Array.from(this.#asked.values(), ({ job }) => job);
  }

  get #period(): number {
    return Math.max(1, Math.min(this.#limits.idle, this.#limits.timeout));
  }

  /** Once per tick: has somebody waited too long, or nobody at all? */
  #look(): void {
    this.#tick++;
    const [oldest] = this.#asked.values();
    const since = oldest?.tick ?? (this.isGreeted ? undefined : 0);
    if (since === undefined) {
      if ((this.#tick - this.#lastUse) * this.#period > this.#limits.idle) this.end();
    } else if ((this.#tick - since) * this.#period > this.#limits.timeout) this.#socket.destroy(new Error('no answer in time'));
  }

  #receive(chunk: Buffer): void {
    try {
      const rest = this.isGreeted ? chunk : this.#greet(chunk);
      if (rest === undefined) return;
      this.#reader.receive(rest, this.#take);
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
    if (this.#retired) this.retire();
    this.#owner.answered();
  }

  /** What follows the greeting; undefined: it is not complete. */
  #greet(chunk: Buffer): Buffer | undefined {
    const before = this.#greeting.length;
    this.#greeting += chunk.toString('latin1');
    // What a process of another release says first does not decode, or names another protocol.
    const greeting = decode(greetingShape, this.#greeting);
    if (greeting === undefined && this.#greeting.length > greetingLimit) throw new ShapeTrouble('agent does not greet');
    if (greeting === undefined) return undefined;
    if (greeting.value.protocol !== deliverService.protocol) throw new ShapeTrouble(`agent speaks ${greeting.value.protocol}`);
    this.isGreeted = true;
    this.#greeting = '';
    this.#lastUse = this.#tick;
    this.slots = greeting.value.slots;
    this.process = greeting.value.process;
    this.#owner.greeted(this);
    return chunk.subarray(greeting.next - before);
  }

  readonly #take = (number: number, text: string): void => {
    if (number === retirement) {
      this.#retired = true;
      return;
    }
    const asked = this.#asked.get(number);
    if (asked === undefined) throw new ShapeTrouble('agent speaks unasked');
    const reply = decodeReply(text);
    this.#asked.delete(number);
    this.kept = true;
    this.#lastUse = this.#tick;
    asked.job.resolve(reply);
    if (!this.isListed && !this.#retired) {
      this.isListed = true;
      this.#owner.freed(this);
    }
  };
}
