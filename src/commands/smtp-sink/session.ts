/**
 * The conversation with one client of smtp-sink(1): bytes in, replies out, every fault that was asked for. It knows no socket and no
 * clock; the host writes, waits and counts.
 *
 * Built to cost little: replies are made once per program, a command is recognized by its first bytes, message text is only searched
 * for its end. A command line has a bound.
 */
import { printable } from '../../text/ascii.ts';
import type { CommandTable, SinkCommand, Verb } from './commands.ts';
import type { Dump, DumpClient } from './dump.ts';
import { MessageEnd } from './message-end.ts';
import type { SinkOptions } from './options.ts';

export interface SinkHost {
  /** The bytes are not changed later. */
  write(reply: Buffer): void;
  /** Nothing is to be received until `run` was called, so many seconds from now. */
  wait(seconds: number, run: () => void): void;
  /** Send what was written, then end. */
  hangUp(): void;
  messageReceived(): void;
  quit(): void;
  log(text: string): void;
  info(text: string): void;
  warning(text: string): void;
  /** A mail transaction begins; undefined: it is not captured. */
  capture(client: DumpClient): Dump | undefined;
  /** 0 up to but not including 1. */
  random(): number;
}

const lineLimit = 2048;
const [lf, cr] = [10, 13];

/** Replies as they are sent; made once for all sessions. */
export class SinkReplies {
  readonly ok = reply('250 2.0.0 Ok');
  readonly mail = reply('250 2.1.0 Ok');
  readonly rcpt = reply('250 2.1.5 Ok');
  readonly lmtpDone = reply('250 2.2.0 Ok');
  readonly data = reply('354 End data with <CR><LF>.<CR><LF>');
  readonly bye = reply('221 Bye');
  readonly abort = reply('550 This violates SMTP');
  readonly closing = reply('421 4.0.0 Server closing connection');
  readonly nested = reply('503 5.5.1 Error: nested MAIL command');
  readonly needMail = reply('503 5.5.1 Error: need MAIL command');
  readonly needRcpt = reply('503 5.5.1 Error: need RCPT command');
  readonly nothing = reply('500 5.5.2 Error: unknown command');
  readonly unknown = reply('500 5.5.1 Error: unknown command');
  readonly greeting: Buffer;
  readonly helo: Buffer;
  readonly ehlo: Buffer;
  readonly hard: Buffer;
  readonly soft: Buffer;

  constructor(options: SinkOptions) {
    const { hostname, offers } = options;
    this.greeting = reply(options.pix ? '220 ********' : options.esmtp ? `220 ${hostname} ESMTP` : `220 ${hostname}`);
    this.helo = reply(`250 ${hostname}`);
    this.hard = reply(options.hardReply);
    this.soft = reply(options.softReply);
    const features: readonly (readonly [boolean, string])[] = [
      [offers.pipelining, 'PIPELINING'], [offers.eightBit, '8BITMIME'], [offers.auth, 'AUTH PLAIN LOGIN'], [offers.xclient, 'XCLIENT NAME HELO'],
      [offers.xforward, 'XFORWARD NAME ADDR PROTO HELO'], [offers.status, 'ENHANCEDSTATUSCODES'], [offers.dsn, 'DSN'],
    ];
    this.ehlo = reply([`250-${hostname}`, ...features.filter(([offered]) => offered).map(([, name]) => `250-${name}`), '250 '].join('\r\n'));
  }
}

function reply(text: string): Buffer {
  return Buffer.from(`${text}\r\n`, 'latin1');
}

/** Four letters, in whichever case, as a number. */
function letters(text: string): number {
  return Buffer.from(text).readUInt32LE(0);
}

const foldCase = 0x20202020;
const shortVerbs: ReadonlyMap<number, Verb> = new Map((['helo', 'ehlo', 'lhlo', 'auth', 'mail', 'rcpt', 'data', 'rset', 'noop', 'vrfy', 'quit'] as const).map((verb) => [letters(verb), verb]));

export class SinkSession {
  readonly #options: SinkOptions;
  readonly #commands: CommandTable;
  readonly #replies: SinkReplies;
  readonly #host: SinkHost;
  readonly #address: string;
  readonly #end = new MessageEnd();
  /** Does anyone want to know what stands behind a command's name? */
  readonly #curious: boolean;
  #inData = false;
  #inMail = false;
  #recipients = 0;
  #protocol: string;
  #helo: string | undefined;
  #dump: Dump | undefined;
  /** An unfinished command line. */
  #line = '';
  #held: Buffer | undefined;
  #waiting = false;
  #over = false;

  /** `address` as dump files show it. */
  constructor(options: SinkOptions, replies: SinkReplies, host: SinkHost, address: string) {
    this.#options = options;
    this.#commands = options.commands;
    this.#replies = replies;
    this.#host = host;
    this.#address = address;
    this.#protocol = options.lmtp ? 'LMTP' : 'SMTP';
    this.#curious = options.single !== undefined || options.shared !== undefined || options.verbose;
  }

  /** The client is there. */
  begin(): void {
    this.#respond(this.#commands.get('connect'), 'connect', '');
  }

  /** `bytes` up to `length`; they are good until this returns. */
  receive(bytes: Buffer, length: number): void {
    let at = 0;
    while (at < length && !this.#over) {
      if (this.#waiting) {
        this.#hold(bytes.subarray(at, length));
        return;
      }
      at = this.#inData ? this.#content(bytes, at, length) : this.#command(bytes, at, length);
    }
  }

  /** The client is gone, or is to be. */
  end(): void {
    this.#over = true;
    this.#reset();
  }

  #hold(bytes: Buffer): void {
    this.#held = this.#held === undefined ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes]);
  }

  #wait(seconds: number, then: () => void): void {
    this.#waiting = true;
    this.#host.wait(seconds, () => {
      if (this.#over) return;
      this.#waiting = false;
      then();
      const held = this.#held;
      this.#held = undefined;
      if (held !== undefined && !this.#over) this.receive(held, held.length);
    });
  }

  #hangUp(): void {
    this.#over = true;
    this.#host.hangUp();
  }

  /** One command line, from `at`; where the next thing begins. */
  #command(bytes: Buffer, at: number, length: number): number {
    let end = bytes.indexOf(lf, at);
    // A line ends with CR LF; a line feed alone is part of it.
    while (end >= 0 && end < length && !(end > at ? bytes[end - 1] === cr : this.#line.endsWith('\r'))) end = bytes.indexOf(lf, end + 1);
    if (end < 0 || end >= length) {
      this.#line += bytes.toString('latin1', at, Math.min(length, at + lineLimit + 1));
      if (this.#line.length > lineLimit) this.#tooLong();
      return length;
    }
    if (this.#line === '' && !this.#curious && this.#quick(bytes, at, end - 1)) return end + 1;
    const line = this.#line + bytes.toString('latin1', at, end + 1);
    this.#line = '';
    if (line.length > lineLimit) this.#tooLong();
    else this.#slow(line.slice(0, -2));
    return end + 1;
  }

  #tooLong(): void {
    this.#host.warning('command line too long');
    this.#hangUp();
  }

  /** The usual command, of which nothing but its name counts. */
  #quick(bytes: Buffer, at: number, end: number): boolean {
    if (end - at < 4 || (end - at > 4 && bytes[at + 4] !== 32) || end - at >= lineLimit) return false;
    const verb = shortVerbs.get((bytes.readUInt32LE(at) | foldCase) >>> 0);
    if (verb === undefined) return false;
    const command = this.#commands.get(verb);
    if (command.logged || !command.enabled) return false;
    this.#respond(command, verb, '');
    return true;
  }

  #slow(line: string): void {
    if (this.#options.verbose) this.#host.info(line);
    const [, word = '', rest = ''] = /^[ \t]*([^ \t]*)[ \t]?([^]*)$/.exec(line) ?? [];
    if (word === '') return this.#host.write(this.#replies.nothing);
    const command = this.#commands.find(word);
    if (command === undefined || !command.enabled) return this.#host.write(this.#replies.unknown);
    this.#respond(command, word, printable(rest, '?'));
  }

  #respond(command: SinkCommand, word: string, words: string): void {
    if (command.logged) this.#host.log(`${word} ${words.slice(0, 100)}`);
    if (command.hangUp) return this.#hangUp();
    if (command.close) {
      this.#host.write(this.#replies.closing);
      return this.#hangUp();
    }
    if (command.hard || command.soft) return this.#refuse(command, command.hard ? this.#replies.hard : this.#replies.soft);
    if (command.delay === 0) return this.#perform(command.verb, words);
    this.#wait(this.#delayOf(command), () => this.#perform(command.verb, words));
  }

  #delayOf({ delay, odds }: SinkCommand): number {
    if (odds === 0) return delay;
    let sum = 0;
    while (Math.floor(this.#host.random() * 100) < odds) sum += delay;
    return sum;
  }

  #refuse({ verb }: SinkCommand, text: Buffer): void {
    const count = verb === '.' && this.#options.lmtp ? this.#recipients : 1;
    for (let done = 0; done < count; done++) this.#host.write(text);
  }

  #perform(verb: Verb, words: string): void {
    const { write } = this.#host;
    switch (verb) {
      case 'connect': return write.call(this.#host, this.#replies.greeting);
      case 'helo': case 'ehlo': case 'lhlo': return this.#hello(verb, words);
      case 'mail': return this.#mail(words);
      case 'rcpt': return this.#rcpt(words);
      case 'data': return this.#data();
      case '.': return this.#done();
      case 'rset': this.#reset(); return write.call(this.#host, this.#replies.mail);
      case 'quit':
        write.call(this.#host, this.#replies.bye);
        this.#host.quit();
        return this.#hangUp();
      default: return write.call(this.#host, this.#replies.ok);
    }
  }

  #hello(verb: Verb, words: string): void {
    this.#reset();
    if (verb === 'helo') this.#protocol = 'SMTP';
    else if (!this.#options.lmtp) this.#protocol = 'ESMTP';
    this.#host.write(verb === 'helo' ? this.#replies.helo : this.#replies.ehlo);
    if (this.#curious) this.#helo = words.replace(/^[\t-\r ]+/, '');
  }

  #mail(words: string): void {
    if (this.#inMail) return this.#host.write(this.#replies.nested);
    this.#inMail = true;
    this.#recipients = 0;
    this.#host.write(this.#replies.mail);
    if (!this.#curious) return;
    this.#dump = this.#host.capture({ address: this.#address, protocol: this.#protocol, helo: this.#helo });
    this.#dump?.text(`X-Mail-Args: ${behindColon(words)}\n`);
  }

  #rcpt(words: string): void {
    if (!this.#inMail) return this.#host.write(this.#replies.needMail);
    this.#recipients++;
    this.#host.write(this.#replies.rcpt);
    this.#dump?.text(`X-Rcpt-Args: ${behindColon(words)}\n`);
  }

  #data(): void {
    if (!this.#inMail || this.#recipients === 0) return this.#host.write(this.#replies.needRcpt);
    this.#host.write(this.#replies.data);
    this.#dump?.endHeader();
    const { abortDelay, dataReadDelay } = this.#options;
    if (abortDelay >= 0) return this.#wait(abortDelay, () => {
      this.#host.write(this.#replies.abort);
      this.#hangUp();
    });
    this.#inData = true;
    this.#end.begin();
    if (dataReadDelay > 0) this.#wait(dataReadDelay, () => {});
  }

  #content(bytes: Buffer, at: number, length: number): number {
    const end = this.#dump === undefined ? this.#end.find(bytes, at, length) : this.#capture(this.#dump, bytes, at, length);
    if (end < 0) return length;
    this.#inData = this.#inMail = false;
    this.#dump?.finish();
    this.#dump = undefined;
    this.#host.messageReceived();
    if (this.#options.verbose) this.#host.info('.');
    this.#respond(this.#commands.get('.'), '.', '');
    return end;
  }

  #capture(dump: Dump, bytes: Buffer, at: number, length: number): number {
    const kept = Buffer.allocUnsafe(length - at);
    const found = this.#end.copy(bytes, at, length, kept);
    dump.bytes(kept.subarray(0, found.kept));
    return found.end;
  }

  #done(): void {
    const { lmtp } = this.#options;
    if (!lmtp) return this.#host.write(this.#replies.ok);
    for (; this.#recipients > 0; this.#recipients--) this.#host.write(this.#replies.lmtpDone);
  }

  // Recipients are still counted: with LMTP each of them has its reply to the final dot.
  #reset(): void {
    this.#inMail = false;
    this.#dump?.forget();
    this.#dump = undefined;
  }
}

/** What follows the colons, and the blanks behind them, of "FROM:<address>". */
function behindColon(words: string): string {
  return words.replace(/^[^:]*:*[\t-\r ]*/, '');
}
