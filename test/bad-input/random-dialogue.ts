/**
 * Random dialogues with the SMTP server's protocol machine: commands from a grammar, misspelt, cut and joined at random, content that
 * almost ends, chunks that are longer or shorter than announced, answers that say yes, no, or come late.
 *
 * A number is a dialogue, always the same one. What must hold for each stands in `Watch`.
 */
import { SmtpServerSession } from '../../src/protocol/smtp-server/session.ts';
import { defaultSettings, type SmtpServerSettings } from '../../src/protocol/smtp-server/settings.ts';
import type { Question, SmtpServerStep, Verdict } from '../../src/protocol/smtp-server/steps.ts';

export interface Played {
  readonly moves: number;
  readonly replies: number;
  /** Bytes. */
  readonly content: number;
  /** What went wrong. */
  readonly fault?: string;
}

/** Luck that can be had again: mulberry32. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** From 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  one<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  happens(share: number): boolean {
    return this.next() < share;
  }
}

const paths = [
  '<>', '<a@b.test>', '<"a b"@c.test>', '<@x.test,@y.test:a@b.test>', '<a@[192.0.2.1]>', '<a@[IPv6:::1]>', '<postmaster>', '<a@b', 'a@b>', '<<a@b.test>>', '<a b@c.test>',
  '<"a\\"@b.test>', '<a@b.test', '<(comment)a@b.test>', '<a@@b.test>', '<a!b%c@d.test>', '<.@.>', '<\xe4@\xf6.test>', '<a@xn--.test>', `<${'x'.repeat(400)}@b.test>`,
  '<constructor@__proto__>', '<;touch x;>', '<|id@b.test>', '<no@b.test>', '<a\0@b.test>', '<\x7f@b.test>', '<"', '<a@b.test>x',
];
const parameters = [
  '', '', '', ' SIZE=100', ' SIZE=99999999999999999999', ' SIZE=-1', ' BODY=8BITMIME', ' BODY=7BIT', ' BODY=x', ' SMTPUTF8', ' RET=FULL', ' RET=', ' ENVID=a+0D+0Ab', ' ENVID=x', ' NOTIFY=NEVER',
  ' NOTIFY=SUCCESS,DELAY', ' NOTIFY=NEVER,DELAY', ' ORCPT=rfc822;a+40b.test', ' ORCPT=rfc822;+0D+0AX-Evil:1', ' ORCPT=;', ' AUTH=<>', ' __proto__=1', ' XVERP', ' XVERP=+=', ' =', ' SIZE', '  ',
];
const hellos = ['a', 'client.test', '[192.0.2.1]', '', 'a b', '\xff', '__proto__', 'x'.repeat(300), '<a>', '-'];
const others = [
  'RSET', 'NOOP', 'NOOP x', 'QUIT', 'HELP', 'VRFY a@b.test', 'VRFY <a', 'ETRN b.test', 'ETRN #q', 'STARTTLS', 'STARTTLS now', 'AUTH PLAIN', 'AUTH PLAIN AGEAYg==', 'AUTH',
  'XCLIENT ADDR=192.0.2.1', 'XFORWARD NAME=x', 'DATA', 'DATA x', 'BDAT', 'BDAT x', 'BDAT -1', 'BDAT 0', 'BDAT 0 LAST', 'BDAT 99999999999999999999 LAST', 'BDAT 5 FIRST', '',
  ' ', '.', 'CONNECT x', 'GET / HTTP/1.0', 'Subject: x', '\xff\xfe', '\x16\x03\x01', 'EXPN x', 'TURN', `NOOP ${'y'.repeat(2040)}`, `X${'z'.repeat(5000)}`,
];
const ends = ['\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\r\n', '\0\r\n', '\x85', ''];
const bodies = [
  'Subject: x\r\n\r\ntext\r\n', 'text', '\r\n', '.\n', '\r\n.\n', '\n.\r\n', '\r.\r', '\r\n.\r', '\r\n..\r\n', '.x\r\n', 'x'.repeat(3000), '\0', '\xe2\x80\xa8.\xe2\x80\xa8', '\n\n\n', 'MAIL FROM:<>\r\n', '\r\r\n.\r\r\n',
];

const command = (dice: Dice): string => {
  const kind = dice.below(10);
  if (kind < 2) return `${dice.one(['EHLO', 'HELO', 'ehlo'])} ${dice.one(hellos)}`;
  if (kind < 4) return `MAIL FROM:${dice.one(paths)}${dice.one(parameters)}${dice.one(parameters)}`;
  if (kind < 7) return `RCPT TO:${dice.one(paths)}${dice.one(parameters)}`;
  return dice.one(others);
};

/** A chunk with its command, mostly as long as announced. */
function chunk(dice: Dice): string {
  const body = dice.one(bodies);
  const length = dice.happens(0.8) ? body.length : dice.below(4000);
  return `BDAT ${length}${dice.one(['', ' LAST', ' last', ' LAST x'])}\r\n${body}`;
}

/** What a client says in one go. */
function speech(dice: Dice, isTalking: boolean): string {
  if (!isTalking) return `${dice.one(bodies)}${dice.happens(0.4) ? '\r\n.\r\n' : ''}`;
  if (dice.happens(0.1)) return chunk(dice);
  // Often enough a whole transaction, so that random steps are not all refused for want of one.
  if (dice.happens(0.25)) return `MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n${dice.happens(0.6) ? 'DATA\r\n' : chunk(dice)}`;
  let text = '';
  for (let count = dice.below(3) + 1; count > 0; count--) text += command(dice) + dice.one(ends);
  return dice.happens(0.05) ? misspelt(text, dice) : text;
}

function misspelt(text: string, dice: Dice): string {
  const at = dice.below(text.length + 1);
  return text.slice(0, at) + String.fromCharCode(dice.below(256)) + text.slice(at + dice.below(3));
}

function settingsFor(dice: Dice): SmtpServerSettings {
  return {
    ...defaultSettings('mx.test', 'client.test[192.0.2.1]'),
    smtpd_error_sleep_time: 0, message_size_limit: dice.one([0, 2000, 10_000]), smtpd_recipient_limit: dice.one([3, 1000]), smtpd_recipient_overshoot_limit: 2,
    smtpd_forbid_bare_newline: dice.one(['normalize', 'reject', 'note', 'no'] as const), smtpd_forbid_unauth_pipelining: dice.happens(0.3),
    smtpd_use_tls: dice.happens(0.5), smtpd_enforce_tls: dice.happens(0.05), strict_rfc821_envelopes: dice.happens(0.1), smtputf8_enable: dice.happens(0.8),
    smtpd_hard_error_limit: dice.one([20, 1000]), isForbiddenCommand: dice.happens(0.2) ? () => true : () => false, inputLimit: 8192,
  };
}

const refusals: readonly Verdict[] = [
  { accept: false, reply: { code: 550, status: '5.7.1', text: 'no' } }, { accept: false, reply: { code: 450, status: '4.7.1', text: 'later' } },
  { accept: false, reply: { code: 421, status: '4.7.0', text: 'go' } }, { accept: false, reply: { code: 550, text: ['two', 'lines'] } },
];

const replyText = /^(?:[2-5][0-9]{2}[ -][^\x00-\x1f\x7f]*\r\n)+$/;
/** What one command may at most cause: its own steps, and what it ends. */
const stepsPerByte = 4;
const fewSteps = 20;
/** Longest reply line: what it quotes of a command, and our own words. */
const longestReply = 2400;

/** Drives the machine and looks at what comes. */
class Watch {
  readonly session: SmtpServerSession;
  readonly settings: SmtpServerSettings;
  replies = 0;
  content = 0;
  isClosed = false;
  isSecuring = false;
  question: Question | undefined;
  fault: string | undefined;
  /** Bytes of the message under way. */
  #message = 0;
  #received = 0;
  #steps = 0;
  transcript = '';

  constructor(settings: SmtpServerSettings) {
    this.settings = settings;
    this.session = new SmtpServerSession(settings);
  }

  get isTalking(): boolean {
    const { where } = this.session.context();
    return where !== 'DATA content';
  }

  say(bytes: Buffer): void {
    this.#received += bytes.length;
    if (!this.isClosed) this.session.receive(bytes);
  }

  /** Take all steps, with `decide` for the questions; undefined leaves one open. */
  drain(decide: (question: Question) => Verdict | undefined): void {
    for (let step = this.session.next(); step !== undefined; step = this.session.next()) {
      if (++this.#steps > fewSteps + stepsPerByte * (this.#received + this.replies)) return this.#wrong('steps without end');
      if (this.isClosed) return this.#wrong(`a step after the last: ${step.kind}`);
      this.#take(step);
      if (this.question !== undefined) this.reply(decide(this.question));
    }
    this.#look();
  }

  reply(verdict: Verdict | undefined): void {
    if (verdict === undefined || this.question === undefined) return;
    this.question = undefined;
    this.session.answer(verdict);
  }

  #take(step: SmtpServerStep): void {
    switch (step.kind) {
      case 'send': return this.#heard(step.bytes);
      case 'content':
        this.content += step.chunk.length;
        this.#message += step.chunk.length;
        return;
      case 'abort': this.#message = 0; return;
      case 'close': this.isClosed = true; return;
      case 'start-tls': this.isSecuring = true; return;
      case 'ask':
        if (this.question !== undefined) this.#wrong('two questions at once');
        this.question = step.question;
        if (step.question.verb === 'DATA') this.#message = 0;
        if (step.question.verb === 'END' && step.question.size !== this.#message) this.#wrong(`${this.#message} bytes of content were handed over, ${step.question.size} are told of`);
    }
  }

  #heard(text: string): void {
    this.transcript += text;
    if (!replyText.test(text)) return this.#wrong(`not a reply: ${JSON.stringify(text.slice(0, 200))}`);
    for (const line of text.split('\r\n')) {
      this.replies++;
      if (line.length > longestReply) this.#wrong(`a reply line of ${line.length} bytes`);
    }
  }

  /** Nothing is kept but a line that has not ended, or what a question holds up. */
  #look(): void {
    const { session, settings } = this;
    const held = this.question !== undefined || this.isSecuring;
    if (!held && !this.isClosed && session.unused > settings.line_length_limit + 1) this.#wrong(`${session.unused} bytes are kept`);
    if (held && session.unused >= settings.inputLimit && session.wantsInput && !this.isSecuring) this.#wrong('more input is wanted than is kept');
    if (session.recipients > settings.smtpd_recipient_limit) this.#wrong(`${session.recipients} recipients`);
  }

  #wrong(what: string): void {
    this.fault ??= what;
  }
}

const mostMoves = 12;

export function playRandomDialogue(seed: number): Played {
  const dice = new Dice(seed);
  const watch = new Watch(settingsFor(dice));
  let moves = 0;
  let now = 0;
  const verdict = (question: Question): Verdict => (dice.happens(0.15) ? dice.one(refusals) : question.verb === 'END' ? { accept: true, queueId: 'ABC' } : { accept: true });
  const decide = (question: Question): Verdict | undefined => (dice.happens(0.1) ? undefined : verdict(question));
  try {
    watch.drain(decide);
    for (; moves < mostMoves && !watch.isClosed && watch.fault === undefined; moves++) {
      const luck = dice.next();
      if (watch.isSecuring && luck < 0.5) {
        watch.isSecuring = false;
        if (dice.happens(0.8)) watch.session.secured();
        else watch.session.unsecured();
      } else if (watch.question !== undefined && luck < 0.6) watch.reply(verdict(watch.question));
      else if (luck > 0.98) watch.session.expire(now += dice.below(400_000));
      else if (luck > 0.97) watch.session.end(dice.happens(0.3));
      else speak(watch, dice, decide);
      watch.drain(decide);
    }
    watch.session.end();
    watch.drain(decide);
    while (watch.question !== undefined) {
      watch.reply(verdict(watch.question));
      watch.drain(decide);
    }
    if (watch.isSecuring) {
      watch.session.unsecured();
      watch.drain(decide);
    }
    if (!watch.isClosed && watch.fault === undefined) watch.fault = 'the client has gone, the session has not';
  } catch (error) {
    watch.fault ??= (error as Error).stack ?? String(error);
  }
  const { replies, content, fault } = watch;
  return { moves, replies, content, ...(fault === undefined ? {} : { fault }) };
}

/** What is said, in pieces. */
function speak(watch: Watch, dice: Dice, decide: (question: Question) => Verdict | undefined): void {
  let bytes = Buffer.from(speech(dice, watch.isTalking), 'latin1');
  while (bytes.length > 0 && !watch.isClosed) {
    const length = dice.happens(0.7) ? bytes.length : 1 + dice.below(Math.min(bytes.length, 40));
    watch.say(bytes.subarray(0, length));
    bytes = bytes.subarray(length);
    watch.drain(decide);
  }
}

/** Something for a real server to hear. */
export function randomSpeech(dice: Dice): string {
  return speech(dice, dice.happens(0.8)).replace(/<a@b\.test>\r\nRCPT TO:<c@d\.test>/, '<a@b.test>\r\nRCPT TO:<joe@example.test>');
}
