/** debug_peer_list: clients whose dialogues are logged word by word. A list that has to be waited for, or cannot be asked, names nobody. */
import type { Tools } from '../../server/daemon.ts';
import { clients } from '../../tables/lists.ts';
import { TableTrouble, type TableContext } from '../../tables/table.ts';
import { isPending } from '../../text/maybe.ts';
import type { Client } from './access/state.ts';

/** Undefined: the list is empty. */
export function openWatched({ config, log }: Tools, context: TableContext): ((client: Client) => boolean) | undefined {
  if (config.get('debug_peer_list').trim() === '' || config.get('debug_peer_level') < 1) return undefined;
  const includes = clients('debug_peer_list', config, context);
  return ({ name, address }) => {
    try {
      const answer = includes(name, address);
      if (!isPending(answer)) return answer;
      answer.catch(() => undefined);
      return false;
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
      log.warning(error.message);
      return false;
    }
  };
}
