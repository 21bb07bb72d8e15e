/** receive_override_options: what cleanup(8) is asked not to do with mail from this source. */
import { splitList } from '../text/ascii.ts';
import { cleanupFlag } from './cleanup.ts';

const overrides: ReadonlyMap<string, number> = new Map([
  ['no_address_mappings', cleanupFlag.mapOk | cleanupFlag.bccOk],
  ['no_header_body_checks', cleanupFlag.filter],
  ['no_milters', cleanupFlag.milter],
]);

/** The flags to take away. */
export function overriddenFlags(text: string): number {
  return splitList(text).reduce((flags, word) => flags | (overrides.get(word) ?? 0), 0);
}
