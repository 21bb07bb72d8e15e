import { foldCase } from '../../text/utf8.ts';

/** Which recipients were seen already: at most `limit` are remembered (duplicate_filter_limit; 0: no limit). */
export function isNew(seen: Set<string>, key: string, limit: number): boolean {
  if (seen.has(key)) return false;
  if (limit === 0 || seen.size < limit) seen.add(key);
  return true;
}

/** It may come again. */
export function forget(seen: Set<string>, key: string): void {
  seen.delete(key);
  seen.delete(foldCase(key));
}
