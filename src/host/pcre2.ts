/**
 * Perl-compatible patterns through the system's libpcre2 (8 bit units, no UTF: bytes), compiled to machine code where the kernel allows it.
 *
 * Every search is bounded: in steps per starting point (match limit), in memory, and in starting points per call, so that a
 * caller can look at the clock between two calls. Pcre2Trouble tells of patterns that cannot be compiled; a search never throws,
 * it gives the library's (negative) number. pcre2api(3).
 */
import { bind, bindNow, copyBytes, library, stableBuffer, type Native } from './libc.ts';
import type { Subject } from './subject.ts';

const soname = 'libpcre2-8.so.0';
const pcre = (prototype: string) => bind(prototype, soname);

const compileOne = pcre('uintptr_t pcre2_compile_8(const void *pattern, size_t length, uint32_t options, void *error, void *offset, uintptr_t context)');
const jitCompile = pcre('int pcre2_jit_compile_8(uintptr_t code, uint32_t options)');
const codeFree = pcre('void pcre2_code_free_8(uintptr_t code)');
const patternInfo = pcre('int pcre2_pattern_info_8(uintptr_t code, uint32_t what, void *where)');
const errorMessage = pcre('int pcre2_get_error_message_8(int error, void *text, size_t size)');
const matchDataCreate = pcre('uintptr_t pcre2_match_data_create_8(uint32_t pairs, uintptr_t context)');
const ovectorPointer = pcre('uintptr_t pcre2_get_ovector_pointer_8(uintptr_t matchData)');
const contextCreate = pcre('uintptr_t pcre2_match_context_create_8(uintptr_t general)');
const setMatchLimit = pcre('int pcre2_set_match_limit_8(uintptr_t context, uint32_t limit)');
const setHeapLimit = pcre('int pcre2_set_heap_limit_8(uintptr_t context, uint32_t kilobytes)');
const setOffsetLimit = pcre('int pcre2_set_offset_limit_8(uintptr_t context, size_t limit)');
const jitStackCreate = pcre('uintptr_t pcre2_jit_stack_create_8(size_t start, size_t most, uintptr_t general)');
const jitStackAssign = pcre('void pcre2_jit_stack_assign_8(uintptr_t context, uintptr_t callback, uintptr_t stack)');
const matchPrototype =
  'int pcre2_match_8(uintptr_t code, uintptr_t subject, size_t length, size_t start, uint32_t options, uintptr_t matchData, uintptr_t context)';

/** Options of a pattern, pcre2api(3). */
export const pcre2Options = {
  caseless: 0x8, dollarEndOnly: 0x10, dotAll: 0x20, extended: 0x80, multiline: 0x400, ungreedy: 0x40000, altCircumflex: 0x200000,
  anchored: 0x80000000,
} as const;
const useOffsetLimit = 0x00800000;
/** For patterns that ask for UTF-8: text that is none is no match where it is broken, and no error. */
const matchInvalidUtf = 0x04000000;
const noJit = 0x2000;
const info = { allOptions: 0, captureCount: 4, jitSize: 10 } as const;
const jitComplete = 1;

export const pcre2Status = { noMatch: -1, jitStackLimit: -46, matchLimit: -47, heapLimit: -63 } as const;

/**
 * Steps per starting point, and starting points times steps per call. A million steps of machine code are about 1.4 ms, of the
 * interpreter 14 ms; Postfix has the library's ten million. The interpreter counts each step of a plain `.*`, so its limit grows
 * with the text.
 */
const limits = { jit: 200_000, interpreter: 50_000, interpreterPerByte: 4, jitCall: 20_000_000, interpreterCall: 1_000_000, heapKilobytes: 20_000 } as const;

export class Pcre2Trouble extends Error {
  /** Where in the pattern, in bytes. */
  readonly offset: number;
  constructor(code: number, offset: number) {
    super(pcre2Message(code));
    this.offset = offset;
  }
}

/** The library's words for one of its numbers. */
export function pcre2Message(code: number): string {
  const text = stableBuffer(256);
  const length = Number(errorMessage(code, text, 256));
  return length > 0 ? text.toString('latin1', 0, length) : `unexpected pcre2 error code ${code}`;
}

/** Is the library installed? */
export function hasPcre2(): boolean {
  try {
    library(soname);
    return true;
  } catch {
    return false;
  }
}

/** What all patterns of a process share: a look-up is never interrupted by another. */
interface Workspace {
  readonly match: Native;
  /** One for searches with all starting points, one for windows of them: changing a context costs as much as a search. */
  readonly all: MatchContext;
  readonly window: MatchContext;
  pairs: number;
  matchData: number;
}

interface MatchContext {
  readonly address: number;
  limit: number;
}

let workspace: Workspace | undefined;

function openWorkspace(): Workspace {
  const stack = Number(jitStackCreate(32 * 1024, 4 * 1024 * 1024, 0));
  return { match: bindNow(matchPrototype, soname), all: openContext(stack), window: openContext(stack), pairs: 0, matchData: 0 };
}

function openContext(stack: number): MatchContext {
  const address = notNull(contextCreate(0));
  setHeapLimit(address, limits.heapKilobytes);
  if (stack !== 0) jitStackAssign(address, 0, stack);
  return { address, limit: 0 };
}

function notNull(address: number | bigint): number {
  if (Number(address) === 0) throw new Error('out of memory in libpcre2');
  return Number(address);
}

export class Pcre2Pattern {
  /** Number of the pattern's groups. */
  readonly captures: number;
  /** One call is all it takes: it can only match at the start of the text, or its starting points cannot be divided. */
  readonly anchored: boolean;
  /** Its starting points cannot be divided: all in one call, with fewer steps for each. */
  readonly #whole: boolean;
  #code: number;
  #jit: boolean;
  readonly #space: Workspace;

  /** Throws Pcre2Trouble. */
  constructor(pattern: string, options: number) {
    this.#space = workspace ??= openWorkspace();
    this.#whole = wholeOnly.test(pattern);
    this.#code = compile(pattern, options | (this.#whole ? 0 : useOffsetLimit) | (wantsUtf.test(pattern) ? matchInvalidUtf : 0));
    this.captures = numberOf(this.#code, info.captureCount);
    this.anchored = this.#whole || (numberOf(this.#code, info.allOptions) & (pcre2Options.anchored | 0)) !== 0;
    this.#jit = jitCompile(this.#code, jitComplete) === 0 && numberOf(this.#code, info.jitSize) !== 0;
    growMatchData(this.#space, this.captures + 1);
  }

  /** Starting points that one call may take at first. */
  firstWindow(length: number): number {
    return this.#jit ? limits.jitCall / limits.jit : Math.ceil(limits.interpreterCall / interpreterLimit(length));
  }

  /**
   * Search with starting points from `start` to before `end`. Positive: found; pcre2Status.noMatch; or the library's number for
   * what went wrong.
   */
  search(subject: Subject, start: number, end: number): number {
    if (this.#code === 0) throw new Error('panic: search with a closed pattern');
    const found = this.#match(subject, start, end, this.#jit);
    if (found !== pcre2Status.jitStackLimit) return found;
    this.#jit = false;
    return this.#match(subject, start, end, false);
  }

  /** Begin and end of a group of the last match of any pattern; undefined when it took no part. 0 is the whole match. */
  group(number: number): readonly [number, number] | undefined {
    const pair = copyBytes(BigInt(ovectorPointer(this.#space.matchData)) + BigInt(number * 16), 16);
    const begin = pair.readBigUInt64LE(0);
    return begin === unset ? undefined : [Number(begin), Number(pair.readBigUInt64LE(8))];
  }

  close(): void {
    if (this.#code !== 0) codeFree(this.#code);
    this.#code = 0;
  }

  #match(subject: Subject, start: number, end: number, jit: boolean): number {
    const space = this.#space;
    const { length } = subject;
    const isWindow = end <= length && !this.anchored;
    const context = isWindow ? space.window : space.all;
    const limit = this.#whole ? this.#wholeLimit(length, jit) : jit ? limits.jit : interpreterLimit(length);
    if (context.limit !== limit) setMatchLimit(context.address, (context.limit = limit));
    if (isWindow) setOffsetLimit(context.address, end - 1);
    return space.match(this.#code, subject.address, length, start, jit ? 0 : noJit, space.matchData, context.address) as number;
  }

  #wholeLimit(length: number, jit: boolean): number {
    const most = jit ? limits.jit : interpreterLimit(length);
    return Math.min(most, Math.max(1000, Math.floor((jit ? limits.jitCall : limits.interpreterCall) / (length + 1))));
  }
}

/** Where a search starts means something to these: \G, verbs that move the starting point, and UTF-8 (a window may begin in a character). */
const wholeOnly = /\\G|\(\*(?:COMMIT|SKIP|UTF)/;

const wantsUtf = /^(?:\(\*[A-Z0-9_=]+\))*\(\*UTF\)/;

const unset = 0xffffffffffffffffn;

function interpreterLimit(length: number): number {
  return Math.max(limits.interpreter, limits.interpreterPerByte * length);
}

function compile(pattern: string, options: number): number {
  const [error, offset] = [stableBuffer(4), stableBuffer(8)];
  // With a byte more than the pattern: an empty one must have an address too.
  const bytes = Buffer.from(`${pattern}\0`, 'latin1');
  const code = Number(compileOne(bytes, pattern.length, options >>> 0, error, offset, 0));
  if (code === 0) throw new Pcre2Trouble(error.readInt32LE(0), Number(offset.readBigUInt64LE(0)));
  return code;
}

function numberOf(code: number, what: number): number {
  const where = stableBuffer(8);
  patternInfo(code, what, where);
  return where.readInt32LE(0);
}

function growMatchData(space: Workspace, pairs: number): void {
  if (pairs <= space.pairs) return;
  space.pairs = Math.max(pairs, 100);
  // The old one is small, and another pattern's last match may still be read from it.
  space.matchData = notNull(matchDataCreate(space.pairs, 0));
}
