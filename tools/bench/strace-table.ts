/**
 * The table that `strace -c` writes at its end. Pure.
 */
export interface StraceTable {
  readonly total: number;
  /** Calls by name. */
  readonly calls: ReadonlyMap<string, number>;
}

/** A row: share of time, seconds, microseconds per call, calls, errors (often empty), name. */
const row = /^\s*[0-9.]+\s+[0-9.]+\s+[0-9]+\s+([0-9]+)\s+(?:[0-9]+\s+)?([a-z_0-9]+)\s*$/;

/** Throws when the text holds no table: strace could not attach, or counted nothing. */
export function parseStraceTable(text: string): StraceTable {
  const calls = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, count, name] = row.exec(line) ?? [];
    if (count === undefined || name === undefined || name === 'total') continue;
    calls.set(name, (calls.get(name) ?? 0) + Number(count));
  }
  const total = [...calls.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) throw new Error(`strace wrote no table: ${text.trim().slice(0, 300) || 'nothing at all'}`);
  return { total, calls };
}
