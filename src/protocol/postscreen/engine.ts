/**
 * The dummy SMTP server of postscreen(8): refuses every recipient, and watches how the client speaks.
 *
 * It takes bytes and calls its host's functions; memory is bounded by line_length_limit, commands by postscreen_command_count_limit,
 * time by postscreen_command_time_limit. The deep tests are passed by whoever gets to RCPT without an offence.
 */
import { headerNameLength } from '../../message/header.ts';
import { printable, upperAscii } from '../../text/ascii.ts';
import { isUtf8 } from '../../text/utf8.ts';
import { escapeBytes } from '../smtp-server/escape.ts';
import { commands, type Command, type Desk } from './commands.ts';
import { outOfOrder, shortestTtl, type Action, type Client, type ScreenSettings } from './settings.ts';
import { setStamp, stamp, tests, type ClientRecord, type Progress, type TestBit } from './stamps.ts';

/** What the session around it does. Replies are without their last end of line. */
export interface EngineHost {
  readonly settings: ScreenSettings;
  readonly client: Client;
  readonly record: ClientRecord;
  readonly progress: Progress;
  say(reply: string): void;
  log(text: string): void;
  drop(reply: string): void;
  startTls(): void;
}

/** What is shown of a client's bytes. */
const shownBytes = 100;
const nothing = Buffer.alloc(0);

export class Engine implements Desk {
  protocol: 'SMTP' | 'ESMTP' = 'SMTP';
  helo: string | undefined;
  sender: string | undefined;
  recipientReply = '450 4.3.2 Service currently unavailable';
  discarded: ReadonlySet<string> = new Set();
  /** What an expelled client hears. */
  finalReply = '421 4.3.2 Service currently unavailable';
  readonly #host: EngineHost;
  #input: Buffer = nothing;
  #where = 'CONNECT';
  #count = 0;
  #isOver = false;
  #isWaiting = false;

  constructor(host: EngineHost) {
    this.#host = host;
  }

  get settings(): ScreenSettings { return this.#host.settings; }
  get client(): Client { return this.#host.client; }
  get progress(): Progress { return this.#host.progress; }
  /** The last command, for the log. */
  get where(): string { return this.#where; }

  log(text: string): void {
    this.#host.log(text);
  }

  drop(reply: string): void {
    this.#isOver = true;
    this.#input = nothing;
    this.#host.drop(reply);
  }

  give(what: string): void {
    this.log(`${what}: a table cannot be asked, client [${this.client.address}]:${this.client.port} is sent away`);
    this.drop(this.#unavailable);
  }

  startTls(): void {
    this.#isWaiting = true;
    // RFC 3207 section 4.2: nothing that came in plain text counts any more.
    this.#input = nothing;
    this.#host.startTls();
  }

  /** The handshake is done: a new beginning. */
  secured(): void {
    this.#isWaiting = false;
    this.helo = this.sender = undefined;
  }

  /** Takes bytes; true when a command was heard, and so there is new time for the next. */
  receive(bytes: Buffer): boolean {
    if (this.#isOver || this.#isWaiting) return false;
    this.#input = this.#input.length === 0 ? bytes : Buffer.concat([this.#input, bytes]);
    let heard = false;
    while (!this.#isOver && !this.#isWaiting && this.#line()) heard = true;
    return heard;
  }

  /** Nothing came in time. */
  expire(): void {
    this.log(`COMMAND TIME LIMIT from ${this.#label} after ${this.#where}`);
    this.drop(`421 4.4.2 ${this.settings.myhostname} Error: timeout exceeded`);
  }

  get #label(): string {
    return `[${this.client.address}]:${this.client.port}`;
  }

  get #unavailable(): string {
    return `421 ${this.settings.myhostname} Service unavailable - try again later`;
  }

  /** The next whole line, if there is one. */
  #line(): boolean {
    const input = this.#input;
    const limit = this.settings.lineLengthLimit;
    const end = input.subarray(0, limit).indexOf(10);
    if (end < 0) {
      if (input.length > limit) this.#tooLong();
      return false;
    }
    this.#input = input.subarray(end + 1);
    const isBare = end === 0 || input[end - 1] !== 13;
    const line = input.toString('latin1', 0, isBare ? end : end - 1);
    if (isBare && !this.#bareNewline(line)) return true;
    // Behind a NUL nobody reads on.
    const cut = line.indexOf('\0');
    const filtered = this.#filtered(cut < 0 ? line : line.slice(0, cut));
    if (filtered !== undefined) this.#command(filtered);
    return true;
  }

  #tooLong(): void {
    this.log(`COMMAND LENGTH LIMIT from ${this.#label} after ${this.#where}`);
    this.drop(this.#unavailable);
  }

  /** Undefined: the session is over. */
  #filtered(line: string): string | undefined {
    if (this.#isBadText(line)) return line;
    const other = this.settings.filterCommand(line.replace(/^[ \t]+/, ''));
    if (other === undefined) return line;
    if (other === outOfOrder) return void this.give('postscreen_command_filter');
    this.log(`${this.#label}: replacing command "${line.slice(0, shownBytes)}" with "${other.slice(0, shownBytes)}"`);
    return other;
  }

  #isBadText(text: string): boolean {
    return this.settings.smtputf8 && !isUtf8(text);
  }

  #command(line: string): void {
    const { progress } = this;
    const [, word = '', args = ''] = /^ *([^ ]*) ?(.*)$/s.exec(line)!;
    const name = upperAscii(word);
    const command = commands.get(name);
    const before = this.#where;
    this.#where = command === undefined ? 'UNIMPLEMENTED' : name;
    if (progress.isExpelled && name !== 'QUIT') return this.drop(this.finalReply);
    if (command === undefined && !this.#nonSmtp(word, args, before)) return;
    if (!command?.hasPayload && this.#input.length > 0 && !this.#pipelined(word)) return;
    if (name === 'RCPT') this.#reachedRecipient();
    if (++this.#count > this.settings.commandCountLimit && name !== 'QUIT') return this.#tooMany(before);
    const reply = this.#answer(command, args);
    if (reply !== undefined && !this.#isOver) this.#host.say(reply);
  }

  #answer(command: Command | undefined, args: string): string | undefined {
    if (command === undefined || command.off) return '502 5.5.2 Error: command not recognized';
    if (this.settings.tls.isRequired && !this.progress.isEncrypted && !command.plain) return '530 5.7.0 Must issue a STARTTLS command first';
    return command.run(this, args);
  }

  #tooMany(before: string): void {
    this.log(`COMMAND COUNT LIMIT from ${this.#label} after ${before}`);
    this.drop(this.#unavailable);
  }

  // ---- the tests. Each says false when the session is over.

  #bareNewline(line: string): boolean {
    const { bareNewlineAction } = this.settings;
    return this.#offence(tests.bareNewline, bareNewlineAction, '521 5.5.1 Protocol error',
      () => `BARE NEWLINE from ${this.#label} after ${escapeBytes(line.slice(0, shownBytes))}`);
  }

  #nonSmtp(word: string, args: string, before: string): boolean {
    if (!this.#isLookedFor(tests.nonSmtp)) return true;
    if (word === '' || (headerNameLength(word) === 0 && !this.#isBadText(word) && !this.settings.isForbiddenCommand(word))) return true;
    const shown = printable(word, '?', this.settings.smtputf8).slice(0, shownBytes);
    return this.#offence(tests.nonSmtp, this.settings.nonSmtpAction, '521 5.7.0 Error: I can break rules, too. Goodbye.',
      () => `NON-SMTP COMMAND from ${this.#label} after ${before}: ${shown} ${escapeBytes(args.slice(0, shownBytes))}`);
  }

  #pipelined(word: string): boolean {
    const shown = (): string => printable(word, '?', this.settings.smtputf8).slice(0, shownBytes);
    return this.#offence(tests.pipelining, this.settings.pipeliningAction, '521 5.5.1 Protocol error',
      () => `COMMAND PIPELINING from ${this.#label} after ${shown()}: ${escapeBytes(this.#input.toString('latin1', 0, shownBytes))}`);
  }

  #isLookedFor(test: TestBit): boolean {
    return this.progress.is('todo', test) && !this.progress.is('done', test);
  }

  #offence(test: TestBit, action: Action, last: string, line: () => string): boolean {
    if (!this.#isLookedFor(test)) return true;
    const { progress } = this;
    const { stamps } = this.#host.record;
    this.log(line());
    progress.failed |= test;
    progress.passed &= ~test;
    progress.done |= test;
    setStamp(stamps, test, stamp.disabled);
    if (action === 'drop') {
      this.drop(last);
      return false;
    }
    if (action === 'enforce') {
      this.recipientReply = '550 5.5.1 Protocol error';
      progress.staysHere = true;
    } else {
      progress.failed &= ~test;
      progress.passed |= test;
      // Let off until something else expires.
      setStamp(stamps, test, this.settings.seconds() + shortestTtl(this.settings));
    }
    return true;
  }

  #reachedRecipient(): void {
    const { settings, progress } = this;
    const now = settings.seconds();
    const ttls = [[tests.bareNewline, settings.bareNewlineTtl], [tests.nonSmtp, settings.nonSmtpTtl], [tests.pipelining, settings.pipeliningTtl]] as const;
    for (const [test, ttl] of ttls) {
      if (!progress.is('todo', test) || progress.is('passed', test) || progress.is('failed', test)) continue;
      progress.passed |= test;
      setStamp(this.#host.record.stamps, test, now + ttl);
    }
  }
}
