/**
 * Finding header blocks and bodies in a message: its own headers, those of its parts, those of messages within it.
 *
 * A machine that is fed the content records of a message (whole lines, or pieces of lines) and says what they are. It knows
 * headers and bodies, that multipart/* has parts with headers, and that message/rfc822 begins with headers; nothing else, so that it
 * does not trip over types yet to be invented. Bad MIME is never an error here, only a problem that the caller may mind.
 * Memory is bounded: headers by `headerLimit` and one record, boundaries by `boundaryLimit` and `maximumDepth`.
 */
import type { HeaderClass } from './header.ts';
import type { ContentType, TransferEncoding } from './mime-header.ts';
import { hasEightBit } from '../text/byte-search.ts';
import { isAscii } from '../text/ascii.ts';
import { headerClass, headerNameLength } from './header.ts';
import { defaultContentType, defaultTransferEncoding, parseContentType, parseTransferEncoding } from './mime-header.ts';
import { QuotedPrintableLines } from './quoted-printable.ts';

/** Whose headers: the message's own, those of a part of a multipart, those of a message within the message. */
export type HeaderPlace = 'primary' | 'mime' | 'nested';

export type MimeProblem = 'nesting' | 'long-header' | '8bit-header' | '8bit-body' | 'encoding-domain' | 'no-empty-line';

/** Postfix's words; the status is 5.6.0 for all of them. */
export const mimeProblemText: Readonly<Record<MimeProblem, string>> = {
  nesting: 'MIME nesting exceeds safety limit',
  'long-header': 'message header length exceeds safety limit',
  '8bit-header': 'improper use of 8-bit data in message header',
  '8bit-body': 'improper use of 8-bit data in message body',
  'encoding-domain': 'invalid message/* or multipart/* encoding domain',
  'no-empty-line': 'primary header was terminated with non-empty line',
};

export interface MimeEvents {
  /** A whole field, lines joined by "\n", no white space before the colon. */
  header(place: HeaderPlace, kind: HeaderClass | undefined, field: string): void;
  /** The message's own headers are complete. */
  headersEnd?(): void;
  /** A line (or a piece: `last` is false) of any body, the empty line before it included. `offset` counts from the start of this body. */
  body(text: Buffer, last: boolean, offset: number): void;
  bodyEnd?(): void;
  /** The first of its kind in a message. */
  problem?(kind: MimeProblem, text: string): void;
}

export interface MimeOptions {
  /** what to look for: problems that are not named here are not reported */
  readonly report?: ReadonlySet<MimeProblem>;
  /** disable_mime_input_processing */
  readonly plain?: boolean;
  /** convert 8-bit bodies to quoted-printable */
  readonly downgrade?: boolean;
  /** header_size_limit */
  readonly headerLimit?: number;
  /** mime_boundary_length_limit */
  readonly boundaryLimit?: number;
  /** mime_nesting_limit */
  readonly maximumDepth?: number;
}

interface Boundary {
  readonly text: Buffer;
  readonly partType: ContentType;
}

const empty = Buffer.alloc(0);
const anyByte: ReadonlySet<number> = new Set(Array.from({ length: 256 }, (_, byte) => byte));
const otherType: ContentType = { type: 'other', subtype: 'other', boundaries: [] };
const digestPart: ContentType = { type: 'message', subtype: 'rfc822', boundaries: [] };
const isBlank = (code: number): boolean => code === 32 || code === 9;

export class MimeMachine {
  readonly #events: MimeEvents;
  readonly #options: MimeOptions;
  readonly #headerLimit: number;
  #quoter: QuotedPrintableLines | undefined;
  #place: HeaderPlace | 'body' = 'primary';
  #type: ContentType = defaultContentType;
  #encoding: TransferEncoding = defaultTransferEncoding;
  #field = '';
  #inLine = false;
  #offset = 0;
  readonly #boundaries: Boundary[] = [];
  #firsts: ReadonlySet<number> | undefined;
  readonly #reported = new Set<MimeProblem>();

  constructor(events: MimeEvents, options: MimeOptions = {}) {
    this.#events = events;
    this.#options = options;
    this.#headerLimit = options.headerLimit ?? 102_400;
  }

  /** In headers, and where something has to be looked for in every line of a body: the lines must come by `line`. */
  get wantsLines(): boolean {
    return this.#place !== 'body' || this.#inLine || this.#watches8Bit() || this.#mustDowngrade();
  }

  /** Bytes of the body at hand that came by `line`. */
  get offset(): number {
    return this.#offset;
  }

  /** Can a line of a body be more than just that? */
  get hasBoundaries(): boolean {
    return this.#boundaries.length > 0;
  }

  /** Would this line of a body begin or end a part? Then it must come by `line`. */
  isBoundary(line: Buffer): boolean {
    return this.#boundaryAt(line) >= 0;
  }

  /**
   * A quick look at a line that begins with two dashes at `start` and may go beyond the end of `bytes`: false when it is no boundary for
   * sure. No object is made: a stranger may send millions of such lines. A CR counts as fitting, since it may become a space.
   */
  mayBeBoundary(bytes: Buffer, start: number): boolean {
    if (start + 2 < bytes.length && !(this.#firsts ??= this.#firstBytes()).has(bytes[start + 2]!)) return false;
    for (let depth = this.#boundaries.length - 1; depth >= 0; depth--) {
      const { text } = this.#boundaries[depth]!;
      let at = 0;
      for (let from = start + 2; at < text.length && from < bytes.length; at++, from++) if (bytes[from] !== text[at] && bytes[from] !== 13) break;
      if (at === text.length || start + 2 + at === bytes.length) return true;
    }
    return false;
  }

  /** Headers are expected: their lines may come by `headerLine`. */
  get inHeaders(): boolean {
    return this.#place !== 'body';
  }

  /** A line without its line end, or a piece of one (`last` is false: more of it follows). */
  line(text: Buffer, last = true): void {
    const continues = this.#inLine;
    this.#inLine = !last;
    if (this.#place !== 'body' && this.#headerLine(text.toString('latin1'), continues)) return;
    this.#bodyLine(text, last, continues);
  }

  /** The same as a byte string: cheaper while headers are expected. */
  headerLine(text: string, last = true): void {
    const continues = this.#inLine;
    this.#inLine = !last;
    if (this.#headerLine(text, continues)) return;
    this.#bodyLine(text === '' ? empty : Buffer.from(text, 'latin1'), last, continues);
  }

  /** There is no more. */
  end(): void {
    if (this.#inLine) this.line(empty);
    if (this.#place !== 'body') {
      this.#flushField();
      this.#endHeaders('');
      this.#place = 'body';
    }
    this.#events.bodyEnd?.();
  }

  /** Is this a line of headers? If it is not, they end here. */
  #headerLine(text: string, continues: boolean): boolean {
    if (this.#field !== '' && (continues || isBlank(text.charCodeAt(0)))) {
      this.#extend(continues ? untilNul(text) : `\n${untilNul(text)}`);
      return true;
    }
    this.#flushField();
    const length = headerNameLength(text);
    if (length === 0) {
      this.#endHeaders(text);
      this.#leaveHeaders(text);
      return false;
    }
    let colon = length;
    while (isBlank(text.charCodeAt(colon))) colon++;
    this.#field = colon === length ? untilNul(text) : text.slice(0, length) + untilNul(text.slice(colon));
    return true;
  }

  #extend(text: string): void {
    if (this.#field.length < this.#headerLimit) this.#field += text;
    else this.#report('long-header', this.#field);
  }

  #flushField(): void {
    const field = this.#field;
    this.#field = '';
    if (field === '') return;
    const colon = field.indexOf(':');
    const kind = headerClass(field.slice(0, colon));
    const isEncoding = kind?.name === 'Content-Transfer-Encoding';
    if (!this.#options.plain && kind?.name === 'Content-Type') this.#contentType(field, field.slice(colon + 1));
    if (!this.#options.plain && isEncoding) this.#encoding = parseTransferEncoding(field.slice(colon + 1)) ?? this.#encoding;
    if (this.#wants('8bit-header') && !isAscii(field)) this.#report('8bit-header', field);
    // The right encoding is only known when all headers of the part are.
    if (!(isEncoding && this.#mustDowngrade())) this.#events.header(this.#place as HeaderPlace, kind, field);
  }

  #contentType(field: string, body: string): void {
    const type = parseContentType(body) ?? otherType;
    // A type that means nothing here leaves standing what an earlier field said: of two, the one that hides less counts.
    if (type === otherType || type.type !== 'other') this.#type = type;
    for (const boundary of type.boundaries) {
      if (this.#boundaries.length - 1 > (this.#options.maximumDepth ?? 100)) this.#report('nesting', field);
      else this.#push({ text: Buffer.from(boundary.slice(0, this.#options.boundaryLimit ?? 2048), 'latin1'), partType: type.subtype === 'digest' ? digestPart : defaultContentType });
    }
  }

  #endHeaders(text: string): void {
    if (this.#mustDowngrade()) {
      const domainOnly = this.#type.type === 'multipart' || (this.#type.type === 'message' && this.#type.subtype !== 'global');
      this.#events.header(this.#place as HeaderPlace, undefined, `Content-Transfer-Encoding: ${domainOnly ? '7bit' : 'quoted-printable'}`);
    }
    if (this.#place === 'primary') {
      if (text.length > 0) this.#report('no-empty-line', text);
      this.#events.headersEnd?.();
    }
    if (this.#wants('encoding-domain') && !this.#domainFits()) this.#report('encoding-domain', this.#encoding.encoding);
  }

  /** RFC 2045 section 6.4, RFC 2046 section 5.2: what holds other parts is not itself encoded. */
  #domainFits(): boolean {
    const { type, subtype } = this.#type;
    if (type === 'message' && (subtype === 'partial' || subtype === 'external-body')) return this.#encoding.domain === '7bit';
    const holdsParts = type === 'multipart' || (type === 'message' && subtype === 'rfc822');
    return !holdsParts || this.#encoding.encoding === this.#encoding.domain;
  }

  #leaveHeaders(text: string): void {
    const { type, subtype } = this.#type;
    this.#offset = 0;
    if (text.length > 0) {
      if (this.#place === 'primary') this.#out(empty, true);
      this.#enter('body');
    } else if (type === 'message' && (subtype === 'rfc822' || (subtype === 'global' && !this.#mustDowngrade()))) {
      this.#enter('nested', defaultContentType, defaultTransferEncoding);
    } else if (type === 'multipart') this.#enter('body', otherType, defaultTransferEncoding);
    else this.#enter('body');
  }

  #enter(place: HeaderPlace | 'body', type = this.#type, encoding = this.#encoding): void {
    this.#place = place;
    this.#type = type;
    this.#encoding = encoding;
    if (place === 'body') this.#offset = 0;
  }

  #bodyLine(text: Buffer, last: boolean, continues: boolean): void {
    if (this.#watches8Bit() && hasEightBit(text)) this.#report('8bit-body', text.toString('latin1'));
    if (!continues) this.#boundaryLine(text);
    if (this.#mustDowngrade()) (this.#quoter ??= new QuotedPrintableLines((line) => this.#out(line, true))).add(text, last);
    else this.#out(text, last);
  }

  #boundaryLine(text: Buffer): void {
    const depth = this.#boundaryAt(text);
    if (depth < 0) return;
    const { text: boundary, partType } = this.#boundaries[depth]!;
    const end = 2 + boundary.length;
    const closes = text[end] === 45 && text[end + 1] === 45;
    this.#boundaries.length = closes ? depth : depth + 1;
    this.#firsts = undefined;
    if (closes) this.#enter('body', otherType, defaultTransferEncoding);
    else this.#enter('mime', partType, defaultTransferEncoding);
  }

  #push(boundary: Boundary): void {
    this.#boundaries.push(boundary);
    this.#firsts = undefined;
  }

  /** What the boundaries at hand begin with; an empty one fits everything. */
  #firstBytes(): ReadonlySet<number> {
    if (this.#boundaries.some(({ text }) => text.length === 0)) return anyByte;
    return new Set([13, ...this.#boundaries.map(({ text }) => text[0]!)]);
  }

  // What stands behind a boundary is not looked at: some mailers leave something there, and ours may have been cut.
  #boundaryAt(text: Buffer): number {
    if (this.#boundaries.length === 0 || text.length <= 2 || text[0] !== 45 || text[1] !== 45) return -1;
    for (let depth = this.#boundaries.length - 1; depth >= 0; depth--) {
      const { text: boundary } = this.#boundaries[depth]!;
      const end = 2 + boundary.length;
      if (text.length < end || (boundary.length > 0 && text[2] !== boundary[0])) continue;
      if (text.compare(boundary, 0, boundary.length, 2, end) === 0) return depth;
    }
    return -1;
  }

  #watches8Bit(): boolean {
    return this.#wants('8bit-body') && this.#encoding.encoding === '7bit' && !this.#reported.has('8bit-body');
  }

  #mustDowngrade(): boolean {
    return this.#options.downgrade === true && this.#encoding.domain !== '7bit';
  }

  #out(text: Buffer, last: boolean): void {
    this.#events.body(text, last, this.#offset);
    this.#offset += text.length + 1;
  }

  #wants(kind: MimeProblem): boolean {
    return this.#options.report?.has(kind) ?? false;
  }

  #report(kind: MimeProblem, text: string): void {
    if (!this.#wants(kind) || this.#reported.has(kind)) return;
    this.#reported.add(kind);
    this.#events.problem?.(kind, text);
  }
}

/** Headers are C strings: what stands behind a NUL in a line is not part of them. */
function untilNul(text: string): string {
  const nul = text.indexOf('\0');
  return nul < 0 ? text : text.slice(0, nul);
}
