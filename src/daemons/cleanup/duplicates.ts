/** Which recipients were seen already, in whatever case: at most `limit` are remembered (duplicate_filter_limit; 0: no limit). */
import { foldCase } from '../../text/utf8.ts';

export function isNew(seen: Set<string>, key: string, limit: number): boolean {
  const folded = foldCase(key);
  if (seen.has(folded)) return false;
  if (limit === 0 || seen.size < limit) seen.add(folded);
  return true;
}

/** It may come again. */
export function forget(seen: Set<string>, key: string): void {
  seen.delete(foldCase(key));
}
