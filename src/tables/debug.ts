/**
 * debug:type:name, a table that tells the log what it was asked and what it answered, for those who wonder.
 */
import { chain, isPending, type MaybePromise } from '../text/maybe.ts';
import type { Opener } from './combined.ts';
import type { TableDriver, TableKind } from './driver.ts';
import type { TableContext } from './table.ts';

export function debugKind(name: string, openOne: Opener, context: TableContext): TableKind {
  const table = openOne(name);
  const say = (text: string): void => (context.info ?? context.warn).call(context, text);
  const told = (key: string, answer: string): void => say(`${name} lookup: "${key}" = "${answer}"`);
  const failing = (key: string, error: unknown): never => {
    told(key, 'error');
    throw error;
  };
  const answered = (key: string, found: string | undefined): string | undefined => {
    told(key, found ?? 'not_found');
    return found;
  };
  const ask = (key: string): MaybePromise<string | undefined> => {
    try {
      const found = table.find(key);
      return isPending(found) ? found.catch((error: unknown) => failing(key, error)) : found;
    } catch (error) {
      return failing(key, error);
    }
  };
  function* entries(): Generator<readonly [string, string]> {
    for (const [key, value] of table.entries!()) {
      say(`${name} sequence: "${key}" = "${value}"`);
      yield [key, value];
    }
    say(`${name} sequence: found EOF`);
  }
  const open = (): TableDriver => ({ find: (key) => chain(ask(key), (found) => answered(key, found)), entries, close: () => table.close() });
  return { open, fixed: table.fixed, owner: table.owner, keepsCase: true };
}
