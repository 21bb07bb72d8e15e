/**
 * The frame of a delivery agent, so that an agent is a page: it serves the deliver protocol, opens the queue file, and hands
 * over a Delivery whose Outcome logs, reports, marks and answers.
 *
 * What the agent does not report, because it threw or forgot, is deferred: no mail is lost by a mistake of ours. A queue file that is
 * gone has been dealt with by someone else; one that is corrupt or locked stays where it is.
 */
import type net from 'node:net';
import { noDsn, type DeliveryReply, type DeliveryRequest, type Recipient } from '../ipc/deliver.ts';
import { serveDeliveries, type Trunk } from '../ipc/deliver-serve.ts';
import type { EndingSignal } from '../ipc/serve.ts';
import type { Log } from '../log/log.ts';
import { storeFor } from '../queue/file-store.ts';
import { QueueTrouble, type ContentNotes, type ContentOptions, type MessageReader, type QueueName, type QueueStore } from '../queue/store.ts';
import { ConfigurationError } from '../config/configuration-error.ts';
import type { Configuration } from '../config/configuration.ts';
import type { Directory } from '../ipc/directory.ts';
import { isPending, type MaybePromise } from '../text/maybe.ts';
import { Outcome } from './outcome.ts';
import { dsnOf, reportParameters, Reports, type ReportTools } from './reports.ts';

/** One request at work. */
export interface Delivery {
  readonly request: DeliveryRequest;
  readonly outcome: Outcome;
  readonly log: Log;
  /** The open queue file. */
  readonly file: MessageReader;
  /** The message from its first header on, with LF line ends. Can be asked for again and again. */
  content(): AsyncIterable<Buffer>;
  /** The same as one piece, where the message is in memory anyway; undefined: ask for content(). */
  contentNow(lineEnd: NonNullable<ContentOptions['lineEnd']>, notes?: ContentNotes): Buffer | undefined;
  /** The content with CRLF line ends, each piece only until the next one is asked for. */
  contentWire(notes?: ContentNotes): AsyncIterable<Buffer>;
}

/** What the skeleton gives a daemon, as far as the frame needs it. */
export interface AgentTools {
  readonly row: { readonly service: string };
  readonly config: Configuration;
  readonly log: Log;
  readonly clock: { now(): number };
  readonly services: Directory;
  readonly store?: QueueStore;
}

export interface AgentOptions {
  readonly deliver: (delivery: Delivery) => MaybePromise<void>;
  /** What log lines say behind `relay=`; the service's name when absent. */
  readonly relay?: string;
  readonly statusFilter?: ReportTools['statusFilter'];
  readonly fastFlush?: ReportTools['fastFlush'];
  /** Where queue files are; the queue directory's own when absent. */
  readonly queue?: QueueStore;
}

/** Numbers for requests at work, as the skeleton gives them (server/daemon.ts). */
interface RequestSlots {
  readonly limit: number;
  take(): number;
  give(slot: number): void;
  voice(slot: number): Log;
}

/** A client of the service, as the skeleton gives it. */
export interface AgentSession {
  readonly socket: net.Socket;
  readonly log: Log;
  readonly ending?: EndingSignal;
  readonly requests?: RequestSlots;
}

/** A request that came over a connection. */
interface Asked {
  readonly request: DeliveryRequest;
  readonly number: number;
  readonly trunk: Trunk;
  readonly session: AgentSession;
}

/** Requests at once where the skeleton does not say, or has no limit. */
const usualLimit = 1000;
const broken = { dsn: '4.3.0', text: 'unknown mail transport error' } as const;

/** The service of a delivery agent, for a daemon's `open` to return. */
export class Agent {
  /** For callers in the same process. */
  readonly calls: { deliver(request: DeliveryRequest): Promise<DeliveryReply> };
  readonly #tools: AgentTools;
  readonly #options: AgentOptions;
  readonly #reportTools: ReportTools;
  readonly #queue: QueueStore;
  /** Requests being worked on. */
  #underWay = 0;
  /** Those that came over connections: never more than the limit. */
  #asked = 0;
  /** Requests over the limit: several clients together may send more than one alone. */
  readonly #line: Asked[] = [];
  #drained: (() => void)[] = [];

  constructor(tools: AgentTools, options: AgentOptions) {
    const { config, clock, services, log, store } = tools;
    this.#tools = tools;
    this.#options = options;
    this.#reportTools = {
      parameters: config.view(reportParameters), clock, services,
      statusFilter: options.statusFilter, fastFlush: options.fastFlush,
    };
    this.#queue = options.queue ?? store ?? storeFor(config.view(['hash_queue_names', 'hash_queue_depth', 'enable_long_queue_ids']));
    this.calls = { deliver: (request) => this.deliver(request, log) };
  }

  /** Requests that come over a kept connection, many at once. */
  client(session: AgentSession): Promise<void> {
    const slots = session.requests?.limit || usualLimit;
    const take = (request: DeliveryRequest, number: number, trunk: Trunk): void => this.#take({ request, number, trunk, session }, slots);
    return serveDeliveries(session.socket, { slots, take }, session.log, session.ending);
  }

  busy(): boolean {
    return this.#underWay > 0;
  }

  /** What is being delivered is delivered to its end. */
  async drain(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => { this.#drained.push(resolve); });
  }

  #take(asked: Asked, limit: number): void {
    if (this.#asked >= limit) this.#line.push(asked);
    else this.#serve(asked);
  }

  #serve({ request, number, trunk, session: { requests, log } }: Asked): void {
    this.#asked++;
    const slot = requests?.take() ?? 0;
    // What came over a connection is nobody else's, and need not be copied.
    if (request.times.agentHandoff <= 0) request.times.agentHandoff = this.#tools.clock.now() / 1000;
    void this.deliver(request, requests?.voice(slot) ?? log).then((reply) => {
      trunk.answer(number, reply);
      requests?.give(slot);
      this.#asked--;
      const next = this.#line.shift();
      if (next !== undefined) this.#serve(next);
    });
  }

  /** Never rejects. */
  deliver(received: DeliveryRequest, log: Log): Promise<DeliveryReply> {
    if (received.recipients.length === 0) log.warning(`${received.queueId}: no recipients in delivery request for destination ${received.nexthop}`);
    const request = withHandoff(received, this.#tools.clock);
    const file = this.#open(request, log);
    return 'status' in file ? Promise.resolve(file) : this.#overFile(request, file, log);
  }

  async #overFile(asked: DeliveryRequest, file: MessageReader, log: Log): Promise<DeliveryReply> {
    this.#underWay++;
    const request = withoutDone(asked, file);
    const outcome = new Outcome({ request, reports: new Reports(this.#reportTools, log), log, file, relay: this.#options.relay ?? this.#tools.row.service });
    try {
      if (request.recipients.length > 0) {
        const delivered = this.#options.deliver(new OpenDelivery(request, outcome, log, file));
        if (isPending(delivered)) await delivered;
      }
    } catch (error) {
      if (error instanceof QueueTrouble) log.warning(`${request.queueId}: ${error.message}`);
      else log.error(`${request.queueId}: delivery failed unexpectedly: ${(error as Error).stack ?? String(error)}`);
    }
    if (!outcome.isComplete) await outcome.all('deferred', broken);
    file.close();
    const reply = outcome.reply();
    if (--this.#underWay === 0) for (const drained of this.#drained.splice(0)) drained();
    return reply;
  }

  #open(request: DeliveryRequest, log: Log): MessageReader | DeliveryReply {
    try {
      return this.#queue.open(request.queueName as QueueName, request.queueId, { write: true, lock: 'shared', place: request.place });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      log.warning(`${request.queueId}: ${message}`);
      return { status: -1, hop: code === 'ENOENT' ? noDsn : dsnOf(broken), logs: 0 };
    }
  }
}

class OpenDelivery implements Delivery {
  readonly request: DeliveryRequest;
  readonly outcome: Outcome;
  readonly log: Log;
  readonly file: MessageReader;

  constructor(request: DeliveryRequest, outcome: Outcome, log: Log, file: MessageReader) {
    this.request = request;
    this.outcome = outcome;
    this.log = log;
    this.file = file;
  }

  // Agents take it out of the delivery and pass it around.
  readonly content = (): AsyncIterable<Buffer> => this.file.content({ offset: this.request.dataOffset });

  contentWire(notes?: ContentNotes): AsyncIterable<Buffer> {
    return this.file.content({ offset: this.request.dataOffset, lineEnd: '\r\n', transient: true, notes });
  }

  contentNow(lineEnd: NonNullable<ContentOptions['lineEnd']>, notes?: ContentNotes): Buffer | undefined {
    return this.file.contentNow?.({ lineEnd, offset: this.request.dataOffset, notes });
  }
}

/** The time when we got it; a request that another agent passed on keeps the time when that one did. */
function withHandoff(request: DeliveryRequest, clock: { now(): number }): DeliveryRequest {
  const { times } = request;
  return times.agentHandoff > 0 ? request : { ...request, times: { ...times, agentHandoff: clock.now() / 1000 } };
}

/** A request that is asked again, because the process that had it died, is not done again for those who have their mail. */
function withoutDone(request: DeliveryRequest, file: MessageReader): DeliveryRequest {
  const isLeft = ({ offset }: Recipient): boolean => !file.isDone(offset);
  return request.recipients.every(isLeft) ? request : { ...request, recipients: request.recipients.filter(isLeft) };
}

/**
 * An agent whose settings are read once. Settings that make no sense do not end the process, which serves other rows too: each
 * request then logs what is wrong, and its mail is deferred until the operator has mended it.
 */
export function openAgent(tools: AgentTools, prepare: () => AgentOptions): Agent {
  try {
    return new Agent(tools, prepare());
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return new Agent(tools, { deliver: (delivery) => misconfigured(delivery, error.message) });
  }
}

async function misconfigured({ log, outcome }: Delivery, problem: string): Promise<void> {
  const report = { dsn: '4.3.5', text: 'mail system configuration error' } as const;
  log.error(problem);
  outcome.unreachable(report);
  await outcome.all('deferred', report);
}
