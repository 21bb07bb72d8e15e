/**
 * newaliases(1): rebuilds the tables of `alias_database`. Takes no operands; sendmail's options, of which only `-C config_dir` means
 * something here.
 *
 * Exit status 0, 1 when a table could not be built, 75 for a wrong command line.
 */
import { ConfigurationError } from '../../config/configuration-error.ts';
import { rebuildAliases } from '../../tables/alias-command.ts';
import type { CommandStreams } from '../../tables/table-command.ts';
import { getopt } from '../../text/getopt.ts';

/** sysexits(3): EX_TEMPFAIL */
const wrongUse = 75;

/** sendmail(1)'s: those with a value must be known, so that the value is not taken for an option. */
const sendmailOptions = 'A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx';

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  const say = (text: string): void => void streams.stderr.write(Buffer.from(`newaliases: ${text}\n`, 'utf8'));
  const { found, operands, trouble } = getopt(argv, sendmailOptions);
  if (trouble !== undefined) say(trouble);
  if (trouble !== undefined || operands.length > 0) {
    say(`fatal: ${trouble !== undefined ? 'usage: newaliases [options]' : 'alias initialization mode requires no recipient'}`);
    return wrongUse;
  }
  const directory = found.findLast(([letter]) => letter === 'C')?.[1];
  try {
    return await rebuildAliases(directory, environment, streams);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    say(`fatal: ${error.message}`);
    return 1;
  }
}
