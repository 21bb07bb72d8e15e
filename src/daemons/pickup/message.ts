/**
 * A local message on its way from records, as sendmail(1) or postsuper(1) left them, to cleanup(8).
 *
 * Only records that belong are passed on: a file in the maildrop was written with a user's rights. The content gets a Received:
 * header that names the user's number, never the login name. Nothing throws for what the records hold.
 */
import { cleanupStatus, type CleanupSession } from '../../ipc/cleanup.ts';
import { quote822Local } from '../../message/address.ts';
import { attributeName, splitAttribute } from '../../message/envelope-names.ts';
import { receivedFromUser } from '../../message/received.ts';
import { recordText, recordType, segmentTypes, typeIn } from '../../message/record.ts';

export interface Origin {
  readonly uid: number;
  /** Milliseconds since the epoch: the date of the Received: header, and the arrival time where the message says none. */
  readonly arrival: number;
  /** The queue id that the message had before `postsuper -r`. */
  readonly requeuedFrom?: string | undefined;
}

export interface OwnName {
  readonly hostname: string;
  readonly mailName: string;
  /** content_filter */
  readonly contentFilter: string;
  date(milliseconds: number): string;
}

/** The message is not taken. `reason` is for the user, '' when the status says all; `log` for us, '' when there is nothing to say. */
export interface Refusal { readonly status: number; readonly reason: string; readonly log: string }

/** What became of a record: more is needed, the message is complete, or it is none. */
export type Progress = 'more' | 'complete' | Refusal;

export function malformed(log: string): Refusal {
  return { status: cleanupStatus.bad, reason: '', log };
}

const segments = [segmentTypes.envelope, segmentTypes.content, segmentTypes.extracted] as const;
const envelope = 0;
const content = 1;
const extracted = 2;

/** What an earlier pass through the queue has found out, and the next one is to find out anew (postsuper -r). */
const forgotten: ReadonlySet<number> = new Set([recordType.filter, recordType.redirect]);
const forgottenLater: ReadonlySet<number> = new Set([recordType.filter, recordType.redirect, recordType.returnReceipt, recordType.errorsTo]);

/** Attributes behind the content that say something about recipients. */
const lateAttributes: ReadonlySet<string> = new Set([
  attributeName.dsnOrcpt, attributeName.dsnNotify, attributeName.dsnEnvid, attributeName.dsnRet, attributeName.createTime,
]);

/** Bytes of lines that are handed over together. */
const portion = 32 << 10;

export class LocalMessage {
  readonly #session: CleanupSession;
  readonly #origin: Origin;
  readonly #own: OwnName;
  readonly #log: (text: string) => void;
  #segment = envelope;
  #sender: string | undefined;
  #timed = false;
  #begun = false;
  #lines: Buffer[] = [];
  #waiting = 0;
  #full = false;

  constructor(session: CleanupSession, origin: Origin, own: OwnName, log: (text: string) => void) {
    this.#session = session;
    this.#origin = origin;
    this.#own = own;
    this.#log = log;
    if (own.contentFilter !== '') session.record(recordType.filter, own.contentFilter);
  }

  /** Enough is waiting: await the session's drained() before the next record. */
  get full(): boolean {
    return this.#full;
  }

  drained(): Promise<void> {
    this.#full = false;
    return this.#session.drained();
  }

  take(record: { readonly type: number; readonly data: Buffer }): Progress {
    const allowed = segments[this.#segment];
    if (allowed === undefined || !typeIn(allowed, record.type))
      return malformed(`uid=${this.#origin.uid}: unexpected or malformed record type ${record.type}`);
    if (record.type === allowed.charCodeAt(0)) return this.#turn();
    if (this.#segment === content) this.#line(record.type, record.data);
    else this.#record(record.type, recordText(record));
    return 'more';
  }

  #turn(): Progress {
    const ended = this.#segment++;
    if (ended === extracted) return 'complete';
    if (ended === content) {
      this.#hand();
      this.#session.extracted();
      return 'more';
    }
    const { uid } = this.#origin;
    if (this.#sender === undefined) return malformed(`${this.#session.queueId}: uid=${uid}: no envelope sender`);
    this.#begin(uid, this.#sender);
    return 'more';
  }

  #begin(uid: number, sender: string): void {
    const { queueId } = this.#session;
    const { requeuedFrom, arrival } = this.#origin;
    const address = sender === '' ? '' : quote822Local(sender);
    this.#log(`${queueId}: uid=${uid} from=<${address}>${requeuedFrom === undefined ? '' : ` orig_id=${requeuedFrom}`}`);
    this.#session.message();
    const { hostname, mailName } = this.#own;
    const lines = receivedFromUser({ hostname, mailName, queueId, date: this.#own.date(arrival) }, uid);
    this.#add(Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1'));
  }

  #record(type: number, text: string): void {
    if (type === recordType.time) this.#timed = true;
    if (type === recordType.sender) this.#beforeSender(text);
    if ((this.#segment === envelope ? forgotten : forgottenLater).has(type)) return;
    if (this.#segment === extracted && type === recordType.attribute && !isLate(text)) return;
    this.#session.record(type, text);
  }

  /** Without a time of its own a message is as old as its file. */
  #beforeSender(sender: string): void {
    this.#sender ??= sender;
    if (!this.#timed) this.#session.record(recordType.time, String(Math.floor(this.#origin.arrival / 1000)));
    this.#timed = true;
  }

  // A message that begins with white space must not continue our Received: header.
  #line(type: number, data: Buffer): void {
    if (!this.#begun) {
      this.#begun = true;
      if (data[0] === 32 || data[0] === 9) this.#add(lineEnd);
    }
    this.#add(data);
    if (type === recordType.normal) this.#add(lineEnd);
    if (this.#waiting >= portion) this.#hand();
  }

  #add(bytes: Buffer): void {
    this.#lines.push(bytes);
    this.#waiting += bytes.length;
  }

  #hand(): void {
    if (this.#waiting === 0) return;
    if (!this.#session.content(Buffer.concat(this.#lines, this.#waiting))) this.#full = true;
    this.#lines = [];
    this.#waiting = 0;
  }
}

const lineEnd = Buffer.from('\n');

function isLate(text: string): boolean {
  const split = splitAttribute(text);
  return 'error' in split || lateAttributes.has(split.name);
}
