/**
 * postcat(1): shows queue files, by path or (with -q) by queue id.
 *
 * Ends with 0, or with 1 at the first file that cannot be opened or read; a file that is none of a queue gets a warning.
 */
import { closeSync, constants, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { once } from 'node:events';
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { errorText } from '../../host/libc.ts';
import { journaled } from '../../queue/journal-listing.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import { queueIdOk } from '../../queue/queue-id.ts';
import { allDigits } from '../../text/ascii.ts';
import { getopt } from '../../text/getopt.ts';
import { byteStrings, runCommand, Voice, type Output } from '../voice.ts';
import { FileShow, plausible, type ShowOptions, type ShownFile } from './show-file.ts';

const usage = 'usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] [-e (envelope records)] [-h (header text)] '
  + '[-q (access queue)] [-v] [file(s)...]';
const searched = ['maildrop', 'incoming', 'active', 'deferred', 'hold', 'saved'];
const portion = 64 << 10;

export interface CommandStreams {
  readonly stdin: { readonly fd?: number };
  readonly stdout: { write(bytes: Uint8Array): boolean };
  readonly stderr: Output;
}

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  const voice = new Voice('postcat', streams.stderr);
  return runCommand(voice, async () => {
    const { options, operands, directory, byId } = parse(byteStrings(argv), voice);
    const config = Configuration.load(configDirectory(directory, environment), { environment, warn: (text) => voice.warning(text) });
    const show = (file: ShownFile): Promise<void> => showFile(file, options, voice, streams.stdout);
    const stdin = streams.stdin.fd ?? 0;
    if (operands.length === 0) await show({ fd: stdin, path: 'stdin', stream: !fstatSync(stdin).isFile() });
    const open = byId ? finder(config, voice) : (path: string) => openFile(path, voice);
    for (const operand of operands) {
      const file = open(operand);
      await show(file).finally(() => closeSync(file.fd));
    }
    return 0;
  });
}

function parse(argv: readonly string[], voice: Voice): { options: ShowOptions; operands: readonly string[]; directory: string | undefined; byId: boolean } {
  const { found, operands, trouble } = getopt(argv, 'bc:defhoqrs:v');
  if (trouble !== undefined) {
    voice.complain(trouble);
    voice.fatal(usage);
  }
  const has = (letter: string): boolean => found.some(([option]) => option === letter);
  const value = (letter: string): string | undefined => found.findLast(([option]) => option === letter)?.[1];
  const skip = value('s') ?? '0';
  if (!allDigits(skip) || !Number.isSafeInteger(Number(skip))) voice.fatal(`bad offset: ${skip}`);
  const all = !has('b') && !has('e') && !has('h');
  const options = {
    envelope: all || has('e'), header: all || has('h'), body: all || has('b'), offsets: has('o'), decimalTypes: has('d'),
    names: has('f'), raw: has('r'), verbose: has('v'), skip: Number(skip),
  };
  return { options, operands, directory: value('c'), byId: has('q') };
}

function openFile(path: string, voice: Voice): ShownFile {
  try {
    const fd = openSync(Buffer.from(path, 'latin1'), 'r');
    return { fd, path, stream: !fstatSync(fd).isFile() };
  } catch (error) {
    return voice.fatal(`open ${path}: ${errorText(error)}`);
  }
}

/** Looks for a queue id in all queues, twice: a message may just be moving. */
function finder(config: Configuration, voice: Voice): (queueId: string) => ShownFile {
  const paths = new QueuePaths({ hashQueueNames: config.get('hash_queue_names'), hashQueueDepth: config.get('hash_queue_depth') });
  const directory = config.get('queue_directory');
  try {
    process.chdir(directory);
  } catch (error) {
    voice.fatal(`chdir ${directory}: ${errorText(error)}`);
  }
  return (queueId) => {
    if (!queueIdOk(queueId)) voice.fatal(`bad mail queue ID: ${queueId}`);
    let last: unknown;
    for (const queue of [...searched, ...searched]) {
      const path = paths.path(queue, queueId);
      try {
        return { fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), path, stream: false };
      } catch (error) {
        last = error;
      }
    }
    for (const message of journaled(paths)) if (message.queueId === queueId) return { fd: descriptorOf(message.image()), path: `journal/${queueId}`, stream: false };
    return voice.fatal(`open queue file ${queueId}: ${errorText(last)}`);
  };
}

/** A file without a name that holds these bytes. */
function descriptorOf(bytes: Buffer): number {
  const directory = mkdtempSync(`${tmpdir()}/postcat-`);
  const fd = openSync(`${directory}/message`, 'wx+', 0o600);
  rmSync(directory, { recursive: true });
  writeSync(fd, bytes, 0, bytes.length, 0);
  return fd;
}

async function showFile(file: ShownFile, options: ShowOptions, voice: Voice, out: CommandStreams['stdout']): Promise<void> {
  const head = firstBytes(file, options.skip, voice);
  if (head === undefined) return;
  if (options.skip === 0 && head.length > 0 && !plausible(head[0]!)) return voice.warning(`${file.path}: input is not a valid queue file`);
  let text = '';
  // What precedes a complaint is seen before it.
  const flush = (): boolean => {
    const taken = text === '' || out.write(Buffer.from(text, 'latin1'));
    text = '';
    return taken;
  };
  const told = {
    warning: (line: string) => void (flush(), voice.warning(line)),
    fatal: (line: string): never => (flush(), voice.fatal(line)),
  };
  for (const piece of new FileShow(file.stream && options.skip === 0 ? { ...file, head } : file, options, told).show()) {
    text += piece;
    if (text.length >= portion && !flush() && 'once' in out) await once(out as NodeJS.WriteStream, 'drain');
  }
  flush();
}

/** The first byte of the file; of a stream that is to be skipped into, what is skipped. Undefined, and said: it cannot be read (a directory). */
function firstBytes({ fd, path, stream }: ShownFile, skip: number, voice: Voice): Buffer | undefined {
  const bytes = Buffer.alloc(stream ? Math.max(skip, 1) : 1);
  let length = 0;
  try {
    for (let count = 1; count > 0 && length < bytes.length; length += count) count = readSync(fd, bytes, length, bytes.length - length, stream ? null : 0);
  } catch (error) {
    voice.warning(`close ${path}: ${errorText(error)}`);
    return undefined;
  }
  return bytes.subarray(0, length);
}
