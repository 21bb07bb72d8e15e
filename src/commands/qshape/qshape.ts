/**
 * qshape(1): where the mail in the queue goes, and how old it is; a table of domains and ages.
 *
 * Reads queue files, so it must be run by root or the owner of the mail system. Ends with 0, or 1 when there is no configuration or the
 * command line makes no sense; a queue that cannot be read is told of and counts nothing.
 */
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { errorText } from '../../host/libc.ts';
import { journaled } from '../../queue/journal-listing.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import { RecordFile } from '../../queue/record-file.ts';
import { getopt } from '../../text/getopt.ts';
import { byteStrings, runCommand, Voice, type Output } from '../voice.ts';
import { envelopesBelow, readEnvelope, type CountedEnvelope } from './envelopes.ts';
import { Shape, type ShapeOptions } from './shape.ts';

const usage = `Usage: qshape [ -s ] [ -p ] [ -m <min_subdomains> ] [ -l ]
\t[ -b <bucket_count> ] [ -t <bucket_time> ] [ -w <terminal_width> ]
\t[ -N <batch_msg_count> ] [ -n <batch_top_domains> ]
\t[ -c <config_directory> ] [ <queue_name> ... ]
Counts recipients by domain and age. -s counts senders instead; -p adds a line, with a dot in front,
for each domain with at least <min_subdomains> (5) subdomains.
The age columns end at <bucket_time> (5) minutes and then at twice the age before, or with -l
at the next <bucket_time>; there are <bucket_count> (10) of them, and the last has no end.
Without <queue_name>: incoming and active. A name with a slash in front is a directory of any place.
`;

interface CommandLine {
  readonly shape: ShapeOptions;
  readonly bySender: boolean;
  /** Messages between two tables on a terminal; 0: only one table, at the end. */
  readonly batch: number;
  /** Rows on a terminal. */
  readonly top: number;
  readonly directory: string | undefined;
  readonly queues: readonly string[];
}

export interface CommandStreams {
  readonly stdout: { write(bytes: Uint8Array): unknown; readonly isTTY?: boolean };
  readonly stderr: Output;
}

const clearScreen = '\x1b[H\x1b[2J\x1b[3J';

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  const voice = new Voice('qshape', streams.stderr);
  return runCommand(voice, async () => {
    const line = parse(byteStrings(argv), streams.stdout.isTTY === true, streams, voice);
    if (line === undefined) return 1;
    const terminal = streams.stdout.isTTY === true && environment['TERM'] !== 'dumb';
    const shape = new Shape(line.shape, Math.floor(Date.now() / 1000));
    const show = (): void => void streams.stdout.write(Buffer.from((terminal && line.batch > 0 ? clearScreen : '') + shape.table(line.top), 'latin1'));
    let messages = 0;
    for (const { arrival, sender, recipients } of envelopes(line, environment, voice)) {
      shape.add(arrival, line.bySender ? [sender] : recipients);
      if (line.batch > 0 && ++messages % line.batch === 0) show();
    }
    show();
    return 0;
  });
}

function parse(argv: readonly string[], terminal: boolean, { stderr }: CommandStreams, voice: Voice): CommandLine | undefined {
  const { found, operands, trouble } = getopt(argv, 'lhc:psw:b:t:m:n:N:');
  const given = new Map(found);
  if (trouble !== undefined) voice.complain(trouble);
  if (trouble !== undefined || given.has('h')) {
    stderr.write(Buffer.from(usage));
    return undefined;
  }
  const above = (letter: string, least: number, standard: number): number => {
    const number = Number.parseFloat(given.get(letter) ?? '');
    return number > least ? number : standard;
  };
  const shape = {
    parents: given.has('p'), minimumSubdomains: above('m', 0, 5), buckets: Math.max(Math.trunc(above('b', 0, 10)), 1), tick: above('t', 0, 5),
    linear: given.has('l'), width: Math.trunc(above('w', 80, 80)),
  };
  const count = (letter: string, standard: number): number => (terminal ? Math.trunc(Number.parseFloat(given.get(letter) ?? String(standard))) || 0 : 0);
  return {
    shape, bySender: given.has('s'), batch: count('N', 1000), top: count('n', 20), directory: given.get('c'),
    queues: operands.length > 0 ? operands : ['incoming', 'active'],
  };
}

function* envelopes({ queues, directory }: CommandLine, environment: NodeJS.ProcessEnv, voice: Voice): Generator<CountedEnvelope, void, undefined> {
  if (queues.some((queue) => !queue.startsWith('/'))) enter(directory, environment, voice);
  for (const queue of queues) {
    try {
      yield* envelopesBelow(queue);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).syscall !== 'opendir') throw error;
      voice.complain(`Can't stat ${queue}: ${errorText(error)}`);
    }
    if (queue === 'incoming') yield* inJournal();
  }
}

function enter(directory: string | undefined, environment: NodeJS.ProcessEnv, voice: Voice): void {
  const config = Configuration.load(configDirectory(directory, environment), { environment });
  const queue = config.get('queue_directory');
  try {
    process.chdir(queue);
  } catch (error) {
    voice.fatal(`chdir(${queue}): ${errorText(error)}`);
  }
}

/** Messages on their way that are no files. */
function* inJournal(): Generator<CountedEnvelope, void, undefined> {
  for (const { image } of journaled(new QueuePaths({ hashQueueNames: '', hashQueueDepth: 1 }))) {
    const envelope = readEnvelope(new RecordFile(image()), Math.floor(Date.now() / 1000));
    if (envelope !== undefined) yield envelope;
  }
}
