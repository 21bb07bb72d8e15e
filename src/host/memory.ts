/**
 * Giving clean memory back while nothing is to be done, and not taking more than is needed while something is.
 *
 * Most of what an idle Node process occupies are pages of its program file that were needed once, at start. They are clean
 * copies of the file: dropped, they come back by themselves when touched (a little slower, that once).
 */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { bind } from './libc.ts';

const madvise = bind('int madvise(uint64_t address, size_t length, int advice)');
const dontNeed = 4;
const mallocTrim = bind('int malloc_trim(size_t pad)');

interface Mapping {
  readonly start: bigint;
  readonly length: number;
}

/**
 * Mappings of files that are read-only and hold no page of our own. A read-only mapping may hold some: the loader writes
 * into it before it becomes read-only (relocations), and dropping such a page would bring the unrelocated one back. Pages of our own
 * count as anonymous; dirty ones that do not are the file's (it was installed a moment ago) and stay in the page cache.
 */
export function droppable(smaps: string): Mapping[] {
  const found: Mapping[] = [];
  for (const part of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) r-[-x]p [0-9a-f]+ [0-9a-f:]+ (\d+) +\//.exec(part);
    const own = ['Anonymous', 'Swap', 'Locked'];
    if (!head || head[3] === '0' || own.some((field) => !part.includes(`\n${field}:`) || !new RegExp(`^${field}: +0 kB$`, 'm').test(part))) continue;
    const start = BigInt(`0x${head[1]}`);
    found.push({ start, length: Number(BigInt(`0x${head[2]}`) - start) });
  }
  return found;
}

/** What many TLS sessions at once took of the C library's memory it keeps for more of them, unless it is told. */
function returnFreed(): void {
  try {
    mallocTrim(0);
  } catch {
    // a C library without it
  }
}

/** Drop what is droppable. Returns the address space concerned in bytes; 0 where the kernel does not show its mappings. */
export function trimMemory(): number {
  let total = 0;
  returnFreed();
  try {
    for (const { start, length } of droppable(readFileSync('/proc/self/smaps', 'latin1'))) {
      if (madvise(start, length, dontNeed) === 0) total += length;
    }
  } catch {
    return total; // no /proc (a chroot): we keep what we have
  }
  return total;
}

/**
 * From now on collect garbage when the heap has doubled since the last time. Left to itself the engine lets it become four times
 * as large: with 20,000 messages in memory, 200 MB instead of 130, for no measurable gain.
 */
export function growHeapSlowly(): void {
  setFlagsFromString('--heap-growing-percent=100');
}

/** This process's share of memory in kilobytes (proportional set size), as the kernel counts it; undefined without /proc. */
export function proportionalSize(): number | undefined {
  try {
    const found = /^Pss: +(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'latin1'));
    return found ? Number(found[1]) : undefined;
  } catch {
    return undefined;
  }
}
