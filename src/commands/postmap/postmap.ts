/**
 * postmap(1): makes, lists, asks and changes lookup tables.
 *
 * Exit status 0, or 1 when a key was not found or something could not be done.
 */
import { sourceEntriesWithHints } from '../../tables/sendmail-hints.ts';
import { runTableCommand, type CommandStreams, type Dialect } from '../../tables/table-command.ts';

const dialect: Dialect = {
  program: 'postmap',
  options: 'bc:d:fFhijmnNopq:rsuUvw',
  usage: 'usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...',
  separator: '\t',
  parse: sourceEntriesWithHints,
};

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  return runTableCommand(dialect, argv, environment, streams);
}
