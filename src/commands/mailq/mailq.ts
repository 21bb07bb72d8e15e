/**
 * mailq(1): the queue listing under its old name; takes sendmail's options, of which only `-C config_dir` means something here.
 */
import { getopt } from '../../text/getopt.ts';
import { main as postqueue, type CommandStreams } from '../postqueue/postqueue.ts';

/** sendmail(1)'s: those with a value must be known, so that the value is not taken for an option. */
const sendmailOptions = 'A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx';

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  const { found } = getopt(argv, sendmailOptions);
  const directory = found.findLast(([letter]) => letter === 'C')?.[1];
  return postqueue(directory === undefined ? ['-p'] : ['-c', directory, '-p'], environment, streams);
}
