/**
 * The listing for programs: one JSON object per message and line, members and their order as Postfix 3.12's. Pure.
 */
import type { ShowqEvent } from '../../ipc/showq.ts';
import { printable } from '../../text/ascii.ts';

const shortForms: ReadonlyMap<string, string> = new Map([
  ['\b', '\\b'], ['\f', '\\f'], ['\n', '\\n'], ['\r', '\\r'], ['\t', '\\t'], ['"', '\\"'], ['\\', '\\\\'],
]);
const reasonNames: ReadonlyMap<string, string> = new Map([['defer', 'delay_reason'], ['bounce', 'bounce_reason']]);

export class JsonLines {
  readonly #utf8: boolean;
  #recipients = 0;

  constructor(utf8: boolean) {
    this.#utf8 = utf8;
  }

  /** The text for the next step of the listing. */
  take(event: ShowqEvent): string {
    if (event.kind === 'end') return ']}\n';
    if (event.kind === 'recipient') return (this.#recipients++ > 0 ? ', ' : '') + this.#recipient(event);
    this.#recipients = 0;
    return `{"queue_name": ${this.#text(event.queue)}, "queue_id": ${this.#text(event.queueId)}, "arrival_time": ${event.arrivalTime}, `
      + `"message_size": ${event.size}, "forced_expire": ${event.forcedExpire}, "sender": ${this.#text(event.sender)}, "recipients": [`;
  }

  #recipient({ originalAddress, address, log, reason }: Extract<ShowqEvent, { kind: 'recipient' }>): string {
    const why = reason === '' ? '' : `, "${reasonNames.get(log) ?? 'other_reason'}": ${this.#text(reason)}`;
    return `{"orig_address": ${this.#text(originalAddress)}, "address": ${this.#text(address)}${why}}`;
  }

  #text(text: string): string {
    const quoted = text.replace(/[\0-\x1f"\\\x7f]/g, (character) =>
      shortForms.get(character) ?? `\\u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`);
    return `"${printable(quoted, '?', this.#utf8)}"`;
  }

  finish(): string {
    return '';
  }
}
