/**
 * What travels through the expansion of one recipient: the work, which is the same all the way, and the position, which each
 * step hands on changed and never changes itself.
 */
import type { DeliveredTo } from '../../delivery/delivered-to.ts';
import type { Failure } from '../../delivery/failure.ts';
import type { Report, Reports, ReturnedMessage } from '../../delivery/reports.ts';
import type { Account } from '../../host/identity.ts';
import type { DeliveryRequest, Recipient } from '../../ipc/deliver.ts';
import type { Log } from '../../log/log.ts';
import type { MaybePromise } from '../../text/maybe.ts';
import { foldCase } from '../../text/utf8.ts';
import type { Forwards } from './forwards.ts';
import { expansion, type ExpansionKind, type LocalSettings } from './settings.ts';

export interface Work {
  readonly settings: LocalSettings;
  readonly request: DeliveryRequest;
  readonly reports: Reports;
  readonly log: Log;
  content(): AsyncIterable<Buffer>;
  /** The same as one piece, where the message is in memory anyway. */
  contentNow(lineEnd: '\n'): Buffer | undefined;
  /** Where the message has been before. */
  readonly loops: DeliveredTo;
  /** What was done already for this recipient. */
  readonly seen: Seen;
  /** Messages to be sent on when the expansion is complete. */
  readonly forwards: Forwards;
}

/** Whose rights files are opened and commands run with. uid 0: nobody's yet. */
export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly home?: string;
  readonly name?: string;
  readonly shell?: string;
}

export const noUser: User = { uid: 0, gid: 0 };

export function userOf({ uid, gid, home, name, shell }: Account): User {
  return { uid, gid, home, name, shell };
}

export interface Position {
  /** How deep the expansion is. */
  readonly level: number;
  readonly recipient: Recipient;
  readonly sender: string;
  readonly dsnEnvid: string;
  readonly dsnRet: number;
  /** The part before the @, in lower case; that without extension; the extension, perhaps ''; and what separated them. */
  readonly local: string;
  readonly user: string;
  readonly extension: string | undefined;
  readonly delimiter: string;
  readonly domain: string | undefined;
  /** An extension that nothing has matched yet: it is passed on to what the address expands to. */
  readonly unmatched: string | undefined;
  /** Who gets the problems of a list, or who forwards. */
  readonly owner: string | undefined;
  /** For Delivered-To:. */
  readonly delivered: string | undefined;
  readonly found: ExpansionKind;
  /** The name whose expansion this is: it does not expand again within itself. */
  readonly expandedFrom: string | undefined;
}

export function startPosition(request: DeliveryRequest, recipient: Recipient): Position {
  return {
    level: 0, recipient, sender: request.sender, dsnEnvid: request.dsnEnvid, dsnRet: request.dsnRet,
    local: '', user: '', extension: undefined, delimiter: '', domain: undefined, unmatched: undefined,
    owner: undefined, delivered: undefined, found: expansion.none, expandedFrom: undefined,
  };
}

export function deeper(position: Position): Position {
  return { ...position, level: position.level + 1 };
}

/** No expansion is nested deeper than this. */
export const deepest = 100;

/** Keys of what was done, compared without regard to case; at most so many (duplicate_filter_limit, 0: no limit). */
export class Seen {
  readonly #keys = new Set<string>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** True when the key was there; else it is from now on. */
  before(key: string): boolean {
    const folded = foldCase(key);
    if (this.#keys.has(folded)) return true;
    if (this.#limit <= 0 || this.#keys.size < this.#limit) this.#keys.add(folded);
    return false;
  }

  has(key: string): boolean {
    return this.#keys.has(foldCase(key));
  }
}

function full(work: Work, report: Report): Report {
  return { relay: work.settings.service, ...report };
}

export function sent(work: Work, { recipient }: Position, report: Omit<Report, 'dsn'>): MaybePromise<boolean> {
  return work.reports.sent(work.request, recipient, full(work, { dsn: '2.0.0', ...report }));
}

/** Deferred or bounced, as the status says. */
export function failed(work: Work, { recipient }: Position, failure: Failure): MaybePromise<boolean> {
  return work.reports.failed(work.request, recipient, full(work, failure));
}

/** The message as a report for one recipient needs it, returned to the position's sender. */
export function returned(work: Work, { sender, dsnEnvid, dsnRet }: Position): ReturnedMessage {
  return { ...work.request, sender, dsnEnvid, dsnRet };
}

export function failedOne(work: Work, position: Position, failure: Failure): MaybePromise<boolean> {
  return work.reports.failedOne(returned(work, position), position.recipient, full(work, failure));
}

/** The sender wanted to hear of success: an alias was expanded. RFC 3461 section 5.2.7. */
export function traceExpanded(work: Work, { recipient }: Position, action: 'expanded' | 'delivered'): MaybePromise<boolean> {
  const message = { ...work.request, flags: 0 };
  return work.reports.trace(message, recipient, full(work, { dsn: '2.0.0', action, text: 'alias expanded' }));
}

export const configurationError: Failure = { dsn: '5.3.5', text: 'mail system configuration error' };
