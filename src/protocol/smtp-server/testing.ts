/** For tests: drives a session without socket or clock and remembers what came of it. Not part of the server. */
import { SmtpServerSession } from './session.ts';
import { defaultSettings } from './settings.ts';
import type { SmtpServerSettings } from './settings.ts';
import type { LogEvent, Question, SmtpServerStep, Verdict } from './steps.ts';

export class Rehearsal {
  readonly session: SmtpServerSession;
  readonly verdict: (question: Question) => Verdict | undefined;
  readonly steps: SmtpServerStep[] = [];
  replies = '';
  content = '';
  readonly questions: Question[] = [];
  readonly logs: LogEvent[] = [];
  /** Sends, to count them. */
  writes = 0;
  aborts = 0;
  closed: string | undefined;

  /** `verdict` undefined leaves the question open; by default everything is accepted. */
  constructor(settings: Partial<SmtpServerSettings> = {}, verdict: (question: Question) => Verdict | undefined = yes) {
    this.session = new SmtpServerSession({ ...defaultSettings('mx.test', 'client.test[192.0.2.1]'), ...settings });
    this.verdict = verdict;
  }

  say(...texts: string[]): this {
    for (const text of texts) {
      this.session.receive(Buffer.from(text, 'latin1'));
      this.drain();
    }
    return this;
  }

  drain(): this {
    for (let step = this.session.next(); step !== undefined; step = this.session.next()) this.#take(step);
    return this;
  }

  #take(step: SmtpServerStep): void {
    this.steps.push(step);
    switch (step.kind) {
      case 'send':
        this.replies += step.bytes;
        this.writes++;
        break;
      case 'content': this.content += step.chunk.toString('latin1'); break;
      case 'abort': this.aborts++; break;
      case 'log': this.logs.push(step.log); break;
      case 'close': this.closed = step.reason; break;
      case 'ask': this.#ask(step.question);
    }
  }

  #ask(question: Question): void {
    this.questions.push(question);
    const verdict = this.verdict(question);
    if (verdict !== undefined) this.session.answer(verdict);
  }

  /** The codes of the replies, in order; a reply of several lines counts once. */
  get codes(): string {
    return [...this.replies.matchAll(/^([0-9]{3}) /gm)].map((match) => match[1]).join(' ');
  }
}

export function yes(question: Question): Verdict {
  return question.verb === 'END' ? { accept: true, queueId: 'QUEUEID' } : { accept: true };
}

/** Lines of a conversation up to and including DATA. */
export const untilData = ['EHLO client.test\r\n', 'MAIL FROM:<a@one.test>\r\nRCPT TO:<b@two.test>\r\nDATA\r\n'] as const;
