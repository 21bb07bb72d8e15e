/**
 * The queue manager's end of the deliver protocol: one request at a time on a connection, connections kept for the next request.
 *
 * The agent greets first: a scheduler that talked into a socket nobody has picked up would wait with mail in its hand. An agent with
 * a process limit picks up only so many; a request that still waits to be greeted goes to the first connection that gets free.
 * A kept connection may just have been ended by the agent, so a request that breaks on one is asked once more on a new one;
 * one that breaks on a new connection is `AgentTrouble`. Without a socket to connect to it is AgentTrouble at once.
 */
import net from 'node:net';
import { deliverService, type DeliveryReply, type DeliveryRequest } from './deliver.ts';
import { attribute, decode, encode } from './shape.ts';

/** The agent died, broke the protocol, or is not there. `unavailable`: it could not even be reached. */
export class AgentTrouble extends Error {
  readonly unavailable: boolean;
  /** So many wait for the agent that its listen queue is full. */
  readonly crowded: boolean;

  constructor(message: string, unavailable: boolean, crowded = false) {
    super(message);
    this.unavailable = unavailable;
    this.crowded = crowded;
  }
}

/** How often, and at what distance in milliseconds, a full listen queue is tried again. */
const crowdedTries = 600;
const crowdedPause = 100;

export interface PoolLimits {
  /** daemon_timeout and the like are the agent's own; this bounds a request that never comes back (ipc_timeout), milliseconds. */
  readonly timeout: number;
  /** How long a connection without requests is kept, milliseconds. */
  readonly idle: number;
}

const shapes = deliverService.requests.deliver;

interface Job {
  readonly text: string;
  readonly resolve: (reply: DeliveryReply) => void;
  readonly reject: (trouble: AgentTrouble) => void;
  /** Has been on a kept connection that broke. */
  again: boolean;
  /** Attempts left at a full listen queue. */
  patience: number;
}

interface PoolSide {
  /** Greeted, or done with its request: it can take one. */
  free(connection: AgentConnection): void;
  closed(connection: AgentConnection, job: Job | undefined, trouble: AgentTrouble): void;
}

class AgentConnection {
  readonly #socket: net.Socket;
  readonly #limits: PoolLimits;
  readonly #pool: PoolSide;
  greeted = false;
  /** Has had a request before the one it has. */
  kept = false;
  #job: Job | undefined;
  #input = '';

  constructor(path: string, limits: PoolLimits, pool: PoolSide, job: Job) {
    let trouble = 'connection closed';
    let unavailable = false;
    let crowded = false;
    this.#limits = limits;
    this.#pool = pool;
    this.#job = job;
    this.#socket = net.connect({ path });
    this.#socket.setTimeout(limits.timeout);
    this.#socket.on('timeout', () => this.#expired());
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      trouble = error.message;
      crowded = error.code === 'EAGAIN';
      unavailable = error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'EACCES';
    });
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('end', () => this.#socket.end());
    this.#socket.on('close', () => this.#pool.closed(this, this.#take(), new AgentTrouble(trouble, unavailable, crowded)));
  }

  /** Can a request still be written? */
  get usable(): boolean {
    return this.#socket.writable;
  }

  /** Waits to be greeted with a request in its hand. */
  get waiting(): boolean {
    return !this.greeted && this.#job !== undefined;
  }

  run(job: Job): void {
    this.#job = job;
    this.#socket.setTimeout(this.#limits.timeout);
    this.#socket.write(job.text, 'latin1');
  }

  /** Another connection takes the request over. */
  giveUp(): Job | undefined {
    this.#socket.setTimeout(this.#limits.idle);
    return this.#take();
  }

  rest(): void {
    this.#socket.setTimeout(this.#limits.idle);
  }

  end(): void {
    this.#socket.end();
  }

  #take(): Job | undefined {
    const job = this.#job;
    this.#job = undefined;
    return job;
  }

  #expired(): void {
    if (this.#job === undefined) this.#socket.end();
    else this.#socket.destroy(new Error('no answer in time'));
  }

  #receive(chunk: Buffer): void {
    this.#input += chunk.toString('latin1');
    try {
      if (!this.greeted) this.#greet();
      else this.#answer();
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
  }

  #greet(): void {
    const greeting = decode({ protocol: 'text' }, this.#input);
    if (greeting === undefined) return;
    if (greeting.value.protocol !== deliverService.protocol) throw new Error(`agent speaks ${greeting.value.protocol}`);
    this.#input = this.#input.slice(greeting.next);
    this.greeted = true;
    if (this.#job !== undefined) this.run(this.#job);
    else this.#pool.free(this);
  }

  #answer(): void {
    if (this.#job === undefined) throw new Error('agent speaks unasked');
    const reply = decode(shapes.reply, this.#input);
    if (reply === undefined) return;
    this.#input = this.#input.slice(reply.next);
    this.kept = true;
    this.#take()!.resolve(reply.value);
    this.#pool.free(this);
  }
}

/** The connections to one transport's agents. */
export class DeliverPool {
  readonly #path: string;
  readonly #limits: PoolLimits;
  readonly #free: AgentConnection[] = [];
  /** Not greeted yet, in the order in which they will be. */
  readonly #calling = new Set<AgentConnection>();
  readonly #side: PoolSide = {
    free: (connection) => this.#next(connection),
    closed: (connection, job, trouble) => this.#closed(connection, job, trouble),
  };

  constructor(path: string, limits: PoolLimits) {
    this.#path = path;
    this.#limits = limits;
  }

  /** Rejects with AgentTrouble only. */
  deliver(request: DeliveryRequest): Promise<DeliveryReply> {
    const text = encode(shapes.request, request, attribute('request', 'deliver'));
    return new Promise((resolve, reject) => this.#place({ text, resolve, reject, again: false, patience: crowdedTries }));
  }

  /** No more requests come: idle connections are closed. */
  close(): void {
    for (const connection of this.#free.splice(0)) connection.end();
  }

  #place(job: Job): void {
    for (let kept = this.#free.pop(); kept !== undefined; kept = this.#free.pop()) {
      if (kept.usable) return kept.run(job);
    }
    this.#call(job);
  }

  #call(job: Job): void {
    this.#calling.add(new AgentConnection(this.#path, this.#limits, this.#side, job));
  }

  /** The longest waiting request is next. */
  #next(connection: AgentConnection): void {
    this.#calling.delete(connection);
    for (const caller of this.#calling) {
      if (!caller.waiting) continue;
      if (!connection.usable) break;
      return connection.run(caller.giveUp()!);
    }
    connection.rest();
    this.#free.push(connection);
  }

  #closed(connection: AgentConnection, job: Job | undefined, trouble: AgentTrouble): void {
    this.#calling.delete(connection);
    const at = this.#free.indexOf(connection);
    if (at >= 0) this.#free.splice(at, 1);
    if (job === undefined) return;
    if (trouble.crowded && job.patience-- > 0) return void setTimeout(() => this.#place(job), crowdedPause);
    if (job.again || !connection.kept) return job.reject(trouble);
    job.again = true;
    this.#call(job);
  }
}
