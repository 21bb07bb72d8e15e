/**
 * Who has the floor in a session: what the client has said and nobody has used yet, how long we wait for more, the replies that are
 * on their way out, the question of ours that is open, and the end of it all. What the client's words mean is said in session.ts,
 * which is built upon this, so that both are one object: sessions that wait are many.
 *
 * A client that speaks when it is not its turn is found out here. Memory is the unused input (settings.inputLimit).
 */
import { printable } from '../../text/ascii.ts';
import { Dialogue } from './dialogue.ts';
import { escapeBytes } from './escape.ts';
import { Input } from './input.ts';
import { Intake, type Floor } from './intake.ts';
import { Outbox } from './outbox.ts';
import { Patience, type PatienceSettings } from './patience.ts';
import { hangsUp, say, tell } from './reply.ts';
import type { SessionListener, SmtpServerSettings } from './settings.ts';
import type { CloseReason, Question, Reply, SmtpServerStep } from './steps.ts';

type Phase = 'greeting' | 'talking' | 'closed';

export abstract class SessionFloor implements Floor {
  protected readonly settings: SmtpServerSettings;
  protected readonly dialogue: Dialogue;
  protected readonly input: Input;
  protected readonly patience: Patience;
  protected readonly intake: Intake;
  protected readonly steps: SmtpServerStep[] = [];
  protected readonly outbox: Outbox;
  protected readonly listener: SessionListener | undefined;
  protected phase: Phase = 'greeting';
  protected open: Question | undefined;
  /** Between STARTTLS and the end of its handshake. */
  protected isSecuring = false;
  protected hangUp = false;
  protected ended = false;
  protected flagged = false;

  /**
   * `encrypted`: the session began with a TLS handshake (smtpd_tls_wrappermode). `listener`: this session's own, when settings are those
   * of many.
   */
  constructor(settings: SmtpServerSettings, encrypted = false, listener = settings.transcript) {
    this.settings = settings;
    this.listener = listener;
    this.outbox = new Outbox(settings, this.steps, listener);
    this.dialogue = new Dialogue(settings, this.steps);
    this.dialogue.encrypted = encrypted;
    this.input = new Input(settings.line_length_limit, this.dialogue.policesNewlines);
    this.patience = new Patience(settings);
    this.intake = new Intake(this.dialogue, this);
  }

  receive(bytes: Buffer): void {
    if (this.phase === 'closed' || this.ended) return;
    this.patience.stop();
    if (this.open === undefined || this.input.size < this.settings.inputLimit) return this.input.push(bytes);
    // A pump that does not heed `wantsInput` must not fill the memory.
    this.dialogue.log({ event: 'input-disabled' });
    this.end();
  }

  /** False while a question is open and enough has been read, and when no more input matters. */
  get wantsInput(): boolean {
    if (this.phase === 'closed' || this.ended) return false;
    return this.open === undefined || this.input.size < this.settings.inputLimit;
  }

  /** Bytes that were received and not yet used. */
  get unused(): number {
    return this.input.size;
  }

  /** The client has spoken when it had to wait (for reject_unauth_pipelining). */
  get outOfStep(): boolean {
    return this.flagged;
  }

  /** With `broken` what was received and not yet used is dropped: nobody is there to read a reply. */
  end(broken = false): void {
    if (broken) this.input.clear();
    this.ended = true;
  }

  expire(now: number): void {
    this.patience.now = now;
    if (this.patience.isOver(this.intake.size)) this.timeOut();
  }

  deadline(): number | undefined {
    return this.patience.deadline(this.intake.size);
  }

  /** Other time limits for the rest of the session. */
  hurry(settings: PatienceSettings): void {
    this.patience.change(settings);
  }

  // ---- for the intake too (Floor)

  say(reply: Reply): void {
    if (hangsUp(this.outbox.add(reply, this.dialogue.errors))) this.hangUp = true;
  }

  ask(question: Question): void {
    this.open = question;
    this.steps.push({ kind: 'ask', question });
  }

  abstract finish(failed: boolean): void;

  refuseInput(): void {
    this.end(true);
  }

  // ---- for the session

  /** Say it, and count it against the client. */
  protected blame(reply: Reply): void {
    this.say(reply);
    this.dialogue.errors++;
  }

  /**
   * Did the client speak when it had to wait for us? Told once; a client that does is cut off, since what it sent may have
   * been meant for someone else (smtpd_forbid_unauth_pipelining).
   */
  protected breaksStep(): boolean {
    if (this.settings.standAlone || this.flagged || this.input.size === 0) return false;
    this.flagged = true;
    const text = escapeBytes(this.input.peek(100)!.toString('latin1'));
    this.dialogue.log({ event: 'improper-pipelining', after: this.dialogue.where, text });
    if (!this.settings.smtpd_forbid_unauth_pipelining) return false;
    this.say(say.outOfStep);
    return this.close('protocol');
  }

  protected noteLongLine(beginning: string, limit: number): void {
    const { settings } = this.dialogue;
    const text = printable(beginning, '?', settings.smtputf8_enable);
    if (this.input.fate === 'far-too-long') {
      this.dialogue.log({ event: 'input-disabled' });
      this.end(true);
    }
    this.dialogue.log({ event: 'long-request', limit, text });
  }

  /** Nobody has the floor during a handshake. */
  protected startTls(): void {
    this.outbox.flush();
    this.dialogue.forgetClient();
    this.input.clear();
    this.isSecuring = true;
    this.steps.push({ kind: 'start-tls' });
  }

  protected endSecuring(): void {
    if (!this.isSecuring) throw new Error('a handshake is over, but none was asked for');
    this.isSecuring = false;
    this.input.clear();
  }

  /** The last steps. Always true, for callers that have then made progress. */
  protected close(reason: CloseReason): true {
    this.outbox.flush();
    if (reason === 'timeout' || reason === 'lost connection' || reason === 'too many errors') this.intake.logEnd(reason);
    this.dialogue.resetMail();
    this.steps.push({ kind: 'close', reason });
    this.phase = 'closed';
    this.input.clear();
    return true;
  }

  private timeOut(): void {
    this.patience.stop();
    this.say(tell.timeout(this.settings.myhostname));
    this.close('timeout');
  }
}
