/**
 * How one filter stands to a session: whether its verdict on the step at hand is waited for, what it has decided, and for how long
 * that holds: for the step, the message or the session. How it is talked to is in milter.ts, which is built upon this.
 *
 * A filter that cannot be had stands at the default action until the session is over.
 */
import { answer, command, type Command } from './codes.ts';
import { defaultVerdict, type FilterTrouble } from './default-action.ts';
import type { FilterVerdict } from './reply.ts';

type State = 'closed' | 'negotiating' | 'ready' | 'envelope' | 'message' | 'accepts-session' | 'accepts-message' | 'rejects-session' | 'broken';

export interface MilterOptions {
  readonly name: string;
  readonly protocol: string;
  readonly defaultAction: string;
  readonly softBounce: boolean;
  readonly warn: (text: string) => void;
}

const rejected = '550 5.7.1 Command rejected';
const unavailable = '451 4.7.1 Service unavailable - try again later';
const tornBody = '421 4.7.0 Service unavailable';

export class FilterStanding {
  waits = false;
  verdict: FilterVerdict;
  /** The verdict on all further steps: what it says to whatever comes next. */
  lasting: FilterVerdict;
  protected readonly options: MilterOptions;
  protected state: State = 'closed';
  /** What it was told last. */
  protected event: Command = command.negotiate;
  protected skipped: Command | undefined;

  constructor(options: MilterOptions) {
    this.options = options;
  }

  /** It is to be connected and told of the session. */
  get isClosed(): boolean {
    return this.state === 'closed';
  }

  /** Its connection is of no more use. */
  get isOver(): boolean {
    return this.state === 'closed' || this.state === 'broken' || this.state === 'accepts-session' || this.state === 'rejects-session';
  }

  /** It wants to see the message to come. */
  get isActive(): boolean {
    return this.state === 'envelope' || this.state === 'ready';
  }

  /** Has it said what is to become of the message before it has seen all of it? */
  get hasDecided(): boolean {
    return this.state !== 'message' || this.verdict !== undefined;
  }

  // ---- what it decides

  go(): void {
    this.settle(this.lasting);
  }

  accept(): void {
    this.state = this.isOfSession ? 'accepts-session' : 'accepts-message';
    this.settle(this.lasting);
  }

  discard(): void {
    if (this.isOfSession) {
      this.warn('DISCARD action is not allowed for connect or helo');
      return this.settle(this.lasting);
    }
    this.state = 'accepts-message';
    this.settle('D');
  }

  refuse(text: string): void {
    if (this.isOfSession) {
      this.state = 'rejects-session';
      this.lasting = text;
    }
    this.settle(text);
  }

  shutDown(): void {
    this.state = 'rejects-session';
    this.settle((this.lasting = 'S'));
  }

  skip(): void {
    this.skipped = this.event;
    this.settle(this.lasting);
  }

  /** Not the answer to the step: that is still to come. */
  hold(reason: string): void {
    this.lasting = `H${reason.slice(0, 100)}`;
  }

  /** A step of the session, not of a message: what it decides holds for all of it. */
  private get isOfSession(): boolean {
    return this.event === command.connect || this.event === command.hello;
  }

  protected settle(verdict: FilterVerdict): void {
    this.verdict = verdict;
    this.waits = false;
  }

  /** It cannot be had any more. `isTorn`: only a part of a new body has come, which must not go out, whatever the default action is. */
  protected breakDown(trouble: FilterTrouble, isTorn: boolean): void {
    this.state = 'broken';
    this.lasting = defaultVerdict(trouble, this.options.defaultAction);
    const goesOut = this.lasting === undefined || this.lasting.startsWith('H');
    this.settle(isTorn && goesOut ? tornBody : this.lasting);
  }

  protected warn(text: string): void {
    this.options.warn(`milter ${this.options.name}: ${text}`);
  }
}

/** Decisions that are one letter. */
export const decisions: ReadonlyMap<string, (filter: FilterStanding) => void> = new Map<string, (filter: FilterStanding) => void>([
  [answer.progress, () => {}],
  [answer.go, (filter) => filter.go()],
  [answer.accept, (filter) => filter.accept()],
  [answer.discard, (filter) => filter.discard()],
  [answer.reject, (filter) => filter.refuse(rejected)],
  [answer.tempfail, (filter) => filter.refuse(unavailable)],
  [answer.shutdown, (filter) => filter.shutDown()],
  [answer.skip, (filter) => filter.skip()],
]);
