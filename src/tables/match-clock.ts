/**
 * How long one look-up in a pattern table may take: about a tenth of a second of this thread's time.
 *
 * The wall clock is looked at first, because that is cheap; only when it says that a look-up is slow does the thread's own time
 * count, so that a machine that is busy with other things fails nobody.
 */
/** Milliseconds; half by the wall clock, half by the thread's. */
const allowance = 80;
/** What a rule may take by itself: a table of a hundred thousand is slow, but not for any one rule's fault. */
const allowancePerRule = 0.001;

export class MatchClock {
  #since = 0;
  #threadSince = 0;

  #half = allowance / 2;

  /** Begin, for a table of so many rules. */
  start(rules: number): void {
    this.#half = allowance / 2 + rules * allowancePerRule;
    this.#since = performance.now();
    this.#threadSince = 0;
  }

  /** Is the time used up? */
  get isOver(): boolean {
    if (performance.now() - this.#since < this.#half) return false;
    const used = threadTime();
    if (this.#threadSince === 0) this.#threadSince = used;
    return used - this.#threadSince > this.#half;
  }
}

/** Milliseconds. */
function threadTime(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** A search that was given up: it says nothing about whether there is a match. */
export class MatchTrouble extends Error {}

const soon = 2;
const late = 15;

/**
 * Search a text in windows of starting points, so that the clock can be looked at between two: `search` gives -1 for "nothing in
 * this window". Throws MatchTrouble when time is up.
 */
export function searchInWindows(length: number, first: number, clock: MatchClock, search: (start: number, end: number) => number): number {
  let window = first;
  for (let start = 0; start <= length; ) {
    const before = performance.now();
    const found = search(start, start + window);
    if (found !== -1) return found;
    const took = performance.now() - before;
    start += window;
    if (took < soon) window *= 2;
    else if (took > late) window = Math.max(1, window >> 1);
    if (start <= length && clock.isOver) throw new MatchTrouble('the search takes too long');
  }
  return -1;
}
