/**
 * The environment that reaches the daemons: what import_environment names or sets, and a search path. Pure.
 */
import { splitListGroups, trimWhite } from '../../text/ascii.ts';

const searchPath = '/usr/bin:/bin:/usr/sbin:/sbin';

/** `list`: names to take over and `name=value` settings, which may stand in braces. */
export function importedEnvironment(list: string, environment: NodeJS.ProcessEnv): Record<string, string> {
  const imported: Record<string, string> = { PATH: searchPath };
  for (const item of splitListGroups(list)) {
    const word = item.startsWith('{') ? trimWhite(item.slice(1, item.endsWith('}') ? -1 : undefined)) : item;
    const equals = word.indexOf('=');
    if (equals > 0) imported[trimWhite(word.slice(0, equals))] = trimWhite(word.slice(equals + 1));
    else if (environment[word] !== undefined) imported[word] = environment[word];
  }
  return imported;
}
