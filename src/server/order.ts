/**
 * What master(8) and its processes tell each other over descriptor 3: one JSON value per line.
 *
 * Master says first what the process is to be (ProcessOrder), later a word now and then; the process reports how it fares. Either
 * side takes the end of the stream as the death of the other. A line that is no such value is a fault of ours: LineReader throws.
 */
import type { MasterRow } from '../config/master-cf.ts';
import type { LogTarget } from '../log/target.ts';
import type { Setting } from '../config/main-cf.ts';

/** One row of master.cf that the process serves. */
export interface ServiceOrder {
  readonly row: MasterRow;
  /** Listening descriptors, as numbered in the process; empty for a service that only this process calls. */
  readonly descriptors: readonly number[];
  /** Clients served at once; 0: no limit. */
  readonly limit: number;
  /** maxproc 1: one process at a time may serve this row, also across generations. */
  readonly alone: boolean;
}

export interface ProcessOrder {
  /** Shown by ps(1): a daemon's name, or the name of its placement group. */
  readonly title: string;
  readonly generation: number;
  readonly configDirectory: string;
  /** main.cf as master read it: a process that starts later must not see a half-made edit. */
  readonly settings: readonly (readonly [name: string, setting: Setting])[];
  readonly queueDirectory: string;
  /** Where the log goes; a descriptor is numbered as in the process. */
  readonly log: LogTarget;
  readonly verbose: number;
  /** Become this user before serving; undefined: stay who we are. */
  readonly user: { readonly uid: number; readonly gid: number; readonly name: string } | undefined;
  readonly chroot: boolean;
  /** Never ends for want of work. */
  readonly resident: boolean;
  /** One client per process: report `taken` and `available` for each. */
  readonly oneClient: boolean;
  readonly services: readonly ServiceOrder[];
}

/** From the process. `service` is an index into the order's services. */
export type Report =
  | { readonly kind: 'ready' }
  /** First use of a service. */
  | { readonly kind: 'served'; readonly service: number }
  | { readonly kind: 'taken' }
  | { readonly kind: 'available' }
  /** All slots of the service are taken. */
  | { readonly kind: 'full'; readonly service: number }
  /** This service could not be opened; the others are served. */
  | { readonly kind: 'failed'; readonly service: number }
  /** No more clients are taken; the process ends when its work is finished. */
  | { readonly kind: 'retiring' }
  /** Lines for the log file, from a process that has let go of it: see docs/decisions/log-file-by-master.md. */
  | { readonly kind: 'log'; readonly lines: string };

/** From master, after the order. */
export type Word =
  | { readonly kind: 'wake'; readonly service: number }
  /** Take no more clients, finish what is under way, end. */
  | { readonly kind: 'drain' }
  /** The mail system stops: the same, but soon. */
  | { readonly kind: 'stop' };

/** An order names every row of master.cf with its arguments. */
const lineLimit = 16 << 20;

/** Cuts a stream of bytes into JSON values. */
export class LineReader {
  #text = '';

  *read(chunk: Buffer): Generator<unknown> {
    this.#text += chunk.toString('latin1');
    if (this.#text.length > lineLimit) throw new Error('line of the master protocol is too long');
    let start = 0;
    for (let end = this.#text.indexOf('\n'); end >= 0; end = this.#text.indexOf('\n', start)) {
      const line = this.#text.slice(start, end);
      start = end + 1;
      yield JSON.parse(line);
    }
    this.#text = this.#text.slice(start);
  }
}

/** A value as one line; byte strings survive because every char above 126 is escaped. */
export function encodeLine(value: object): string {
  return `${JSON.stringify(value).replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`;
}
