/**
 * A message that was sent with REQUIRETLS, on its way through a before-queue filter that may not know of it: `Require-TLS-ESMTP: yes` at the
 * end of its header says so to whoever takes it behind the filter (requiretls_esmtp_header), unless the message has it.
 *
 * Content goes in with any line ends, cut anywhere, and comes out as it was but for that line. Of a line no more is held than shows
 * whether it is a header: what has no colon within `longest` bytes is none.
 */
import { headerNameLength } from '../../message/header.ts';
import { sameIgnoringCase } from '../../text/ascii.ts';

const [LF, CR, colon, blank, tab] = [10, 13, 58, 32, 9];
const longest = 2048;
const name = 'Require-TLS-ESMTP';
const line = Buffer.from(`${name}: yes\r\n`, 'latin1');

export class RequireTlsHeader {
  /** The beginning of a line of which is not known yet whether it belongs to the header. */
  #held = Buffer.alloc(0);
  /** `start`: what comes begins a line; `inside`: it goes on with one of the header; `over`: the header has ended. */
  #place: 'start' | 'inside' | 'over' = 'start';
  #isThere = false;

  take(chunk: Buffer): Buffer[] {
    if (this.#place === 'over') return [chunk];
    const input = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = Buffer.alloc(0);
    return this.#lines(input);
  }

  /** The content ends: what was held, and the line where it has not been said. */
  end(): Buffer[] {
    if (this.#place === 'over') return [];
    const rest = this.#held;
    const isHeader = this.#place === 'inside' || rest.length === 0 || this.#belongs(rest);
    this.#place = 'over';
    if (this.#isThere) return [rest];
    const isOpen = rest.length > 0 ? rest.at(-1) !== LF : !this.#endedLine;
    return isHeader ? [rest, ...(isOpen ? [Buffer.from('\r\n')] : []), line] : [line, rest];
  }

  /** The last byte given out was the end of a line, or there was none. */
  #endedLine = true;

  #lines(input: Buffer): Buffer[] {
    let at = 0;
    while (at < input.length) {
      const found = input.indexOf(LF, at);
      const next = found < 0 ? input.length : found + 1;
      if (this.#place === 'start') {
        const text = input.subarray(at, next);
        if (found < 0 && !isDecided(text)) {
          this.#held = Buffer.from(text);
          break;
        }
        if (!this.#belongs(text)) return this.#over(input, at);
      }
      this.#place = found < 0 ? 'inside' : 'start';
      at = next;
    }
    if (at > 0) this.#endedLine = input[at - 1] === LF;
    return at === 0 ? [] : [input.subarray(0, at)];
  }

  #over(input: Buffer, at: number): Buffer[] {
    this.#place = 'over';
    return this.#isThere ? [input] : [input.subarray(0, at), line, input.subarray(at)];
  }

  /** A line that begins here, whole or as much of it as decides. */
  #belongs(text: Buffer): boolean {
    const first = text[0];
    if (first === blank || first === tab) return true;
    const shown = text.toString('latin1', 0, longest).replace(/\r?\n$/, '');
    const length = headerNameLength(shown);
    if (length === 0) return false;
    if (sameIgnoringCase(shown.slice(0, length), name) && /^[ \t]*:[ \t]*yes$/i.test(shown.slice(length))) this.#isThere = true;
    return true;
  }
}

/** No more of the line is needed. Of the header that is looked for all of it is. */
function isDecided(text: Buffer): boolean {
  const first = text[0];
  if (first === blank || first === tab || text.length >= longest) return true;
  if (first === CR) return false;
  return text.includes(colon) && !sameIgnoringCase(text.toString('latin1', 0, name.length), name);
}
