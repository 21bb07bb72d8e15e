/**
 * Building alias tables: postalias(1), and what newaliases(1) and `sendmail -bi` do with it.
 */
import { Configuration, configDirectory } from '../config/configuration.ts';
import { splitListGroups } from '../text/ascii.ts';
import { aliasEntries, completeMark } from './alias-source.ts';
import { runTableCommand, type CommandStreams, type Dialect } from './table-command.ts';

export const aliasDialect: Dialect = {
  program: 'postalias',
  options: 'c:d:fijnNopq:rsuvw',
  usage: 'usage: postalias [-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...',
  separator: ':\t',
  parse: aliasEntries,
  last: completeMark,
};

/**
 * Rebuild every table of `alias_database` from its text file, or the one table that is named instead (`sendmail -oA`). The exit
 * status: 0, or 1 when something could not be built. Throws ConfigurationError when main.cf cannot be read.
 */
export async function rebuildAliases(option: string | undefined, environment: NodeJS.ProcessEnv, streams: CommandStreams, table?: string): Promise<number> {
  const directory = configDirectory(option, environment);
  const tables = table === undefined ? splitListGroups(Configuration.load(directory, { environment }).text('alias_database')) : [table];
  if (tables.length === 0) return 0;
  return runTableCommand(aliasDialect, ['--', ...tables], { ...environment, MAIL_CONFIG: directory }, streams);
}
