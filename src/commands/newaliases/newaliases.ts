/**
 * newaliases(1): rebuilds the tables of `alias_database`. Takes no operands; `-C config_dir` as sendmail(1) does.
 *
 * Exit status 0, 1 when a table could not be built, 64 for a wrong command line.
 */
import { ConfigurationError } from '../../config/configuration-error.ts';
import { rebuildAliases } from '../../tables/alias-command.ts';
import type { CommandStreams } from '../../tables/table-command.ts';

const wrongUse = 64;

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  const say = (text: string): void => void streams.stderr.write(Buffer.from(`newaliases: fatal: ${text}\n`, 'latin1'));
  let directory: string | undefined;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === '-v') continue;
    if (word.startsWith('-C')) {
      directory = word.length > 2 ? word.slice(2) : argv[++at];
      continue;
    }
    say(word.startsWith('-') ? `usage: newaliases [-v] [-C config_dir]` : 'alias initialization mode requires no recipient');
    return wrongUse;
  }
  try {
    return await rebuildAliases(directory, environment, streams);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    say(error.message);
    return 1;
  }
}
