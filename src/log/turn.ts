/**
 * Log lines of one turn of the event loop leave in one write, and still before anything that tells another process: whoever writes
 * to a socket of ours calls `flushLogs` first, so that its lines cannot overtake ours.
 *
 * Costs nothing when no line waits.
 */
const flushes: (() => void)[] = [];

/** Lines may wait here: `flush` writes them. Kept as long as the process lives. */
export function flushedByTurn(flush: () => void): void {
  flushes.push(flush);
}

/** Write what waits now. */
export function flushLogs(): void {
  for (const flush of flushes) flush();
}
