/**
 * The content of a message on its way in, by DATA or by BDAT: reads it, and when it has ended refuses it for what is wrong
 * with its form, or asks END. Holds no content: slices go on as `content` steps.
 */
import { DataReader } from './content.ts';
import type { Dialogue } from './dialogue.ts';
import { ContentGauge, Opening } from './gauge.ts';
import type { Input } from './input.ts';
import { say, tell } from './reply.ts';
import type { EndReason, Question, Reply, Verdict } from './steps.ts';

/** What the intake wants of the session it belongs to. */
export interface Floor {
  say(reply: Reply): void;
  ask(question: Question): void;
  /** The command under way, DATA or BDAT, is over. */
  finish(failed: boolean): void;
  /** Nothing more is read from this client. */
  refuseInput(): void;
}

type Reading = 'nothing' | 'data' | 'chunk';

export class Intake {
  readonly #dialogue: Dialogue;
  readonly #floor: Floor;
  #reading: Reading = 'nothing';
  #gauge: ContentGauge | undefined;
  #data: DataReader | undefined;

  constructor(dialogue: Dialogue, floor: Floor) {
    this.#dialogue = dialogue;
    this.#floor = floor;
  }

  get isReading(): boolean {
    return this.#reading !== 'nothing';
  }

  /** Bytes of content taken so far. */
  get size(): number {
    return this.#gauge?.size ?? 0;
  }

  startData(): void {
    const { settings, newlineWatch, policesNewlines } = this.#dialogue;
    this.#gauge = new ContentGauge(settings.message_size_limit, newlineWatch, new Opening(settings.line_length_limit), !policesNewlines);
    this.#data = new DataReader(this.#gauge, policesNewlines, settings.line_length_limit);
    this.#reading = 'data';
    this.#dialogue.where = 'DATA content';
  }

  /** The chunk that the BDAT verb has left in `dialogue.chunk`. */
  startChunk(): void {
    this.#gauge = this.#dialogue.chunk!.gauge;
    this.#reading = 'chunk';
  }

  /** One slice further, or to the end. False: more input is wanted. */
  read(input: Input): boolean {
    const reader = this.#reading === 'data' ? this.#data! : this.#dialogue.chunk!;
    const chunk = reader.next(input);
    if (chunk !== undefined) this.#dialogue.emit({ kind: 'content', chunk });
    else if (!reader.finished) return false;
    else if (this.#reading === 'data') this.#end('DATA');
    else this.#endOfChunk();
    return true;
  }

  /** The verdict on END. */
  conclude(command: 'DATA' | 'BDAT', verdict: Verdict): void {
    const size = this.size;
    this.#gauge = this.#data = undefined;
    if (verdict.accept) {
      // A message well received makes up for earlier errors.
      this.#dialogue.errors = this.#dialogue.junk = 0;
      const queueId = verdict.queueId ?? '';
      this.#floor.say(verdict.reply ?? (command === 'BDAT' ? tell.queuedBytes(size, queueId) : tell.queued(queueId)));
    } else this.#floor.say(verdict.reply);
    this.#dialogue.resetMail(true);
    this.#floor.finish(!verdict.accept);
  }

  // A client that goes away after its message has been taken, without QUIT, is not worth a line.
  logEnd(reason: EndReason): void {
    const { where } = this.#dialogue;
    if (where === 'END-OF-MESSAGE' && reason === 'lost connection') return;
    const inContent = where === 'DATA content' || where === 'BDAT content';
    const bytes = inContent ? this.size : undefined;
    this.#dialogue.log({ event: 'ended', reason, after: inContent ? where.slice(0, 4) : where, bytes });
  }

  #endOfChunk(): void {
    const reader = this.#dialogue.chunk!;
    if (reader.swallowed !== undefined) return this.#endOfSwallowed(reader.swallowed);
    if (reader.isLast) {
      const chunk = reader.closing();
      if (chunk !== undefined) this.#dialogue.emit({ kind: 'content', chunk });
      return this.#end('BDAT');
    }
    this.#reading = 'nothing';
    this.#note();
    if (reader.gauge.trouble !== undefined) {
      this.#refuse();
      this.#dialogue.chunkState = 'error';
      return this.#floor.finish(true);
    }
    this.#floor.say(tell.chunkOk(reader.size));
    this.#floor.finish(false);
  }

  #endOfSwallowed(reply: Reply): void {
    const { isLast, flooded } = this.#dialogue.chunk!;
    this.#reading = 'nothing';
    this.#gauge = undefined;
    this.#floor.say(reply);
    if (flooded) {
      this.#dialogue.log({ event: 'bdat-flood' });
      this.#floor.refuseInput();
    }
    if (isLast) this.#dialogue.resetMail();
    else this.#dialogue.chunkState = 'error';
    this.#floor.finish(true);
  }

  #end(command: 'DATA' | 'BDAT'): void {
    this.#reading = 'nothing';
    this.#dialogue.where = 'END-OF-MESSAGE';
    this.#note();
    if (this.#gauge!.trouble === undefined) return this.#floor.ask({ verb: 'END', command, size: this.size });
    this.#refuse();
    this.#floor.finish(true);
  }

  #refuse(): void {
    if (this.#gauge!.trouble === 'bare-newline') this.#floor.say(refuseBareNewline(this.#dialogue));
    else {
      this.#dialogue.log({ event: 'size-limit' });
      this.#floor.say(say.messageTooBig);
    }
    this.#gauge = this.#data = undefined;
    this.#dialogue.resetMail();
  }

  #note(): void {
    if (this.#gauge!.bareNewline && this.#dialogue.newlineWatch === 'note') this.#dialogue.notedBareNewline = true;
  }
}

/** The reply to a bare newline in a command or in content, and its log line. */
export function refuseBareNewline(dialogue: Dialogue): Reply {
  dialogue.logReject('bare <LF> received');
  const { smtpd_forbid_bare_newline_reject_code: code, myhostname } = dialogue.settings;
  return tell.bareNewline(code, myhostname);
}
