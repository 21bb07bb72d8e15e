/**
 * A message for a server that knows no 8BITMIME: its 8-bit parts become quoted-printable on the way (RFC 6152 section 3,
 * RFC 2045 section 6.7).
 *
 * Content comes and goes in chunks with LF line ends; a chunk is held at a time, and one header. A message whose parts are nested
 * too deeply to be trusted throws UnfitContent: the part of it that was sent must not be ended.
 */
import { MimeMachine, mimeProblemText } from '../../message/mime.ts';
import type { MimeOptions } from '../../message/mime.ts';

/** The message cannot be sent in the form that this server needs; that will not change. */
export class UnfitContent extends Error {
  readonly status = '5.6.0';
}

export type MimeLimits = Required<Pick<MimeOptions, 'headerLimit' | 'boundaryLimit' | 'maximumDepth'>>;

const lineFeed = Buffer.from('\n');
const LF = 10;

export async function* downgraded(content: AsyncIterable<Buffer>, limits: MimeLimits): AsyncGenerator<Buffer> {
  const out: Buffer[] = [];
  let problem: string | undefined;
  const machine = new MimeMachine({
    header: (_place, _kind, field) => { out.push(Buffer.from(`${field}\n`, 'latin1')); },
    body: (text, last) => { out.push(text, ...(last ? [lineFeed] : [])); },
    problem: (kind) => { problem ??= mimeProblemText[kind]; },
  }, { ...limits, downgrade: true, report: new Set(['nesting']) });
  const lines = new LineFeeder(machine);
  for await (const chunk of content) {
    lines.take(chunk);
    if (problem !== undefined) throw new UnfitContent(problem);
    if (out.length > 0) yield Buffer.concat(out.splice(0));
  }
  lines.end();
  machine.end();
  if (problem !== undefined) throw new UnfitContent(problem);
  if (out.length > 0) yield Buffer.concat(out.splice(0));
}

/** As much of a line is held until its end comes; a header's name or a boundary must not be cut. */
const pieceLimit = 4096;

/** Chunks, cut anywhere, to the lines and pieces of lines that the machine takes. */
class LineFeeder {
  private readonly machine: MimeMachine;
  private held: Buffer = Buffer.alloc(0);
  private inLine = false;

  constructor(machine: MimeMachine) {
    this.machine = machine;
  }

  take(chunk: Buffer): void {
    const bytes = this.held.length > 0 ? Buffer.concat([this.held, chunk]) : chunk;
    let at = 0;
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, at)) {
      this.put(bytes.subarray(at, end), true);
      at = end + 1;
    }
    this.held = bytes.subarray(at);
    if (this.held.length < pieceLimit) return;
    this.put(this.held, false);
    this.held = Buffer.alloc(0);
  }

  end(): void {
    if (this.held.length > 0 || this.inLine) this.put(this.held, true);
  }

  private put(text: Buffer, last: boolean): void {
    this.machine.line(text, last);
    this.inLine = !last;
  }
}
