/**
 * The SMTP server's side of one session, as a pure machine: RFC 5321, 2920, 1870, 6152, 3461, 2034, 3030 and 6531, behaving
 * as Postfix 3.12 does. It owns order, syntax, limits, error counts, newline rules and the shape of replies; it owns no policy:
 * that is asked, one question at a time, and given with `answer`.
 *
 * Replies are gathered and sent in one step when the machine has to wait, for bytes or for an answer (RFC 2920 §3.2).
 * Nothing a client sends makes it throw; `answer` without a question does. Here is what each command leads to; whose turn it is to
 * speak, and what was received and not yet used, is the matter of floor.ts. Give it `settings`, then drive it as machine.ts says.
 */
import { splitCommand } from '../../message/smtp-path.ts';
import { isUtf8 } from '../../text/utf8.ts';
import type { Machine } from '../machine.ts';
import { CommandCounts } from './counts.ts';
import type { Outcome, Verb } from './dialogue.ts';
import { SessionFloor } from './floor.ts';
import { refuseBareNewline } from './intake.ts';
import { escapeBytes, untilNul } from './escape.ts';
import { standingObjection } from './objection.ts';
import { hangsUp, say, tell } from './reply.ts';
import type { ClientOverride } from './client-attributes.ts';
import type { Question, Reply, SessionContext, SmtpServerStep, Verdict } from './steps.ts';
import { findVerb, isHeader } from './verbs.ts';

export class SmtpServerSession extends SessionFloor implements Machine<SmtpServerStep> {
  readonly #counts = new CommandCounts();
  #verb: Verb | undefined;
  #line = '';
  /** The reply that refused this client; commands are answered with it or with "access denied". */
  #denied: Reply | undefined;
  /** The answer to whatever comes next, which ends the session. */
  #farewell: Reply | undefined;
  /** After a challenge: the next line is no command. */
  #expectsResponse = false;

  next(): SmtpServerStep | undefined {
    const step = this.#step();
    if (step !== undefined || this.phase === 'closed' || this.open !== undefined || this.isSecuring) this.patience.stop();
    else this.patience.wait();
    return step;
  }

  #step(): SmtpServerStep | undefined {
    for (;;) {
      if (this.steps.length > 0) return this.steps.length === 1 ? this.steps.pop() : this.steps.shift();
      if (this.phase === 'closed') return undefined;
      if (this.open !== undefined || this.isSecuring) return this.outbox.take();
      if (this.#advance()) continue;
      if (!this.outbox.isEmpty) return this.outbox.take();
      if (!this.ended) return undefined;
      this.close('lost connection');
    }
  }

  /** The verdict on the open question. */
  answer(verdict: Verdict): void {
    const question = this.open;
    if (question === undefined) throw new Error('an answer, but no question is open');
    this.open = undefined;
    if (question.verb === 'CONNECT') this.#greet(verdict);
    else if (question.verb === 'COMMAND') this.#filtered(question.line, verdict);
    else if (question.verb === 'END') this.intake.conclude(question.command, verdict);
    else if (question.verb === 'UNKNOWN') this.blame(verdict.reply ?? say.notRecognized);
    else this.#goOn(this.#verb!, question, verdict);
    if (verdict.close) this.hangUp = true;
  }

  /**
   * The handshake that `start-tls` asked for is done. What the client sent before it came in plain text: whoever sits between may
   * have put it there (RFC 3207 §6).
   */
  secured(): void {
    this.endSecuring();
    this.dialogue.encrypted = true;
    this.#finish(this.#verb!, false);
  }

  /** The handshake failed: nobody can say what the client would understand now. */
  unsecured(): void {
    this.endSecuring();
    this.close('lost connection');
  }

  /** End the session with this reply: at once, or to the next command. */
  expel(reply: Reply, atOnce: boolean): void {
    this.#farewell = reply;
    if (!atOnce) return;
    this.say(reply);
    this.close('hang-up');
  }

  get protocol(): 'SMTP' | 'ESMTP' {
    return this.dialogue.protocol;
  }

  get helo(): string | undefined {
    return this.dialogue.helo;
  }

  /** The command of the open question, as the client said it; a byte string without its line end. */
  get commandLine(): string {
    return this.#line;
  }

  /** Accepted recipients of the transaction. */
  get recipients(): number {
    return this.dialogue.mail?.recipients ?? 0;
  }

  /** The first accepted recipient of the transaction. */
  get firstRecipient(): string | undefined {
    return this.dialogue.mail?.firstRecipient;
  }

  /** The last thing that was recognized, as log lines name it. */
  get where(): string {
    return this.dialogue.where;
  }

  context(): SessionContext {
    const { protocol, helo, where, mail } = this.dialogue;
    return {
      protocol, helo, where, sender: mail?.sender, recipient: mail?.firstRecipient, recipients: mail?.recipients ?? 0,
      outOfStep: this.flagged,
    };
  }

  /** What follows `MAIL FROM:` or `RCPT TO:` of the command at hand, word by word as the client wrote it. */
  get pathWords(): readonly string[] {
    return splitCommand(this.#line).slice(2).map((word) => word.text);
  }

  /** What the disconnect line says: `ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4`. */
  statistics(): string {
    return this.#counts.render() + (this.dialogue.notedBareNewline ? ' notes=bare_lf' : '');
  }

  /** For the intake alone. */
  finish(failed: boolean): void {
    this.#finish(this.#verb!, failed);
  }

  /** Move on by one command or one slice of content. False: more input is wanted. */
  #advance(): boolean {
    if (this.phase === 'greeting') return this.#begin();
    return this.intake.isReading ? this.intake.read(this.input) : this.#command();
  }

  #begin(): boolean {
    if (!this.breaksStep()) this.ask({ verb: 'CONNECT' });
    return true;
  }

  #greet(verdict: Verdict): void {
    if (verdict.peer !== undefined) {
      this.dialogue.peer = verdict.peer;
      this.input.policed = this.dialogue.policesNewlines;
    }
    if (this.breaksStep()) return;
    this.phase = 'talking';
    if (!verdict.accept) this.#denied = verdict.reply;
    if (!verdict.accept || (verdict.reply !== undefined && verdict.reply.code >= 500)) this.dialogue.errors++;
    this.say(verdict.reply ?? { code: 220, text: this.settings.smtpd_banner });
  }

  #command(): boolean {
    const { settings, errors } = this.dialogue;
    if (this.#expectsResponse) return this.#response();
    if (this.hangUp) return this.close('hang-up');
    if (errors >= settings.smtpd_hard_error_limit) {
      this.say(tell.tooManyErrors(settings.myhostname));
      return this.close('too many errors');
    }
    const line = this.input.line();
    if (line === undefined) return false;
    this.listener?.heard(line);
    this.patience.newRequest();
    if (this.#farewell !== undefined) this.say(this.#farewell);
    else if (this.input.fate !== 'whole') this.#longLine(line);
    else if (this.input.bareNewline && this.#refusesBareNewline()) this.close('protocol');
    else this.#interpret(line);
    return true;
  }

  /** RFC 4954 §4: a line of base64, or `*`; nothing else is looked at before it is answered. */
  #response(): boolean {
    const limit = this.settings.smtpd_sasl_response_limit;
    const line = this.input.line(limit);
    if (line === undefined) return false;
    this.patience.newRequest();
    this.#expectsResponse = false;
    const isWhole = this.input.fate === 'whole';
    if (!isWhole) this.noteLongLine(line, limit);
    this.ask({ verb: 'RESPONSE', response: isWhole ? untilNul(line) : undefined });
    return true;
  }

  #longLine(beginning: string): void {
    this.noteLongLine(beginning, this.settings.line_length_limit);
    this.say(tell.longCommand(this.settings.myhostname));
  }

  #refusesBareNewline(): boolean {
    if (this.dialogue.newlineWatch === 'note') this.dialogue.notedBareNewline = true;
    if (this.dialogue.newlineWatch !== 'reject') return false;
    this.say(refuseBareNewline(this.dialogue));
    return true;
  }

  #interpret(line: string): void {
    const text = untilNul(line);
    if (this.settings.smtputf8_enable && !isUtf8(text)) return this.#unreadable(say.badUtf8);
    if (this.settings.filtersCommands) this.ask({ verb: 'COMMAND', line: text });
    else this.#obey(text, line);
  }

  /** smtpd_command_filter has seen the command. */
  #filtered(line: string, verdict: Verdict): void {
    if (!verdict.accept) return this.say(verdict.reply);
    const text = verdict.line ?? line;
    this.#obey(text, text);
  }

  #obey(text: string, line: string): void {
    const words = splitCommand(text);
    const first = words[0]?.text;
    if (first === undefined) return this.#unreadable(say.badSyntax);
    if (this.settings.isNoopCommand(first)) return this.#idle();
    const verb = findVerb(first);
    this.#counts.tried(verb);
    if (verb === undefined) return this.#unknown(first, line);
    if (this.#denied !== undefined && verb.name !== 'QUIT') return this.#deny(this.#denied);
    if (this.settings.smtpd_enforce_tls && !this.dialogue.encrypted && !verb.plain) return this.blame(say.needTls);
    this.dialogue.where = verb.name;
    if ((this.dialogue.protocol === 'SMTP' || verb.last) && this.breaksStep()) return;
    this.#verb = verb;
    this.#line = text;
    this.#perform(verb, this.#check(verb, words, text));
  }

  #check(verb: Verb, words: ReturnType<typeof splitCommand>, line: string): Outcome {
    if (verb.order !== undefined) for (const rule of verb.order) {
      const reply = rule(this.dialogue);
      if (reply !== undefined) return { kind: 'refuse', reply };
    }
    return verb.check(this.dialogue, words, line);
  }

  #perform(verb: Verb, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'ask':
        this.open = outcome.question;
        return void this.steps.push(outcome);
      case 'chunk': return this.intake.startChunk();
      case 'refuse':
        this.say(outcome.reply);
        return this.#finish(verb, true);
      case 'reply':
        this.say(outcome.reply);
        this.#finish(verb, false);
    }
  }

  /** A verb's question was answered. */
  #goOn(verb: Verb, question: Question, verdict: Verdict): void {
    if (!verdict.accept) {
      if (verb.refused?.(this.dialogue, verdict.reply)) return this.intake.startChunk();
      this.say(verdict.reply);
      return this.#finish(verb, true);
    }
    const standing = standingObjection(question);
    if (standing !== undefined) return this.#perform(verb, { kind: 'refuse', reply: standing });
    if (verdict.challenge !== undefined) return this.#challenge(verdict.challenge);
    if (question.verb === 'XCLIENT') return this.#beginAnew(question.override);
    const reply = verb.accepted?.(this.dialogue, question, verdict);
    if (reply === undefined) return this.intake.startChunk();
    this.say(verdict.reply ?? reply);
    if (question.verb === 'STARTTLS') return this.startTls();
    if (question.verb !== 'DATA') return this.#finish(verb, false);
    this.intake.startData();
  }

  #challenge(text: string): void {
    this.say(tell.challenge(text));
    this.#expectsResponse = true;
    this.patience.newRequest();
  }

  /** XCLIENT: as if the client that it speaks for had just connected. */
  #beginAnew(override: ClientOverride): void {
    this.dialogue.become(override);
    this.#verb = undefined;
    this.patience.newRequest();
    this.phase = 'greeting';
  }

  #finish(verb: Verb, failed: boolean): void {
    const dialogue = this.dialogue;
    if (failed) dialogue.errors++;
    else this.#counts.succeeded();
    if (verb.junk && dialogue.junk++ > this.settings.smtpd_junk_command_limit) dialogue.errors++;
    this.#verb = undefined;
    this.patience.newRequest();
    if (verb.name === 'QUIT') this.close('quit');
  }

  #unreadable(reply: Reply): void {
    this.#counts.tried(undefined);
    this.dialogue.where = 'UNKNOWN';
    this.blame(reply);
  }

  /** smtpd_noop_commands: not counted as a command, but counted as junk. */
  #idle(): void {
    this.say(say.ok);
    if (this.dialogue.junk++ > this.settings.smtpd_junk_command_limit) this.dialogue.errors++;
  }

  #unknown(word: string, line: string): void {
    this.dialogue.where = 'UNKNOWN';
    if (isHeader(word) || this.settings.isForbiddenCommand(word)) {
      this.dialogue.log({ event: 'non-smtp-command', text: escapeBytes(line).slice(0, 100) });
      this.say(say.goodbye);
      return void this.close('protocol');
    }
    if (this.#denied !== undefined) return this.#deny(this.#denied);
    if (this.settings.asksUnknown) return this.ask({ verb: 'UNKNOWN', line });
    this.blame(say.notRecognized);
  }

  // RFC 5321 §3.1: after a refusal instead of a greeting, commands but QUIT are out of sequence.
  #deny(denied: Reply): void {
    this.blame(hangsUp(denied) ? denied : tell.accessDenied(this.dialogue.peer.client));
  }
}
