/**
 * A message on its way to a server, changed as it goes: its 8-bit parts become quoted-printable for one that knows no 8BITMIME (RFC 6152
 * section 3, RFC 2045 section 6.7), and headers and lines are what tables make of them.
 *
 * Content comes and goes in chunks with LF line ends; a chunk is held at a time, and one header. A message whose parts are nested
 * too deeply to be trusted throws UnfitContent, and what the hooks throw is passed on: the part of it that was sent must not be ended.
 */
import type { HeaderClass } from '../../message/header.ts';
import { MimeMachine, mimeProblemText } from '../../message/mime.ts';
import type { HeaderPlace, MimeOptions } from '../../message/mime.ts';
import { isPending, type MaybePromise } from '../../text/maybe.ts';

/** The message cannot be sent in the form that this server needs; that will not change. */
export class UnfitContent extends Error {
  readonly status = '5.6.0';
}

export type MimeLimits = Required<Pick<MimeOptions, 'headerLimit' | 'boundaryLimit' | 'maximumDepth'>>;

/** What becomes of a header or a line, and lines that go before it. */
export interface Changed {
  readonly before: readonly string[];
  /** Undefined: nothing of it goes on. */
  readonly text: string | undefined;
}

/** What of a message is looked at. Byte strings; headers with their lines joined by LF. */
export interface ContentHooks {
  /** The headers of parts and of messages within are headers too. */
  readonly findsParts: boolean;
  /** Longer lines of a body come in pieces of this size: line_length_limit. */
  readonly pieceLimit: number;
  readonly header: ((place: HeaderPlace, kind: HeaderClass | undefined, field: string) => MaybePromise<Changed>) | undefined;
  /** `offset`: from the start of this body. */
  readonly body: ((line: string, offset: number) => MaybePromise<Changed>) | undefined;
}

const lineFeed = Buffer.from('\n');
const LF = 10;
/** As much of a line is held until its end comes; a header's name or a boundary must not be cut. */
const usualPiece = 4096;

export function downgraded(content: AsyncIterable<Buffer>, limits: MimeLimits): AsyncGenerator<Buffer> {
  return changed(content, limits, { downgrade: true });
}

export async function* changed(content: AsyncIterable<Buffer>, limits: MimeLimits, { downgrade, hooks }: { downgrade: boolean; hooks?: ContentHooks }): AsyncGenerator<Buffer> {
  const out = new Output();
  let problem: string | undefined;
  const machine = new MimeMachine({
    header: (place, kind, field) => out.header(field, hooks?.header && (() => hooks.header!(place, kind, field))),
    headersEnd: () => { lines.passes = !downgrade && hooks?.findsParts !== true; },
    body: (text, last, offset) => out.body(text, last, hooks?.body && (() => hooks.body!(text.toString('latin1'), offset))),
    problem: (kind) => { problem ??= mimeProblemText[kind]; },
  }, { ...limits, plain: !downgrade && hooks?.findsParts !== true, downgrade, report: new Set(downgrade ? ['nesting'] as const : []) });
  const lines = new LineFeeder(machine, out, hooks?.pieceLimit ?? usualPiece);
  for await (const chunk of content) {
    lines.take(chunk);
    if (problem !== undefined) throw new UnfitContent(problem);
    const bytes = await out.take();
    if (bytes.length > 0) yield bytes;
  }
  lines.end();
  machine.end();
  if (problem !== undefined) throw new UnfitContent(problem);
  const bytes = await out.take();
  if (bytes.length > 0) yield bytes;
}

/** What is to be sent, in order, though some of it must be waited for. */
class Output {
  private readonly ready: Buffer[] = [];
  private pending: Promise<void> | undefined;

  pass(bytes: Buffer): void {
    this.then(() => { this.ready.push(bytes); });
  }

  header(field: string, ask: (() => MaybePromise<Changed>) | undefined): void {
    if (ask === undefined) return this.pass(Buffer.from(`${field}\n`, 'latin1'));
    this.then(() => this.put(ask(), '\n'));
  }

  body(text: Buffer, last: boolean, ask: (() => MaybePromise<Changed>) | undefined): void {
    if (ask !== undefined) return this.then(() => this.put(ask(), last ? '\n' : ''));
    this.pass(text);
    if (last) this.pass(lineFeed);
  }

  async take(): Promise<Buffer> {
    const { pending } = this;
    if (pending !== undefined) {
      await pending;
      this.pending = undefined;
    }
    return Buffer.concat(this.ready.splice(0));
  }

  private put(answer: MaybePromise<Changed>, end: string): MaybePromise<void> {
    const settle = ({ before, text }: Changed): void => {
      for (const line of before) this.ready.push(Buffer.from(`${line}\n`, 'latin1'));
      if (text !== undefined) this.ready.push(Buffer.from(`${text}${end}`, 'latin1'));
    };
    return isPending(answer) ? answer.then(settle) : settle(answer);
  }

  private then(act: () => MaybePromise<void>): void {
    if (this.pending !== undefined) {
      this.pending = this.pending.then(act);
      return;
    }
    const acted = act();
    if (isPending(acted)) this.pending = acted;
  }
}

/** Chunks, cut anywhere, to the lines and pieces of lines that the machine takes. */
class LineFeeder {
  /** Nobody looks at what is still to come. */
  passes = false;
  private readonly machine: MimeMachine;
  private readonly out: Output;
  private readonly pieceLimit: number;
  private held: Buffer = Buffer.alloc(0);
  private inLine = false;

  constructor(machine: MimeMachine, out: Output, pieceLimit: number) {
    this.machine = machine;
    this.out = out;
    this.pieceLimit = pieceLimit;
  }

  take(chunk: Buffer): void {
    const bytes = this.held.length > 0 ? Buffer.concat([this.held, chunk]) : chunk;
    let at = 0;
    while (!this.passes) {
      const end = bytes.indexOf(LF, at);
      const stop = end < 0 ? bytes.length : end;
      for (; stop - at > this.pieceLimit && !this.passes; at += this.pieceLimit) this.put(bytes.subarray(at, at + this.pieceLimit), false);
      if (end < 0 || this.passes) break;
      this.put(bytes.subarray(at, end), true);
      at = end + 1;
    }
    const rest = bytes.subarray(at);
    if (this.passes) this.out.pass(rest);
    this.held = this.passes ? Buffer.alloc(0) : rest;
  }

  end(): void {
    if (!this.passes && (this.held.length > 0 || this.inLine)) this.put(this.held, true);
  }

  private put(text: Buffer, last: boolean): void {
    this.machine.line(text, last);
    this.inLine = !last;
  }
}
