/**
 * The door to the queue: cleanup(8) takes one message at a time on a session and answers when it is durable, or refused.
 *
 * Order of calls on a session: envelope records (time, attributes, sender, recipients), `message()`, `content()` chunks,
 * `extracted()`, optional extracted records, `end()`. `abort()` instead of `end()` leaves nothing behind.
 * A status of 0 means: durable, on this queue id. Anything else means: nothing was kept, and the client must not answer 250.
 */
import { declareService } from './service.ts';
import type { ContentInspection } from '../protocol/milter/inspection.ts';
import type { MaybePromise } from '../text/maybe.ts';
import type { TimeValue } from '../text/time.ts';

/** cleanup_user.h: what the client asks for. */
export const cleanupFlag = {
  bounce: 1 << 0,        // bounce the message if it is refused (local submission)
  filter: 1 << 1,        // header and body checks
  hold: 1 << 2,
  discard: 1 << 3,
  bccOk: 1 << 4,         // add automatic BCC recipients
  mapOk: 1 << 5,         // canonical, virtual, masquerade
  milter: 1 << 6,
  smtpReply: 1 << 7,     // refusals carry an SMTP reply
  smtputf8: 1 << 8,
  autoUtf8: 1 << 9,
  requireTls: 1 << 10,   // REQUIRETLS was asked for (RFC 8689)
  /** Ours: the client may say `inspect` before the content. */
  inspect: 1 << 20,
} as const;

/** What smtpd(8) and pickup(8) ask for, and what bounces and forwards ask for (CLEANUP_FLAG_MASK_EXTERNAL, _INTERNAL). */
export const externalFlags = cleanupFlag.filter | cleanupFlag.bccOk | cleanupFlag.mapOk | cleanupFlag.milter;
export const internalFlags = cleanupFlag.mapOk;

/** cleanup_user.h: why a message was not kept. 0 is success. */
export const cleanupStatus = {
  ok: 0,
  bad: 1 << 0,           // internal protocol error
  write: 1 << 1,         // cannot write the queue file
  size: 1 << 2,          // message file too big
  contents: 1 << 3,      // content refused
  hops: 1 << 4,          // too many hops
  noRecipients: 1 << 6,
  proxy: 1 << 7,
  defer: 1 << 8,
  denied: 1 << 9,        // by other than content policy
  bareNewline: 1 << 16,
} as const;

export interface CleanupReply {
  status: number;
  /** Text for the client, without reply code; '' when the status says all. May begin with an enhanced status code. */
  reason: string;
}

export interface CleanupOptions {
  flags: number;
  /** How lines of `content` end: 'crlf' strips one CR before each LF; 'lf' strips nothing but the LF. */
  lineEnd: 'crlf' | 'lf';
  /** The message has its name already, of a reservation that `Cleanup.reserve` gave: used up by `open`, whatever becomes of the message. */
  reserved?: ReservedName | undefined;
}

/** The right to one inode number, and so to queue ids made of it: see queue/store.ts. Given back with `release`, or used up by `open`. */
export interface NameReservation {
  /** As it stands in queue ids. */
  readonly inode: string;
  readonly long: boolean;
  release(): void;
}

export interface ReservedName {
  readonly reservation: NameReservation;
  readonly queueId: string;
  readonly arrival: TimeValue;
}

export interface CleanupSession {
  readonly queueId: string;
  /** One envelope or extracted record; type is a record type of message/record.ts, text a byte string. */
  record(type: number, text: string): void;
  /**
   * Before `message`, of a session opened with the flag `inspect`: the message is shown to filters when it has ended, and what they
   * say is done before it is kept. The inspection is closed then. Absent: this session cannot do that, and the message must be refused.
   */
  inspect?(inspection: ContentInspection): void;
  /** End of the envelope, start of the content. */
  message(): void;
  /** The next piece of the content, cut anywhere. False: more than enough is waiting; await drained() before the next. */
  content(chunk: Buffer): boolean;
  drained(): Promise<void>;
  /** End of the content; extracted records (rare) may follow. */
  extracted(): void;
  end(): Promise<CleanupReply>;
  abort(): void;
}

export interface Cleanup {
  /** Rejects with ServiceTrouble when cleanup is out of reach. */
  open(options: CleanupOptions): MaybePromise<CleanupSession>;
  /** A name for a message to come, for the server end of the socket to hand out. Absent or undefined: there are none. May throw. */
  reserve?(): NameReservation | undefined;
}

/**
 * Over a socket: server greeting, then either `open` per message, records (message/record.ts framing) and one reply; or once `trunk`,
 * and from then on frames that carry whole messages (trunk-wire.ts). `adopt` is `open` for a message that has a name from a trunk
 * and has become too large for it.
 */
export const cleanupService = declareService({
  name: 'cleanup',
  area: 'public',
  protocol: 'cleanup_protocol',
  requests: {
    open: { request: { flags: 'number', lineEnd: 'text' }, reply: { queueId: 'text' } },
    adopt: {
      request: { flags: 'number', lineEnd: 'text', trunk: 'number', name: 'number', seconds: 'number', microseconds: 'number' },
      reply: { queueId: 'text' },
    },
    trunk: { request: {}, reply: {} },
  },
});

/** The reply after the end record. */
export const cleanupReplyShape = { status: 'number', reason: 'text' } as const;

/** On the socket only: a piece of content as it came, any length (type byte '#'); cleanup makes line records of it. */
export const contentChunkRecord = 0x23;

export interface CleanupDetail { readonly status: number; readonly code: number; readonly dsn: string; readonly text: string }

/** cleanup_strerror(3): what a status means to a client. One message may suffer from several; the weightiest stands first. */
const details: readonly CleanupDetail[] = [
  { status: cleanupStatus.defer, code: 451, dsn: '4.7.1', text: 'service unavailable' },
  { status: cleanupStatus.proxy, code: 451, dsn: '4.3.0', text: 'queue file write error' },
  { status: cleanupStatus.bad, code: 451, dsn: '4.3.0', text: 'internal protocol error' },
  { status: cleanupStatus.noRecipients, code: 550, dsn: '5.1.0', text: 'no recipients specified' },
  { status: cleanupStatus.hops, code: 554, dsn: '5.4.0', text: 'too many hops' },
  { status: cleanupStatus.size, code: 552, dsn: '5.3.4', text: 'message file too big' },
  { status: cleanupStatus.contents, code: 550, dsn: '5.7.1', text: 'message content rejected' },
  { status: cleanupStatus.write, code: 451, dsn: '4.3.0', text: 'queue file write error' },
  { status: cleanupStatus.denied, code: 550, dsn: '5.7.1', text: 'service denied' },
  { status: cleanupStatus.bareNewline, code: 521, dsn: '5.5.2', text: 'bare <LF> received' },
];

/** For a status that is not 0. */
export function cleanupDetail(status: number): CleanupDetail {
  return details.find((detail) => detail.status & status) ?? { status, code: 451, dsn: '4.3.0', text: 'queue file write error' };
}
