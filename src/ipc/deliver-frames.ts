/**
 * The wire form of the deliver protocol: frames of a number and a text, and the two texts there are, request and reply.
 *
 * A frame is its text's length and its number (both 32 bits, most significant byte first), then the text: the values of the
 * shape in its order, each ended by NUL; a list is its count and then its elements. Names are left out and both codecs are
 * written out by hand, because every delivery passes here twice: it is a protocol of our own processes, and the greeting
 * finds out a process of another release. What does not decode is a ShapeTrouble. Texts are byte strings.
 */
import type net from 'node:net';
import { noDsn, type DeliveryReply, type DeliveryRequest, type Dsn, type Recipient, type Times } from './deliver.ts';
import { clean, listLimit, ShapeTrouble } from './shape.ts';
import { TurnWriter } from './turn-writer.ts';

const headLength = 8;
/** Bytes of one frame: a delivery request with a full recipient list fits. */
const frameLimit = 64 << 20;

/** What a kept connection of the deliver protocol begins with, from the agent. */
export const greetingShape = {
  protocol: 'text',
  /** Requests that are served at once on this connection. */
  slots: 'number',
  /** Which process answers: two connections to one process serve no more requests than one. */
  process: 'number',
} as const;

/** Frame number of the agent's wish to get no further requests; requests are numbered from 1. */
export const retirement = 0;

/** Frames cut out of a stream, from pieces that are cut anywhere. */
export class FrameReader {
  #held: Buffer | undefined;

  /** Calls `take` for every frame that is complete now. */
  receive(chunk: Buffer, take: (number: number, text: string) => void): void {
    const bytes = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    let at = 0;
    while (bytes.length - at >= headLength) {
      const length = bytes.readUInt32BE(at);
      if (length > frameLimit) throw new ShapeTrouble(`a frame of ${length} bytes`);
      const end = at + headLength + length;
      if (end > bytes.length) break;
      take(bytes.readUInt32BE(at + 4), bytes.toString('latin1', at + headLength, end));
      at = end;
    }
    this.#held = at === bytes.length ? undefined : bytes.subarray(at);
  }
}

/** Frames to be written. */
export class FrameWriter {
  readonly #writer: TurnWriter;

  constructor(socket: net.Socket) {
    this.#writer = new TurnWriter(socket);
  }

  put(number: number, text: string): void {
    this.#writer.say(word(text.length) + word(number) + text);
  }

  flush(): void {
    this.#writer.flush();
  }
}

function word(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

const zero = 0x30;
/** Of numbers that are read digit by digit: so many are exact. */
const mostDigits = 15;

/** The values of one text, in order. */
class ValueReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  text(): string {
    const start = this.#at;
    // Many are empty: one look is enough.
    const end = this.#text.charCodeAt(start) === 0 ? start : this.#text.indexOf('\0', start);
    if (end < 0) throw new ShapeTrouble('a value is missing');
    this.#at = end + 1;
    return end === start ? '' : this.#text.slice(start, end);
  }

  /** The next value; `known` itself where it is the same. */
  textLike(known: string): string {
    const end = this.#at + known.length;
    if (this.#text.charCodeAt(end) !== 0 || !this.#text.startsWith(known, this.#at)) return this.text();
    this.#at = end + 1;
    return known;
  }

  number(): number {
    let value = 0;
    // Most are a few digits, which need not be taken out to be read.
    for (let at = this.#at; at <= this.#at + mostDigits; at++) {
      const digit = this.#text.charCodeAt(at) - zero;
      if (digit === -zero && at > this.#at) {
        this.#at = at + 1;
        return value;
      }
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
    }
    return this.#anyNumber();
  }

  #anyNumber(): number {
    const text = this.text();
    const value = Number(text);
    if (text === '' || !Number.isFinite(value)) throw new ShapeTrouble(`"${text.slice(0, 40)}" is not a number`);
    return value;
  }

  count(): number {
    const count = this.number();
    if (count < 0 || count > listLimit) throw new ShapeTrouble(`a list of ${count} elements`);
    return count;
  }

  end(): void {
    if (this.#at !== this.#text.length) throw new ShapeTrouble('there are too many values');
  }
}

function decodeTimes(values: ValueReader): Times {
  return {
    incomingArrival: values.number(), activeArrival: values.number(), agentHandoff: values.number(),
    connectionDone: values.number(), deliveryDone: values.number(),
  };
}

function encodeRecipient(recipient: Recipient): string {
  return `${clean(recipient.address)}\0${clean(recipient.originalAddress)}\0${recipient.offset}\0${clean(recipient.dsnOrcpt)}\0${recipient.dsnNotify}\0`;
}

function decodeRecipient(values: ValueReader): Recipient {
  const address = values.text();
  return { address, originalAddress: values.textLike(address), offset: values.number(), dsnOrcpt: values.text(), dsnNotify: values.number() };
}

function encodeDsn(dsn: Dsn): string {
  if (dsn === noDsn) return emptyDsn;
  const { status, action, reason, diagnosticType, diagnosticText, remoteMtaType, remoteMta } = dsn;
  return `${clean(status)}\0${clean(action)}\0${clean(reason)}\0${clean(diagnosticType)}\0${clean(diagnosticText)}\0${clean(remoteMtaType)}\0${clean(remoteMta)}\0`;
}

const emptyDsn = '\0'.repeat(7);

function decodeDsn(values: ValueReader): Dsn {
  return {
    status: values.text(), action: values.text(), reason: values.text(),
    diagnosticType: values.text(), diagnosticText: values.text(), remoteMtaType: values.text(), remoteMta: values.text(),
  };
}

export function encodeRequest(request: DeliveryRequest): string {
  const { recipients } = request;
  const { times } = request;
  let text = [
    request.flags, clean(request.queueName), clean(request.queueId), clean(request.place), request.dataOffset, request.dataSize,
    clean(request.nexthop), clean(request.encoding), request.smtputf8, clean(request.sender), clean(request.dsnEnvid), request.dsnRet,
    times.incomingArrival, times.activeArrival, times.agentHandoff, times.connectionDone, times.deliveryDone,
    clean(request.clientName), clean(request.clientAddress), clean(request.clientPort), clean(request.clientProtocol), clean(request.clientHelo),
    clean(request.saslMethod), clean(request.saslUsername), clean(request.saslSender), clean(request.logIdent), clean(request.rewriteContext),
    recipients.length, '',
  ].join('\0');
  for (const recipient of recipients) text += encodeRecipient(recipient);
  return text;
}

export function decodeRequest(text: string): DeliveryRequest {
  const values = new ValueReader(text);
  const request: DeliveryRequest = {
    flags: values.number(), queueName: values.text(), queueId: values.text(), place: values.text(), dataOffset: values.number(), dataSize: values.number(),
    nexthop: values.text(), encoding: values.text(), smtputf8: values.number(), sender: values.text(), dsnEnvid: values.text(), dsnRet: values.number(),
    times: decodeTimes(values),
    clientName: values.text(), clientAddress: values.text(), clientPort: values.text(), clientProtocol: values.text(), clientHelo: values.text(),
    saslMethod: values.text(), saslUsername: values.text(), saslSender: values.text(), logIdent: values.text(), rewriteContext: values.text(),
    recipients: [],
  };
  for (let count = values.count(); count > 0; count--) request.recipients.push(decodeRecipient(values));
  values.end();
  return request;
}

export function encodeReply(reply: DeliveryReply): string {
  return `${reply.status}\0${encodeDsn(reply.hop)}${reply.logs}\0`;
}

export function decodeReply(text: string): DeliveryReply {
  const values = new ValueReader(text);
  const reply: DeliveryReply = { status: values.number(), hop: decodeDsn(values), logs: values.number() };
  values.end();
  return reply;
}
