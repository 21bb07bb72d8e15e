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
const otherType: ContentType = { type: 'other', subtype: 'other', boundaries: [] };
const digestPart: ContentType = { type: 'message', subtype: 'rfc822', boundaries: [] };
const isBlank = (code: number | undefined): boolean => code === 32 || code === 9;

export class MimeMachine {
  readonly #events: MimeEvents;
  readonly #options: MimeOptions;
  readonly #headerLimit: number;
  readonly #quoter: QuotedPrintableLines;
  #place: HeaderPlace | 'body' = 'primary';
  #type: ContentType = defaultContentType;
  #encoding: TransferEncoding = defaultTransferEncoding;
  #field = '';
  #inLine = false;
  #offset = 0;
  readonly #boundaries: Boundary[] = [];
  readonly #reported = new Set<MimeProblem>();

  constructor(events: MimeEvents, options: MimeOptions = {}) {
    this.#events = events;
    this.#options = options;
    this.#headerLimit = options.headerLimit ?? 102_400;
    this.#quoter = new QuotedPrintableLines((line) => this.#out(line, true));
  }

  /** A line without its line end, or a piece of one (`last` is false: more of it follows). */
  line(text: Buffer, last = true): void {
    const continues = this.#inLine;
    this.#inLine = !last;
    if (this.#place !== 'body' && this.#headerLine(text, continues)) return;
    this.#bodyLine(text, last, continues);
  }

  /** There is no more. */
  end(): void {
    if (this.#inLine) this.line(empty);
    if (this.#place !== 'body') {
      this.#flushField();
      this.#endHeaders(empty);
      this.#place = 'body';
    }
    this.#events.bodyEnd?.();
  }

  /** Is this a line of headers? If it is not, they end here. */
  #headerLine(text: Buffer, continues: boolean): boolean {
    if (this.#field !== '' && (continues || isBlank(text[0]))) {
      this.#extend((continues ? '' : '\n') + text.toString('latin1'));
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
    while (isBlank(text[colon])) colon++;
    this.#field = text.toString('latin1', 0, length) + text.toString('latin1', colon);
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
      else this.#boundaries.push({ text: Buffer.from(boundary.slice(0, this.#options.boundaryLimit ?? 2048), 'latin1'), partType: type.subtype === 'digest' ? digestPart : defaultContentType });
    }
  }

  #endHeaders(text: Buffer): void {
    if (this.#mustDowngrade()) {
      const domainOnly = this.#type.type === 'multipart' || (this.#type.type === 'message' && this.#type.subtype !== 'global');
      this.#events.header(this.#place as HeaderPlace, undefined, `Content-Transfer-Encoding: ${domainOnly ? '7bit' : 'quoted-printable'}`);
    }
    if (this.#place === 'primary') {
      if (text.length > 0) this.#report('no-empty-line', text.toString('latin1'));
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

  #leaveHeaders(text: Buffer): void {
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
    const watched = this.#wants('8bit-body') && this.#encoding.encoding === '7bit' && !this.#reported.has('8bit-body');
    if (watched && hasEightBit(text)) this.#report('8bit-body', text.toString('latin1'));
    if (this.#boundaries.length > 0 && !continues && text.length > 2 && text[0] === 45 && text[1] === 45) this.#boundaryLine(text);
    if (this.#mustDowngrade()) this.#quoter.add(text, last);
    else this.#out(text, last);
  }

  // What stands behind a boundary is not looked at: some mailers leave something there, and ours may have been cut.
  #boundaryLine(text: Buffer): void {
    for (let depth = this.#boundaries.length - 1; depth >= 0; depth--) {
      const { text: boundary, partType } = this.#boundaries[depth]!;
      const end = 2 + boundary.length;
      if (text.length < end || text.compare(boundary, 0, boundary.length, 2, end) !== 0) continue;
      const closes = text[end] === 45 && text[end + 1] === 45;
      this.#boundaries.length = closes ? depth : depth + 1;
      if (closes) this.#enter('body', otherType, defaultTransferEncoding);
      else this.#enter('mime', partType, defaultTransferEncoding);
      return;
    }
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
