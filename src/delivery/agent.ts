/**
 * The frame of a delivery agent, so that an agent is a page: it serves the deliver protocol, opens the queue file, and hands
 * over a Delivery whose Outcome logs, reports, marks and answers.
 *
 * What the agent does not report, because it threw or forgot, is deferred: no mail is lost by a mistake of ours. A queue file that is
 * gone has been dealt with by someone else; one that is corrupt or locked stays where it is.
 */
import type net from 'node:net';
import { deliverService, noDsn, type DeliveryReply, type DeliveryRequest } from '../ipc/deliver.ts';
import { serveCalls, type EndingSignal } from '../ipc/serve.ts';
import type { Log } from '../log/log.ts';
import { storeFor } from '../queue/file-store.ts';
import { QueueTrouble, type MessageReader, type QueueName, type QueueStore } from '../queue/store.ts';
import { ConfigurationError } from '../config/configuration-error.ts';
import type { Configuration } from '../config/configuration.ts';
import type { Directory } from '../ipc/directory.ts';
import type { MaybePromise } from '../text/maybe.ts';
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
}

/** What the skeleton gives a daemon, as far as the frame needs it. */
export interface AgentTools {
  readonly row: { readonly service: string };
  readonly config: Configuration;
  readonly log: Log;
  readonly clock: { now(): number };
  readonly services: Directory;
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

/** A client of the service, as the skeleton gives it. */
export interface AgentSession {
  readonly socket: net.Socket;
  readonly log: Log;
  readonly ending?: EndingSignal;
}

const broken = { dsn: '4.3.0', text: 'unknown mail transport error' } as const;

/** The service of a delivery agent, for a daemon's `open` to return. */
export class Agent {
  /** For callers in the same process. */
  readonly calls: { deliver(request: DeliveryRequest): Promise<DeliveryReply> };
  readonly #tools: AgentTools;
  readonly #options: AgentOptions;
  readonly #reportTools: ReportTools;
  readonly #queue: QueueStore;
  readonly #underWay = new Set<Promise<DeliveryReply>>();

  constructor(tools: AgentTools, options: AgentOptions) {
    const { config, clock, services, log } = tools;
    this.#tools = tools;
    this.#options = options;
    this.#reportTools = {
      parameters: config.view(reportParameters), clock, services,
      statusFilter: options.statusFilter, fastFlush: options.fastFlush,
    };
    this.#queue = options.queue ?? storeFor(config.view(['hash_queue_names', 'hash_queue_depth', 'enable_long_queue_ids']));
    this.calls = { deliver: (request) => this.deliver(request, log) };
  }

  /** Requests that come one after the other over a kept connection. */
  client({ socket, log, ending }: AgentSession): Promise<void> {
    return serveCalls(socket, deliverService, { deliver: (request) => this.deliver(request, log) }, log, ending);
  }

  busy(): boolean {
    return this.#underWay.size > 0;
  }

  /** What is being delivered is delivered to its end. */
  async drain(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  /** Never rejects. */
  async deliver(request: DeliveryRequest, log: Log): Promise<DeliveryReply> {
    const delivery = this.#deliver(request, log);
    this.#underWay.add(delivery);
    try {
      return await delivery;
    } finally {
      this.#underWay.delete(delivery);
    }
  }

  async #deliver(received: DeliveryRequest, log: Log): Promise<DeliveryReply> {
    // A request that another agent passed on keeps the time when that one got it.
    const { times } = received;
    if (received.recipients.length === 0) log.warning(`${received.queueId}: no recipients in delivery request for destination ${received.nexthop}`);
    const timed = times.agentHandoff > 0 ? received : { ...received, times: { ...times, agentHandoff: this.#tools.clock.now() / 1000 } };
    const file = this.#open(timed, log);
    if ('status' in file) return file;
    const request = withoutDone(timed, file);
    const reports = new Reports(this.#reportTools, log);
    const relay = this.#options.relay ?? this.#tools.row.service;
    const outcome = new Outcome({ request, reports, log, file, relay });
    try {
      const content = (): AsyncIterable<Buffer> => file.content({ offset: request.dataOffset });
      if (request.recipients.length > 0) await this.#options.deliver({ request, outcome, log, file, content });
    } catch (error) {
      if (error instanceof QueueTrouble) log.warning(`${request.queueId}: ${error.message}`);
      else log.error(`${request.queueId}: delivery failed unexpectedly: ${(error as Error).stack ?? String(error)}`);
    }
    await outcome.all('deferred', broken);
    file.close();
    return outcome.reply();
  }

  #open(request: DeliveryRequest, log: Log): MessageReader | DeliveryReply {
    try {
      return this.#queue.open(request.queueName as QueueName, request.queueId, { write: true, lock: 'shared' });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      log.warning(`${request.queueId}: ${message}`);
      return { status: -1, hop: code === 'ENOENT' ? noDsn : dsnOf(broken) };
    }
  }
}

/** A request that is asked again, because the process that had it died, is not done again for those who have their mail. */
function withoutDone(request: DeliveryRequest, file: MessageReader): DeliveryRequest {
  const recipients = request.recipients.filter(({ offset }) => !file.isDone(offset));
  return recipients.length === request.recipients.length ? request : { ...request, recipients };
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
