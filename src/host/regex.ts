/**
 * POSIX patterns through the C library: regcomp(3), and the search that is behind regexec(3).
 *
 * A pattern is compiled once; `search` takes a range of starting points, so that a caller can look at the clock between two calls:
 * from one starting point the work grows with the length of the text (patterns with back-references are another matter).
 * RegexTrouble has regerror(3)'s words. The layout of regex_t is that of the GNU C library on 64-bit Linux.
 */
import { addressOf, bind, bindNow, stableBuffer, type Native } from './libc.ts';
import type { Subject } from './subject.ts';

const regcomp = bind('int regcomp(uintptr_t regex, const void *pattern, int flags)');
const regerror = bind('size_t regerror(int error, uintptr_t regex, void *text, size_t size)');
const regfree = bind('void regfree(uintptr_t regex)');
const searchPrototype = 'int re_search(uintptr_t regex, uintptr_t text, int length, int start, int range, uintptr_t registers)';
let reSearch: Native | undefined;

/** Flags of regcomp(3). */
export const regexFlags = { extended: 1, ignoreCase: 2, newline: 4, noSubmatches: 8 } as const;

const size = 64;
const groupsAt = 48;
const bitsAt = 56;
/** In the bits: who has the memory for submatches (2: the caller). */
const callersRegisters = 0b100;
const registersMask = 0b110;

/** re_search(3)'s results. */
export const regexStatus = { noMatch: -1, trouble: -2 } as const;

export class RegexTrouble extends Error {}

/** Where submatches are written: a count, and two arrays of `int`. One for the whole process, as large as any pattern needs. */
class Registers {
  readonly most: number;
  readonly #head = stableBuffer(24);
  readonly starts: Buffer;
  readonly ends: Buffer;

  constructor(most: number) {
    this.most = most;
    this.starts = stableBuffer(most * 4);
    this.ends = stableBuffer(most * 4);
    this.#head.writeUInt32LE(most, 0);
    this.#head.writeBigUInt64LE(addressOf(this.starts), 8);
    this.#head.writeBigUInt64LE(addressOf(this.ends), 16);
  }

  get address(): number {
    return Number(addressOf(this.#head));
  }
}

let registers: Registers | undefined;

export class RegexPattern {
  readonly #regex = stableBuffer(size);
  #address = Number(addressOf(this.#regex));
  /** Number of the pattern's groups. */
  readonly captures: number;

  /** Throws RegexTrouble. */
  constructor(pattern: string, flags: number) {
    reSearch ??= bindNow(searchPrototype);
    const status = regcomp(this.#address, Buffer.from(`${pattern}\0`, 'latin1'), flags) as number;
    if (status !== 0) throw new RegexTrouble(words(status, this.#address));
    this.captures = Number(this.#regex.readBigUInt64LE(groupsAt));
    this.#regex[bitsAt] = (this.#regex[bitsAt]! & ~registersMask) | callersRegisters;
  }

  /** Search with starting points from `start` to before `end`: where the match begins, or one of regexStatus. */
  search(subject: Subject, start: number, end: number): number {
    return reSearch!(this.#opened(), subject.address, subject.length, start, Math.min(end, subject.length + 1) - 1 - start, 0) as number;
  }

  /** Begin and end of every group of the match that begins at `start`, as search has found it; 0 is the whole match. */
  groups(subject: Subject, start: number): readonly (readonly [number, number] | undefined)[] {
    const count = this.captures + 1;
    if (!registers || registers.most < count + 1) registers = new Registers(Math.max(100, count + 1));
    const { starts, ends, address } = registers;
    if (reSearch!(this.#opened(), subject.address, subject.length, start, 0, address) !== start) return [];
    return Array.from({ length: count }, (_, group) => {
      const begin = starts.readInt32LE(group * 4);
      return begin < 0 ? undefined : [begin, ends.readInt32LE(group * 4)];
    });
  }

  close(): void {
    if (this.#address !== 0) regfree(this.#address);
    this.#address = 0;
  }

  #opened(): number {
    if (this.#address === 0) throw new Error('panic: search with a closed pattern');
    return this.#address;
  }
}

function words(status: number, regex: number): string {
  const text = stableBuffer(256);
  regerror(status, regex, text, 256);
  return text.toString('latin1', 0, text.indexOf(0));
}
