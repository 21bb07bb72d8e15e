/**
 * The traditional listing: `mailq` as people and monitoring programs have read it for decades, byte for byte Postfix 3.12's. Pure.
 */
import type { ShowqEvent } from '../../ipc/showq.ts';
import { asctime } from '../../text/asctime.ts';

/** Widths of id, size and time, and the headings, by the form of queue ids (enable_long_queue_ids). */
interface Layout {
  readonly id: number;
  readonly size: number;
  readonly time: number;
  readonly headings: readonly [string, string, string, string];
}

const shortLayout: Layout = {
  id: 11, size: 7, time: 20,
  headings: ['-Queue ID-', '--Size--', '----Arrival Time----', '-Sender/Recipient-------'],
};
const longLayout: Layout = {
  id: 17, size: 8, time: 19,
  headings: ['----Queue ID-----', '--Size--', '---Arrival Time----', '--Sender/Recipient------'],
};
const reasonWidth = 76;
const marks: ReadonlyMap<string, string> = new Map([['active', '*'], ['hold', '!']]);

export class MailqText {
  readonly #layout: Layout;
  #messages = 0;
  #bytes = 0;
  #reason = '';

  constructor(longQueueIds: boolean) {
    this.#layout = longQueueIds ? longLayout : shortLayout;
  }

  /** The text for the next step of the listing. */
  take(event: ShowqEvent): string {
    if (event.kind === 'message') return this.#message(event);
    return event.kind === 'recipient' ? this.#recipient(event) : '';
  }

  #message(message: Extract<ShowqEvent, { kind: 'message' }>): string {
    const { id, size, time } = this.#layout;
    const lead = this.#messages === 0 ? this.#line(...this.#layout.headings) : '\n';
    this.#messages++;
    this.#bytes += message.size;
    this.#reason = '';
    const name = message.queueId + (marks.get(message.queue) ?? '') + (message.forcedExpire ? '#' : '');
    const arrival = asctime(message.arrivalTime).slice(0, time).padStart(time);
    return `${lead}${name.padEnd(id)} ${String(message.size).padStart(size)} ${arrival} ${message.sender}\n`;
  }

  // A reason stands above the first of those recipients that share it.
  #recipient({ address, reason }: Extract<ShowqEvent, { kind: 'recipient' }>): string {
    const line = this.#line('', '', '', address);
    if (reason === this.#reason) return line;
    this.#reason = reason;
    const shown = reason || 'reason unavailable';
    return `${' '.repeat(Math.max(reasonWidth - shown.length, 0))}(${shown})\n${line}`;
  }

  #line(id: string, size: string, time: string, rest: string): string {
    const widths = this.#layout;
    return `${id.padEnd(widths.id)} ${size.padStart(widths.size)} ${time.padEnd(widths.time)} ${rest}\n`;
  }

  /** The last line. */
  finish(): string {
    if (this.#messages === 0) return 'Mail queue is empty\n';
    return `\n-- ${Math.floor(this.#bytes / 1024)} Kbytes in ${this.#messages} Request${this.#messages === 1 ? '' : 's'}.\n`;
  }
}
