/**
 * The QMQP server's side of one session, as a pure machine: one message comes, one answer goes.
 *
 * A packet is a netstring of netstrings: content, sender, recipients. The length of the whole is read and then not looked at, as in Postfix;
 * its comma is what ends the recipients. Whatever a client sends there is a step for it, and never a throw. Memory: the content up to `messageLimit` bytes, and
 * one address up to `lineLimit`.
 */
import type { Machine } from '../machine.ts';
import { netstring, qmqpStatus } from './netstring.ts';

export type QmqpTrouble = 'lost' | 'timeout' | 'format' | 'size';
export type QmqpWhere = 'receiving QMQP packet header' | 'receiving message content' | 'receiving sender address' | 'receiving recipient address' | 'sending completion status';

export type QmqpStep =
  /** The message's text, in pieces as they came. */
  | { readonly kind: 'message'; readonly pieces: readonly Buffer[] }
  | { readonly kind: 'sender'; readonly address: string }
  | { readonly kind: 'recipient'; readonly address: string }
  /** All of it is here: give the `answer`. */
  | { readonly kind: 'complete' }
  /** It will not be complete. For `format` and `size` the client is told. */
  | { readonly kind: 'trouble'; readonly trouble: QmqpTrouble; readonly where: QmqpWhere }
  | { readonly kind: 'delay'; readonly milliseconds: number }
  | { readonly kind: 'send'; readonly bytes: Buffer }
  | { readonly kind: 'close' };

export interface QmqpServerSettings {
  /** Seconds without a byte. */
  readonly timeout: number;
  /** Seconds before anything but success is told. */
  readonly errorDelay: number;
  /** Bytes; 0: no limit. */
  readonly messageLimit: number;
  readonly lineLimit: number;
  readonly softBounce: boolean;
}

export const qmqpTroubleText: Readonly<Record<QmqpTrouble, string>> = {
  lost: 'lost connection', timeout: 'read/write timeout', format: 'netstring format error', size: 'netstring length exceeds storage limit',
};

type Part = 'header' | 'message' | 'sender' | 'recipients' | 'answer' | 'closed';

const where: Readonly<Record<Exclude<Part, 'closed'>, QmqpWhere>> = {
  header: 'receiving QMQP packet header', message: 'receiving message content', sender: 'receiving sender address',
  recipients: 'receiving recipient address', answer: 'sending completion status',
};

const [colon, comma, zero, nine] = [58, 44, 48, 57];
const largestLength = Number.MAX_SAFE_INTEGER;

export class QmqpServerSession implements Machine<QmqpStep> {
  readonly #settings: QmqpServerSettings;
  readonly #steps: QmqpStep[] = [];
  #part: Part = 'header';
  /** Bytes that came and were not used: of a step before, or none. */
  #input: Buffer[] = [];
  /** Undefined: a length is being read. */
  #left: number | undefined;
  #length = 0;
  #digits = 0;
  #pieces: Buffer[] = [];
  #ended = false;
  #now = 0;
  /** When the client was last heard; undefined: nobody has told the time yet. */
  #heard: number | undefined;

  constructor(settings: QmqpServerSettings) {
    this.#settings = settings;
  }

  receive(bytes: Buffer): void {
    this.#heard = this.#now;
    if (this.#part !== 'answer' && this.#part !== 'closed') this.#input.push(bytes);
  }

  end(): void {
    this.#ended = true;
  }

  expire(now: number): void {
    this.#heard ??= now;
    this.#now = now;
    const deadline = this.#input.length > 0 || this.#steps.length > 0 ? undefined : this.deadline();
    if (deadline !== undefined && now >= deadline) this.#fail('timeout');
  }

  deadline(): number | undefined {
    return this.#isReading && this.#heard !== undefined ? this.#heard + this.#settings.timeout * 1000 : undefined;
  }

  next(): QmqpStep | undefined {
    while (this.#steps.length === 0 && this.#isReading && this.#input.length > 0) this.#use(this.#input.shift()!);
    if (this.#steps.length === 0 && this.#isReading && this.#ended) this.#fail('lost');
    return this.#steps.shift();
  }

  /** What the client is told after `complete`, or instead of being listened to. */
  answer(status: (typeof qmqpStatus)[keyof typeof qmqpStatus], text: string): void {
    if (this.#part === 'closed') return;
    this.#part = 'closed';
    this.#input = [];
    this.#tell(status, text);
  }

  get #isReading(): boolean {
    return this.#part !== 'answer' && this.#part !== 'closed';
  }

  #tell(status: string, text: string): void {
    const said = status === qmqpStatus.hard && this.#settings.softBounce ? qmqpStatus.retry : status;
    if (said !== qmqpStatus.ok && this.#settings.errorDelay > 0) this.#steps.push({ kind: 'delay', milliseconds: this.#settings.errorDelay * 1000 });
    this.#steps.push({ kind: 'send', bytes: netstring(said + text) }, { kind: 'close' });
  }

  #fail(trouble: QmqpTrouble): void {
    const place = where[this.#part as Exclude<Part, 'closed'>];
    this.#part = 'closed';
    this.#input = this.#pieces = [];
    this.#steps.push({ kind: 'trouble', trouble, where: place });
    if (trouble === 'format' || trouble === 'size') this.#tell(qmqpStatus.hard, `${qmqpTroubleText[trouble]} while ${place}`);
    else this.#steps.push({ kind: 'close' });
  }

  /** Bytes up to the end of one netstring, or all of them; what is left waits. */
  #use(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && this.#steps.length === 0 && this.#isReading) {
      at = this.#left === undefined ? this.#lengthByte(bytes[at]!, at) : this.#content(bytes, at);
    }
    if (at < bytes.length && this.#isReading) this.#input.unshift(bytes.subarray(at));
  }

  #lengthByte(code: number, at: number): number {
    if (code === comma && this.#part === 'recipients' && this.#digits === 0) {
      this.#part = 'answer';
      this.#steps.push({ kind: 'complete' });
    } else if (code === colon) this.#lengthRead();
    else if (code < zero || code > nine) this.#fail('format');
    else {
      this.#length = this.#length * 10 + code - zero;
      this.#digits++;
      if (this.#length > largestLength) this.#fail('size');
    }
    return at + 1;
  }

  #lengthRead(): void {
    const length = this.#length;
    this.#length = this.#digits = 0;
    if (this.#part === 'header') {
      this.#part = 'message';
      return;
    }
    const limit = this.#part === 'message' ? this.#settings.messageLimit : this.#settings.lineLimit;
    if (limit > 0 && length > limit) this.#fail('size');
    else this.#left = length;
  }

  #content(bytes: Buffer, at: number): number {
    const taken = Math.min(this.#left!, bytes.length - at);
    if (taken > 0) this.#pieces.push(bytes.subarray(at, at + taken));
    this.#left! -= taken;
    if (at + taken === bytes.length) return bytes.length;
    if (bytes[at + taken] !== comma) this.#fail('format');
    else this.#partRead();
    return at + taken + 1;
  }

  #partRead(): void {
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#left = undefined;
    const text = (): string => Buffer.concat(pieces).toString('latin1');
    if (this.#part === 'message') {
      this.#steps.push({ kind: 'message', pieces });
      this.#part = 'sender';
    } else if (this.#part === 'sender') {
      this.#steps.push({ kind: 'sender', address: text() });
      this.#part = 'recipients';
    } else this.#steps.push({ kind: 'recipient', address: text() });
  }
}
