/**
 * A call of the compiled sendmail: the same work as commands/sendmail does, here, with the caller's words and input and in the name of
 * the user that the kernel says is calling.
 *
 * Only what is usual is taken: a message, by a user who is welcome, with a command line that nothing needs to be said about. All else is
 * declined, and the program runs commands/sendmail instead, which says what there is to say. So is a message for which cleanup(8) is
 * out of reach: it goes to the maildrop that way. A program that goes away before the end of its input leaves nothing behind.
 */
import type net from 'node:net';
import type { Configuration } from '../../config/configuration.ts';
import { answerFrame, callerFrame, callerWords, encodeFrame, FrameReader, keptByProgram, type CallerWords, type Frame } from '../../ipc/sendmail-call.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import type { SubmissionOutcome } from '../../ipc/submission.ts';
import type { Log } from '../../log/log.ts';
import { read, scan, type CommandLine, type Rules, type Speaker } from '../../submission/command-line.ts';
import { enqueue } from '../../submission/enqueue.ts';
import type { Outlet } from '../../submission/outlet.ts';
import { userOf, type UserAccount } from '../../submission/user.ts';
import { WayOut } from '../../submission/way-out.ts';
import type { Ending } from '../../server/ending.ts';
import type { Submitters } from '../../tables/submitters.ts';
import { TableTrouble } from '../../tables/table.ts';
import { printable } from '../../text/ascii.ts';
import { Intake, type IntakeSetup } from './intake.ts';

export interface SendmailSetup {
  readonly config: Configuration;
  readonly rules: Rules;
  readonly intake: IntakeSetup;
  /** undefined: no such account. */
  account(uid: number): UserAccount | undefined;
}

export interface Caller { readonly uid: number; readonly pid: number }

/** Bytes of a message that are gathered before cleanup is asked for a place in the queue. */
const gather = 64 << 10;
const temporaryFailure = 75;

/** The call comes to an end with this text. */
class CallFailed extends Error {}

/** Not here: the program is to do it itself. */
class Declined extends Error {}

/** The program is gone, or does not keep to the order of frames. */
class CallerGone extends Error {}

/** Records were looked at when they were made (enqueue), so that the sender needs no second look. */
const anySender = (submitters: Submitters): Submitters => ({ ...submitters, maySendAs: () => true });

export class SendmailCall {
  readonly #setup: SendmailSetup;
  readonly #socket: net.Socket;
  readonly #log: Log;
  readonly #caller: Caller;
  readonly #frames: AsyncGenerator<Frame, void, undefined>;
  /** Bytes of the program's input, and whether that was all. */
  #received = 0;
  #ended = false;

  /** @param chunks what the socket says after the request */
  constructor(setup: SendmailSetup, socket: net.Socket, log: Log, caller: Caller, chunks: AsyncIterable<Buffer>) {
    this.#setup = setup;
    this.#socket = socket;
    this.#log = log;
    this.#caller = caller;
    this.#frames = framesOf(chunks);
  }

  async serve(ending: Ending): Promise<void> {
    const forget = ending.listen(() => this.#leave());
    try {
      const words = await this.#words();
      const line = words && await this.#usual(words.argv);
      if (words === undefined || line === undefined) return this.#say(answerFrame.decline);
      this.#say(answerFrame.proceed);
      const status = await this.#submit(line, words);
      this.#say(answerFrame.exit, String.fromCharCode(status));
    } catch (error) {
      if (error instanceof Declined) this.#say(answerFrame.decline);
      else if (!(error instanceof CallerGone)) throw error;
    } finally {
      forget();
    }
  }

  /** This process is to end: a program that can still go another way, also with what is on its way to us, is not waited for. */
  #leave(): void {
    if (this.#ended || this.#received > keptByProgram / 2) return;
    this.#say(answerFrame.decline);
    this.#socket.destroySoon();
  }

  async #words(): Promise<CallerWords | undefined> {
    const { value: first } = await this.#frames.next();
    return first?.kind === callerFrame.arguments ? callerWords(first.payload) : undefined;
  }

  /** The command line, if it asks for a message to be sent and gives no cause for remarks. */
  async #usual(argv: readonly string[]): Promise<CommandLine | undefined> {
    const { rules, intake } = this.#setup;
    const remark = (): never => { throw new Declined(); };
    const words = scan(argv, remark);
    const line = read(words, { warning: remark, fatal: remark }, rules);
    const another = line.mode !== 'deliver' || line.directory !== undefined || line.verbose > 0 || line.interval || line.site !== undefined || line.queueId !== undefined;
    if (another) return undefined;
    try {
      return await intake.submitters.refused(this.#caller.uid) === undefined ? line : undefined;
    } catch (error) {
      if (error instanceof TableTrouble) return undefined;
      throw error;
    }
  }

  async #submit(line: CommandLine, { name }: CallerWords): Promise<number> {
    const { config, account, intake } = this.#setup;
    const { uid } = this.#caller;
    const voice = this.#voice();
    try {
      await enqueue(line, {
        config, voice, user: userOf(uid, name, account(uid)), submitters: intake.submitters,
        wayOut: new WayOut(() => this.#open(), gather),
        stdin: this.#content(),
        stdout: { write: (bytes) => this.#say(answerFrame.output, Buffer.from(bytes)) },
      });
      return 0;
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      voice.say(error.message, 'error');
      return temporaryFailure;
    }
  }

  async #open(): Promise<Outlet> {
    const { intake } = this.#setup;
    try {
      return new IntakeOutlet(await Intake.open({ ...intake, submitters: anySender(intake.submitters) }, this.#log, this.#caller.uid));
    } catch (error) {
      if (error instanceof ServiceTrouble) throw new Declined();
      throw error;
    }
  }

  /** What the program reads from its standard input. */
  async *#content(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const { value: frame } = await this.#frames.next();
      this.#ended = frame?.kind === callerFrame.end;
      if (this.#ended) return;
      if (frame?.kind === callerFrame.failed) throw readError(Number(frame.payload.toString('latin1')));
      if (frame?.kind !== callerFrame.content && frame?.kind !== callerFrame.waiting) throw new CallerGone();
      this.#received += frame.payload.length;
      if (frame.payload.length > 0) yield frame.payload;
    }
  }

  /** To the user and to the log, as sendmail(1) itself. */
  #voice(): Speaker & { say(text: string, severity: 'warning' | 'error'): void } {
    const log = this.#log.tagged(`${this.#setup.config.get('syslog_name')}/sendmail`).numbered(this.#caller.pid);
    const say = (text: string, severity: 'warning' | 'error'): void => {
      const prefix = severity === 'error' ? 'fatal' : severity;
      this.#say(answerFrame.error, `sendmail: ${printable(`${prefix}: ${text}`, '?', true)}\n`);
      if (severity === 'warning') log.warning(text);
      else log.info(`fatal: ${text}`);
    };
    return { say, warning: (text) => say(text, 'warning'), fatal: (text) => { throw new CallFailed(text); } };
  }

  #say(kind: string, payload: string | Buffer = ''): void {
    if (this.#socket.writable) this.#socket.write(encodeFrame(kind, payload));
  }
}

/** The way into the queue that needs no socket. */
class IntakeOutlet implements Outlet {
  readonly queueId: string;
  readonly #intake: Intake;

  constructor(intake: Intake) {
    this.#intake = intake;
    this.queueId = intake.queueId;
  }

  put(type: number, payload: string | Buffer = ''): void {
    void this.#intake.take({ type, data: typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload });
  }

  async drained(): Promise<void> {
    if (this.#intake.full) await this.#intake.drained();
  }

  async finish(): Promise<SubmissionOutcome> {
    return this.#intake.refusal ?? this.#intake.end();
  }

  abort(): void {
    this.#intake.abort();
  }
}

async function* framesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Frame, void, undefined> {
  const reader = new FrameReader();
  for await (const chunk of chunks) {
    reader.feed(chunk);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) yield frame;
  }
}

function readError(errno: number): NodeJS.ErrnoException {
  return Object.assign(new Error('read'), { syscall: 'read', errno: -errno });
}

