/**
 * What a daemon is: a card that says everything about it once, and an `open` that makes a service for one master.cf row.
 *
 * A daemon is a module; where it runs is decided by the master (rows of one placement group share a process). Hence no
 * daemon may keep state in module variables: all state belongs to the service that `open` returns.
 */
import type net from 'node:net';
import type { PeerSocket } from '../host/lean-socket.ts';
import type { Configuration } from '../config/configuration.ts';
import type { MasterRow } from '../config/master-cf.ts';
import type { Log } from '../log/log.ts';
import type { Directory } from '../ipc/directory.ts';
import type { MaybePromise } from '../text/maybe.ts';
import type { QueueStore } from '../queue/store.ts';
import type { Clock } from './clock.ts';
import type { Ending } from './ending.ts';

/** Which process a row shares by default: see docs/architecture.md, processes. */
export type PlacementGroup = 'network in' | 'queue' | 'network out' | 'delivery' | 'keys' | 'tables';

export interface DaemonCard {
  /** Program name in the last column of master.cf. */
  readonly name: string;
  readonly summary: string;
  readonly group: PlacementGroup;
  /** Names of the services it may call (ipc/): asking for another is a mistake that `connect` reports. */
  readonly calls: readonly string[];
  readonly privileges: {
    /** What the daemon needs to be; 'recipient' starts as root and acts as the recipient. */
    readonly user: 'mail_owner' | 'recipient';
    readonly network: boolean;
    /** Directories below queue_directory (or 'mailboxes') that it writes. */
    readonly writes: readonly string[];
  };
  /** The row of the stock master.cf. */
  readonly row: string;
  readonly standards: readonly string[];
}

/** One client that is being served: its log carries the slot's number (pid * 10000 + slot when clients share a process). */
export interface Session<Socket extends PeerSocket = net.Socket> {
  readonly socket: Socket;
  readonly log: Log;
  readonly slot: number;
  /** Where the client came in, when the listener is bound to one address. */
  readonly serverEnd?: { readonly address: string; readonly port: number } | undefined;
  /** The ends of the connection, for a client that postscreen(8) or a proxy has passed on; else those of the socket. */
  readonly ends?: ConnectionEnds | undefined;
  /** Set when this process is to end: sessions without work under way should close, others finish first. */
  readonly ending: Ending;
  /** The service is or was lately at its limit of clients: what `stress` stands for in main.cf is `yes` for this one. */
  readonly stress?: boolean;
  /** For a connection that carries several requests at once: a number of its own for each, as other services give one to each client. */
  readonly requests?: RequestSlots;
}

/** Who is connected to where, as far as anybody can tell: what a socket says of itself, or what a proxy says. */
export type ConnectionEnds = Pick<PeerSocket, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'>;

/** A session that ends without its client: somebody else serves it. */
export const passedOn = Symbol('passed on');

/** What a row of type `pass` gives to others in the same process. */
export interface Taking {
  /** Serve this client. False: not now, and the socket is the caller's still. */
  take(socket: net.Socket, ends: ConnectionEnds): boolean;
}

/** Numbers for the requests that a service works on at once. */
export interface RequestSlots {
  /** So many may be worked on at once in this process: the row's limit. */
  readonly limit: number;
  take(): number;
  give(slot: number): void;
  /** The log that carries this number. */
  voice(slot: number): Log;
}

/** Everything a service is given. Time, luck, the network and other services reach it only through here. */
export interface Tools {
  readonly row: MasterRow;
  readonly config: Configuration;
  readonly log: Log;
  readonly clock: Clock;
  readonly services: Directory;
  /** The queue; in the process that runs cleanup and the queue manager its journal is part of it. */
  readonly store: QueueStore;
  /** Ends this process after the current clients, because a table or file changed under it (as Postfix does). */
  readonly restart: (reason: string) => void;
}

export interface Service {
  /** A client of a stream service. Resolves when the client has been served; the skeleton closes the socket then, unless it was passed on. */
  client?(session: Session): Promise<void | typeof passedOn>;
  /** Instead of `client`, for a service that needs no more of its sockets than a pump does. */
  stranger?(session: Session<PeerSocket>): MaybePromise<void>;
  /** The service nears its limit of clients: those who come now are served under `stress`; those here may be given less time too. */
  stressed?(): void;
  /** A few bytes from someone who wants to wake this service up; also called with 'W' by master's wakeup timer. */
  trigger?(request: Buffer): void;
  /** A datagram, for a row of type unix-dgram. Several may come in a turn of the loop; what is longer than 4096 bytes is cut. */
  datagram?(bytes: Buffer): void;
  /** What callers in the same process use instead of a socket: the calls of the ipc/ declaration. */
  readonly calls?: object;
  /** After privileges were dropped and sockets are served. */
  start?(): MaybePromise<void>;
  /** No new clients come; finish what is under way, write back what must be kept. The process ends after this; `final`: the mail system too. */
  drain?(final: boolean): MaybePromise<void>;
  /** True while there is work under way that is not a client (deliveries, timers that matter): keeps the process from idling out. */
  busy?(): boolean;
}

export interface Daemon {
  readonly card: DaemonCard;
  /** Runs before chroot and before privileges are dropped: open tables and files here. */
  open(tools: Tools): MaybePromise<Service>;
}
