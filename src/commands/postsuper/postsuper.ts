/**
 * postsuper(1): maintenance of the queue by its owner. Purges, repairs, deletes, requeues, holds, releases, expires.
 *
 * Everything is done as the owner of the mail system, never as root. Repair comes before all else; the other operations are done
 * in the order in which they were asked for. Ends with 0 when it came to the end, whatever was found, else with 1.
 */
import { statSync } from 'node:fs';
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { errorText } from '../../host/libc.ts';
import { becomeUser, isRoot } from '../../host/identity.ts';
import { mailOwner } from '../../server/mail-owner.ts';
import { getopt } from '../../text/getopt.ts';
import { Progress, type Terminal } from '../../text/progress.ts';
import { byteStrings, CommandFailed, runCommand, Voice } from '../voice.ts';
import { operateOnAll, repairAll, type MassOperation } from './all-messages.ts';
import { deleteOne, expireAndReleaseOne, expireOne, holdOne, releaseOne, requeueOne } from './one-message.ts';
import { fileJournal } from './journal.ts';
import { defaultQueues, workplace, type Counts, type Workplace } from './places.ts';

const usage = 'usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] [-f queue_id (expire and/or un-hold)] '
  + '[-h queue_id (hold)] [-H queue_id (un-hold)] [-p (purge temporary files)] [-r queue_id (requeue)] '
  + '[-s (structure fix)] [-S (redundant structure fix)][-v (verbose)] [queue...]';

interface Operation {
  readonly all: MassOperation;
  readonly one: (queueId: string, at: Workplace) => void;
}

const operations: ReadonlyMap<string, Operation> = new Map([
  ['d', { all: 'delete', one: deleteOne }],
  ['e', { all: 'expire', one: expireOne }],
  ['f', { all: 'expire and release', one: expireAndReleaseOne }],
  ['h', { all: 'hold', one: holdOne }],
  ['H', { all: 'release', one: releaseOne }],
  ['r', { all: 'requeue', one: requeueOne }],
]);

/** What is told at the end, when one of these options was given. */
const reports: readonly (readonly [letters: string, count: keyof Counts, text: string])[] = [
  ['r', 'requeued', 'Requeued'],
  ['d', 'deleted', 'Deleted'],
  ['ef', 'expired', 'Force-expired'],
  ['h', 'held', 'Placed on hold'],
  ['Hf', 'released', 'Released from hold'],
];

const changedNames = 'QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS';

interface CommandLine {
  readonly found: readonly (readonly [letter: string, value: string])[];
  readonly queues: readonly string[];
  readonly directory: string | undefined;
}

export interface CommandStreams { readonly stdin: NodeJS.ReadableStream; readonly stderr: Terminal }

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  const progress = new Progress(streams.stderr, { what: 'postsuper', now: () => performance.now(), environment });
  const voice = new Voice('postsuper', { write: (bytes) => (progress.clear(), streams.stderr.write(bytes)) });
  return runCommand(voice, async () => {
    process.umask(0o022);
    const line = parse(byteStrings(argv), voice);
    const config = Configuration.load(configDirectory(line.directory, environment), { environment, warn: (text) => voice.warning(text) });
    enter(config, voice);
    const at = workplace(config, voice, line.queues.length > 0 ? line.queues : defaultQueues, progress);
    await fileJournal(config, at);
    try {
      await work(line, at, streams.stdin);
    } catch (error) {
      if (error instanceof CommandFailed) warnIncomplete(at);
      throw error;
    } finally {
      progress.clear();
    }
    return 0;
  });
}

function parse(argv: readonly string[], voice: Voice): CommandLine {
  const { found, operands, trouble } = getopt(argv, 'c:d:e:f:h:H:pr:sSv');
  if (trouble !== undefined) {
    voice.complain(trouble);
    voice.fatal(usage);
  }
  const directory = found.findLast(([letter]) => letter === 'c')?.[1];
  if (directory !== undefined && !directory.startsWith('/')) voice.fatal('-c requires absolute pathname');
  return { found, queues: operands, directory };
}

/** To the queue directory, and as its owner: a queue that was tampered with must not lead root elsewhere. */
function enter(config: Configuration, voice: Voice): void {
  const directory = config.get('queue_directory');
  if (!isRoot() && statSync(directory, { throwIfNoEntry: false })?.uid !== process.getuid!()) voice.fatal('use of this command is reserved for the superuser');
  voice.attach(config, { now: true });
  try {
    process.chdir(directory);
  } catch (error) {
    voice.fatal(`chdir ${directory}: ${errorText(error)}`);
  }
  if (isRoot()) becomeUser(mailOwner(config));
}

async function work({ found }: CommandLine, at: Workplace, stdin: NodeJS.ReadableStream): Promise<void> {
  const asked = (letters: string): boolean => found.some(([letter]) => letters.includes(letter));
  repair(at, found, asked);
  for (const [letter, value] of found) {
    const operation = operations.get(letter);
    if (operation === undefined) continue;
    if (value === 'ALL') operateOnAll(at, operation.all);
    else if (value === '-') await operateOnListed(at, operation, stdin);
    else operation.one(value, at);
  }
  report(at, asked);
}

async function operateOnListed(at: Workplace, { one }: Operation, stdin: NodeJS.ReadableStream): Promise<void> {
  for await (const queueId of linesOf(stdin)) {
    one(queueId, at);
    at.progress.step();
  }
}

async function* linesOf(input: NodeJS.ReadableStream): AsyncGenerator<string, void, undefined> {
  let rest = '';
  for await (const chunk of input) {
    const lines = (rest + Buffer.from(chunk).toString('latin1')).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== '') yield rest;
}

function repair(at: Workplace, found: CommandLine['found'], asked: (letters: string) => boolean): void {
  const { counts, voice } = at;
  const nothing = !asked('psSdefhHr');
  if (!nothing && !asked('psS')) return;
  const wanted = { purge: nothing || asked('p'), structure: nothing || asked('sS'), redundant: asked('S') };
  repairAll(at, wanted);
  if (counts.inodeMismatches > 0) repairAll(at, wanted);
  // A queue id may now be another message's.
  if (counts.inodeMismatches === 0 && counts.fixed === 0) return;
  if (!found.some(([letter, value]) => operations.has(letter) && value !== 'ALL')) return;
  voice.error(changedNames);
  voice.fatal('CHECK YOUR QUEUE IDS AND RE-ISSUE THE COMMAND');
}

function report({ counts, voice }: Workplace, asked: (letters: string) => boolean): void {
  const say = (text: string, count: number): void => voice.info(`${text}: ${count} message${count === 1 ? '' : 's'}`);
  for (const [letters, count, text] of reports) if (asked(letters)) say(text, counts[count]);
  if (counts.fixed > 0) say('Renamed to match inode number', counts.fixed);
  if (counts.inodeMismatches > 0 || counts.fixed > 0) voice.warning(changedNames);
}

function warnIncomplete({ counts, voice }: Workplace): void {
  if (counts.inodeMismatches + counts.fixed + counts.positionMismatches > 0) voice.warning('OPERATION INCOMPLETE -- RERUN COMMAND TO FIX THE QUEUE FIRST');
}
