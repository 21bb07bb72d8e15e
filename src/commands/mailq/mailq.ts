/**
 * mailq(1): the queue listing under its old name; takes sendmail's options, of which only `-C config_dir` means something here.
 * A command line that makes no sense is told as sendmail(1) does, with its status 75.
 */
import { getopt } from '../../text/getopt.ts';
import { main as postqueue, type CommandStreams } from '../postqueue/postqueue.ts';

/** sysexits(3): EX_TEMPFAIL */
const wrongUse = 75;

/** sendmail(1)'s: those with a value must be known, so that the value is not taken for an option. */
const sendmailOptions = 'A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx';

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  const { found, operands, trouble } = getopt(argv, sendmailOptions);
  const say = (text: string): void => void streams.stderr.write(Buffer.from(`mailq: ${text}\n`, 'utf8'));
  if (trouble !== undefined) say(trouble);
  if (trouble !== undefined || operands.length > 0) {
    say(`fatal: ${trouble !== undefined ? 'usage: mailq [options]' : 'display queue mode requires no recipient'}`);
    return wrongUse;
  }
  const directory = found.findLast(([letter]) => letter === 'C')?.[1];
  return postqueue(directory === undefined ? ['-p'] : ['-c', directory, '-p'], environment, streams);
}
