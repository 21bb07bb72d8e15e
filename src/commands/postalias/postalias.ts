/**
 * postalias(1): makes, lists, asks and changes alias tables.
 *
 * Exit status 0, or 1 when a name was not found or something could not be done.
 */
import { aliasDialect } from '../../tables/alias-command.ts';
import { runTableCommand, type CommandStreams } from '../../tables/table-command.ts';

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  return runTableCommand(aliasDialect, argv, environment, streams);
}
