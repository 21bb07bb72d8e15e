/** Time as this folder is given it: the part of the daemons' clock that waits. */
export interface Ticker {
  /** Milliseconds that never go back. */
  monotonic(): number;
  /** Run once after so many milliseconds; with `idle` the process may end before. */
  after(milliseconds: number, run: () => void, idle?: boolean): { cancel(): void };
}
