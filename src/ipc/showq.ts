/**
 * The queue listing as showq(8) sends it on `public/showq`, byte for byte as Postfix 3.12's: exporters read it.
 *
 * The server speaks at once and closes: its protocol's name, then per message its attributes, per recipient its attributes, an empty
 * name after the last recipient, and another after the last message. Encoding cannot fail; the reader throws ShapeTrouble for what is no
 * such stream.
 */
import { printable } from '../text/ascii.ts';
import { attribute, AttributeReader, ShapeTrouble } from './shape.ts';

export const showqProtocol = 'mail_queue_list_protocol';

/** One step of a listing; `end` ends a message. */
export type ShowqEvent =
  | {
    readonly kind: 'message'; readonly queue: string; readonly queueId: string; readonly arrivalTime: number;
    readonly size: number; readonly forcedExpire: boolean; readonly sender: string;
  }
  | { readonly kind: 'recipient'; readonly originalAddress: string; readonly address: string; readonly log: string; readonly reason: string }
  | { readonly kind: 'end' };

const nul = '\0';

export const showqGreeting = attribute('protocol', showqProtocol) + nul;
export const showqFarewell = nul;

export function encodeShowq(event: ShowqEvent): string {
  if (event.kind === 'end') return nul;
  if (event.kind === 'recipient')
    return attribute('original_recipient', event.originalAddress) + attribute('recipient', event.address)
      + attribute('log_class', event.log) + attribute('reason', event.reason);
  return attribute('queue_name', event.queue) + attribute('queue_id', event.queueId) + attribute('time', String(event.arrivalTime))
    + attribute('size', String(event.size)) + attribute('forced_expire', event.forcedExpire ? '1' : '0') + attribute('sender', event.sender);
}

/** Bytes of one message's or recipient's attributes that are waited for. */
const pieceLimit = 1 << 20;

/** Feed chunks, take events; `finished` when the stream said so itself. */
export class ShowqReader {
  finished = false;
  readonly #utf8: boolean;
  #text = '';
  #greeted = false;
  #inMessage = false;

  /** @param utf8 leave well-formed UTF-8 as it is (smtputf8_enable) */
  constructor(utf8 = false) {
    this.#utf8 = utf8;
  }

  *feed(chunk: Buffer): Generator<ShowqEvent, void, undefined> {
    this.#text += chunk.toString('latin1');
    const reader = new AttributeReader(this.#text);
    let at = 0;
    for (let event = this.#next(reader); event !== undefined; event = this.#next(reader)) {
      at = reader.at;
      if (event !== 'silent') yield event;
    }
    this.#text = this.#text.slice(at);
    if (this.#text.length > pieceLimit) throw new ShapeTrouble('a listing without end');
  }

  #next(reader: AttributeReader): ShowqEvent | 'silent' | undefined {
    if (this.finished || reader.at >= reader.text.length) return undefined;
    if (!this.#greeted) return this.#greeting(reader);
    if (reader.text.startsWith(nul, reader.at)) return this.#empty(reader);
    return this.#inMessage ? this.#recipient(reader) : this.#message(reader);
  }

  #greeting(reader: AttributeReader): 'silent' | undefined {
    const protocol = reader.attribute('protocol');
    if (protocol === undefined || !reader.end()) return undefined;
    if (protocol !== showqProtocol) throw new ShapeTrouble(`speaks ${protocol.slice(0, 40)}`);
    this.#greeted = true;
    return 'silent';
  }

  #empty(reader: AttributeReader): ShowqEvent | 'silent' {
    reader.end();
    if (!this.#inMessage) {
      this.finished = true;
      return 'silent';
    }
    this.#inMessage = false;
    return { kind: 'end' };
  }

  #message(reader: AttributeReader): ShowqEvent | undefined {
    const queue = this.#shown(reader.attribute('queue_name'));
    const queueId = queue === undefined ? undefined : this.#shown(reader.attribute('queue_id'));
    const arrivalTime = queueId === undefined ? undefined : whole(reader.attribute('time'));
    const size = arrivalTime === undefined ? undefined : whole(reader.attribute('size'));
    const forcedExpire = size === undefined ? undefined : whole(reader.attribute('forced_expire'));
    const sender = forcedExpire === undefined ? undefined : this.#shown(reader.attribute('sender'));
    if (sender === undefined) return undefined;
    this.#inMessage = true;
    return { kind: 'message', queue: queue!, queueId: queueId!, arrivalTime: arrivalTime!, size: size!, forcedExpire: forcedExpire !== 0, sender };
  }

  #recipient(reader: AttributeReader): ShowqEvent | undefined {
    const originalAddress = this.#shown(reader.attribute('original_recipient'));
    const address = originalAddress === undefined ? undefined : this.#shown(reader.attribute('recipient'));
    const log = address === undefined ? undefined : this.#shown(reader.attribute('log_class'));
    const reason = log === undefined ? undefined : this.#shown(reader.attribute('reason'));
    return reason === undefined ? undefined : { kind: 'recipient', originalAddress: originalAddress!, address: address!, log: log!, reason };
  }

  #shown(text: string | undefined): string | undefined {
    return text === undefined ? undefined : printable(text, '?', this.#utf8);
  }
}

function whole(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?[0-9]{1,15}$/.test(text)) throw new ShapeTrouble('a number was expected');
  return Number(text);
}
