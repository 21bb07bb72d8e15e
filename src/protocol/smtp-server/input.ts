/**
 * Bytes that were received and not yet used: command lines are cut from it, content is taken in slices without copying.
 *
 * Lines are byte strings without their line end. A line that is too long is skipped up to a bound, as Postfix does, so
 * that a client stays in step; beyond the bound the rest of the input is refused. Memory is what was received and not used.
 */
const LF = 10;
const CR = 13;
/** Pieces up to this size are joined with others while they wait. */
const smallPiece = 4096;

/** How the last line read came to us. */
export type LineFate = 'whole' | 'too-long' | 'far-too-long';

export class Input {
  #chunks: Buffer[] = [];
  #at = 0;
  #size = 0;
  #skipBudget = 0;
  #longStart = '';
  /** Of the line read last: it ended in LF without CR before it (only told when `policed`). */
  bareNewline = false;
  fate: LineFate = 'whole';

  readonly #limit: number;
  #policed: boolean;

  /** `limit`: longest line, its end included, but for one CR. `policed`: bare newlines are noticed, and only one CR is an end. */
  constructor(limit: number, policed: boolean) {
    this.#limit = limit;
    this.#policed = policed;
  }

  /** Whether bare newlines are noticed can depend on who the client turns out to be. */
  set policed(policed: boolean) {
    this.#policed = policed;
  }

  get size(): number {
    return this.#size;
  }

  push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#size += bytes.length;
    // As a rule there is nothing, then one piece: an array that is pushed to has room for many more.
    if (this.#chunks.length === 0) this.#chunks = [bytes];
    else if (this.#chunks.push(bytes) > 2) this.#gather();
  }

  /** A client that sends single bytes while we are busy must not make us keep as many buffers: small ones are joined. */
  #gather(): void {
    const chunks = this.#chunks;
    for (let last = chunks.length - 1; last >= 2; last--) {
      const [one, other] = [chunks[last - 1]!, chunks[last]!];
      if (other.length < one.length || other.length > smallPiece) return;
      chunks.splice(last - 1, 2, Buffer.concat([one, other]));
    }
  }

  clear(): void {
    this.#chunks = [];
    this.#at = 0;
    this.#size = 0;
  }

  /** What is there in one piece, at most `most` bytes; undefined when there is nothing. Still unused: see `use`. */
  peek(most = Infinity): Buffer | undefined {
    const head = this.#chunks[0];
    if (head === undefined) return undefined;
    if (this.#at === 0 && head.length <= most) return head;
    return head.subarray(this.#at, Math.min(head.length, this.#at + most));
  }

  /** So many bytes of the first piece have been used. */
  use(count: number): void {
    this.#at += count;
    this.#size -= count;
    const chunks = this.#chunks;
    if (this.#at !== chunks[0]?.length) return;
    if (chunks.length === 1) chunks.pop();
    else chunks.shift();
    this.#at = 0;
  }

  /**
   * The next line, or undefined when it is not complete. When `fate` is not 'whole' the text is the beginning of a
   * line that was too long; after 'far-too-long' nothing more can be read in step. A `limit` of its own must not change before the
   * line is complete.
   */
  line(limit = this.#limit): string | undefined {
    if (this.#skipBudget > 0) return this.#skip();
    const head = this.#join(limit + 1);
    if (head === undefined) return undefined;
    const end = this.#endIn(head, limit);
    const length = end - this.#at + 1;
    if (end >= 0 && (length <= limit || (length === limit + 1 && head[end - 1] === CR))) {
      return this.#cut(head, end);
    }
    const there = head.length - this.#at;
    if (there < limit || (there === limit && head[head.length - 1] === CR)) return undefined;
    this.#longStart = head.toString('latin1', this.#at, this.#at + Math.min(30, limit));
    this.#skipBudget = limit;
    this.use(limit);
    return this.#skip();
  }

  /** Where the LF of a line is that is not too long; -1: nowhere. Command lines are short: they are looked through faster than anybody is called. */
  #endIn(head: Buffer, limit: number): number {
    const stop = Math.min(head.length, this.#at + limit + 1);
    for (let at = this.#at; at < stop; at++) if (head[at] === LF) return at;
    return -1;
  }

  #cut(head: Buffer, end: number): string {
    let textEnd = end;
    if (!this.#policed) while (textEnd > this.#at && head[textEnd - 1] === CR) textEnd--;
    else if (textEnd > this.#at && head[textEnd - 1] === CR) textEnd--;
    this.bareNewline = this.#policed && textEnd === end;
    this.fate = 'whole';
    const text = head.toString('latin1', this.#at, textEnd);
    this.use(end + 1 - this.#at);
    return text;
  }

  #skip(): string | undefined {
    for (let head = this.peek(); head !== undefined; head = this.peek()) {
      const end = head.indexOf(LF);
      if (end >= 0 && end < this.#skipBudget) return this.#skipped('too-long', end + 1);
      if (head.length >= this.#skipBudget) return this.#skipped('far-too-long', this.#skipBudget);
      this.#skipBudget -= head.length;
      this.use(head.length);
    }
    return undefined;
  }

  #skipped(fate: LineFate, count: number): string {
    this.use(count);
    this.#skipBudget = 0;
    this.fate = fate;
    this.bareNewline = false;
    return this.#longStart;
  }

  /** The first piece, made at least `wanted` bytes long or as long as what is there, unless a line already ends in it. */
  #join(wanted: number): Buffer | undefined {
    let head = this.#chunks[0];
    if (head === undefined || this.#chunks.length === 1 || head.indexOf(LF, this.#at) >= 0) return head;
    let count = 0;
    let length = -this.#at;
    while (count < this.#chunks.length && length < wanted) length += this.#chunks[count++]!.length;
    head = Buffer.concat([head.subarray(this.#at), ...this.#chunks.slice(1, count)], length);
    this.#chunks.splice(0, count, head);
    this.#at = 0;
    return head;
  }
}
