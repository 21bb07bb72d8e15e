/**
 * Tables that a session asks in the middle of a command. It cannot wait there: of tables that have to be waited for the log is told once,
 * and they count as empty, as they do for smtpd(8).
 */
import { outOfOrder } from '../../protocol/postscreen/settings.ts';
import type { Maps } from '../../tables/maps.ts';
import { TableTrouble } from '../../tables/table.ts';
import { isPending } from '../../text/maybe.ts';

export type AskAtOnce = (key: string) => string | undefined | typeof outOfOrder;

export function askAtOnce(maps: Maps, warn: (text: string) => void): AskAtOnce {
  let isTold = false;
  return (key) => {
    if (maps.isEmpty) return undefined;
    try {
      const found = maps.find(key);
      if (!isPending(found)) return found;
      found.catch(() => undefined);
    } catch (error) {
      if (error instanceof TableTrouble) return outOfOrder;
      throw error;
    }
    if (!isTold) warn(`${maps.title}: a table that has to be waited for is of no use here`);
    isTold = true;
    return undefined;
  };
}
