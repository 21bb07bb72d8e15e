/**
 * virtual(5): a recipient becomes the addresses its table entry names, again and again until none of them has an entry.
 *
 * An address that expands to itself stays. Too many results, too deep nesting or too long an address refuse the message
 * for now (4.6.0), as does a table that cannot be asked. The limits are virtual_alias_expansion_limit, _recursion_limit and
 * _address_length_limit.
 */
import { cleanupStatus } from '../../ipc/cleanup.ts';
import { TableTrouble } from '../../tables/table.ts';
import { foldCase } from '../../text/utf8.ts';
import type { CleanupContext } from './context.ts';
import type { MessageState } from './state.ts';

/** Expand one address (internal form). When that fails, the state says why and the address comes back unexpanded. */
export async function expandAlias(context: CleanupContext, state: MessageState, address: string): Promise<string[]> {
  const { virtualAliases, view } = context;
  if (virtualAliases === undefined) return [address];
  const results = [address];
  const settled = new Set<string>();
  const refuse = (what: string, status: number): string[] => {
    context.log.warning(`${state.queueId}: ${what} -- message not accepted, try again later`);
    state.refuse(status, '4.6.0 Alias expansion error');
    return [address];
  };
  try {
    for (let at = 0; at < results.length; at++) {
      if (results.length > view.virtual_alias_expansion_limit)
        return refuse(`unreasonable virtual_alias_maps map expansion size for ${address}`, cleanupStatus.defer);
      for (let depth = 0; !settled.has(foldCase(results[at]!)); depth++) {
        if (depth >= view.virtual_alias_recursion_limit)
          return refuse(`unreasonable virtual_alias_maps map nesting for ${address}`, cleanupStatus.defer);
        const found = await virtualAliases(results[at]!);
        if (found === undefined) break;
        const long = found.find((each) => each.length > view.virtual_alias_address_length_limit);
        if (long !== undefined)
          return refuse(`unreasonable virtual_alias_maps result ${long.slice(0, 300)}...`, cleanupStatus.defer);
        const from = foldCase(results[at]!);
        if (found.some((each) => foldCase(each) === from)) settled.add(from);
        results.splice(at, 1, found[0]!);
        results.push(...found.slice(1));
      }
    }
  } catch (error) {
    if (!(error instanceof TableTrouble)) throw error;
    return refuse(`virtual_alias_maps map lookup problem for ${address}`, cleanupStatus.write);
  }
  return results;
}
