/**
 * virtual(5): a recipient becomes the addresses its table entry names, again and again until none of them has an entry.
 *
 * An address that expands to itself stays. Too many results, too deep nesting or too long an address refuse the message
 * for now (4.6.0), as does a table that cannot be asked. The limits are virtual_alias_expansion_limit, _recursion_limit and
 * _address_length_limit.
 */
import { cleanupStatus } from '../../ipc/cleanup.ts';
import { quote822Local, splitAddress, unquote822Local } from '../../message/address.ts';
import { internalAddress, parseAddresses } from '../../message/address-tokens.ts';
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
        const found = await mapped(context, results[at]!);
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

/** The addresses that the table names for this one, in full internal form; undefined: it has no entry. */
async function mapped(context: CleanupContext, address: string): Promise<string[] | undefined> {
  const found = await context.findVirtualAlias(address);
  if (found === undefined) return undefined;
  const { value, extension } = found;
  // `@otherdomain` keeps the user; the extension was part of it and is not added again (virtual(5)).
  const text = value.startsWith('@') ? quote822Local(withoutExtension(splitAddress(address).local, extension) + value) : value;
  const results: string[] = [];
  for (const token of parseAddresses(text)) {
    if (token.type !== 'address') continue;
    const { address: full } = await context.rewrite.rewrite({ rule: 'local', address: quote822Local(internalAddress(token.tokens)) });
    results.push(withExtension(unquote822Local(full), context.propagates('virtual') ? extension : ''));
  }
  if (results.length > 0) return results;
  context.log.warning(`virtual_alias_maps lookup of ${address} returns non-address result "${value}"`);
  throw new TableTrouble('virtual_alias_maps', `non-address result for ${address}`);
}

function withoutExtension(local: string, extension: string): string {
  return extension !== '' && local.endsWith(extension) ? local.slice(0, -extension.length) : local;
}

function withExtension(address: string, extension: string): string {
  if (extension === '') return address;
  const { local, domain } = splitAddress(address);
  return domain === undefined ? local + extension : `${local}${extension}@${domain}`;
}
