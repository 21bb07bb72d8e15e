/**
 * postdrop(1): takes a message as records from standard input, checks them, and hands it to the mail system; says on standard
 * output under which queue id and with what outcome.
 *
 * Speaks as Postfix's does, for programs that use it as sendmail(1) would, but runs with its user's rights only. The exit status is
 * the outcome's status; input that ends before the end record cancels the message, with status 0.
 */
import { cleanupStatus } from '../../ipc/cleanup.ts';
import { encode } from '../../ipc/shape.ts';
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { errorText } from '../../host/libc.ts';
import { RecordReader } from '../../message/record-reader.ts';
import { recordText, recordType, type QueueRecord } from '../../message/record.ts';
import { SubmissionFilter } from '../../message/submission.ts';
import { openSubmitters, type Submitters } from '../../tables/submitters.ts';
import type { TableContext } from '../../tables/table.ts';
import { getopt } from '../../text/getopt.ts';
import { byteStrings, runCommand, Voice, type Output } from '../voice.ts';
import { NoOutlet, type Outlet } from '../../submission/outlet.ts';
import { senderTrouble } from '../../submission/sender.ts';
import { openOutlet } from './outlet.ts';

export interface SubmissionStreams {
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly stdout: Output;
  readonly stderr: Output;
}

interface Setup {
  readonly uid: number;
  readonly voice: Voice;
  readonly submitters: Submitters;
  readonly lineLimit: number;
}

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: SubmissionStreams): Promise<number> {
  const voice = new Voice('postdrop', streams.stderr);
  return runCommand(voice, () => run(byteStrings(argv), environment, streams, voice));
}

async function run(argv: string[], environment: NodeJS.ProcessEnv, streams: SubmissionStreams, voice: Voice): Promise<number> {
  process.umask(0o022);
  const { found, trouble } = getopt(argv, 'c:rv');
  if (trouble !== undefined) {
    voice.complain(trouble);
    voice.fatal('usage: postdrop [-c config_dir] [-v]');
  }
  const config = Configuration.load(configDirectory(found.findLast(([letter]) => letter === 'c')?.[1], environment), { environment });
  voice.attach(config);
  enter(config.get('queue_directory'), voice);
  const uid = process.getuid!();
  const submitters = openSubmitters(commandTables(config, voice), undefined);
  const name = await submitters.refused(uid);
  if (name !== undefined) voice.fatal(`User ${name}(${uid}) is not allowed to submit mail`);
  const outlet = await outletFor(config, voice);
  say(streams.stdout, { protocol: 'text', queue_id: 'text' }, { protocol: 'postdrop_protocol', queue_id: outlet.queueId });
  try {
    return await drop(streams, outlet, { uid, voice, submitters, lineLimit: config.get('line_length_limit') });
  } catch (error) {
    outlet.abort();
    throw error;
  }
}

function enter(directory: string, voice: Voice): void {
  try {
    process.chdir(directory);
  } catch (error) {
    voice.fatal(`chdir ${directory}: ${errorText(error)}`);
  }
}

/** Tables that a command opens. */
export function commandTables(config: Configuration, voice: Voice): TableContext {
  return {
    parameter: (name) => config.text(name),
    warn: (text) => voice.warning(text),
    error: (text) => voice.fatal(text),
  };
}

async function outletFor(config: Configuration, voice: Voice): Promise<Outlet> {
  try {
    return await openOutlet(config, voice);
  } catch (error) {
    if (error instanceof NoOutlet) voice.fatal(error.message);
    throw error;
  }
}

function say(out: Output, shape: Parameters<typeof encode>[0], value: object): void {
  out.write(Buffer.from(encode(shape, value), 'latin1'));
}

async function drop({ stdin, stdout }: SubmissionStreams, outlet: Outlet, setup: Setup): Promise<number> {
  const intake = new Intake(outlet, setup);
  const reader = new RecordReader({ maximumLength: setup.lineLimit });
  for await (const chunk of stdin) {
    reader.feed(Buffer.from(chunk));
    if (await intake.records(reader)) {
      const outcome = await intake.outcome();
      say(stdout, { status: 'number', reason: 'text' }, outcome);
      return outcome.status;
    }
    await outlet.drained();
  }
  reader.end();
  await intake.records(reader);
  outlet.abort();
  return 0;
}

/** Records on their way through the checks. */
class Intake {
  readonly #outlet: Outlet;
  readonly #setup: Setup;
  readonly #filter = new SubmissionFilter();
  #status = 0;
  #reason = '';

  constructor(outlet: Outlet, setup: Setup) {
    this.#outlet = outlet;
    this.#setup = setup;
  }

  /** True: the end record came. */
  async records(reader: RecordReader): Promise<boolean> {
    const { voice, uid } = this.#setup;
    for (let step = reader.next(); step.kind !== 'more' && step.kind !== 'end-of-input'; step = reader.next()) {
      if (step.kind === 'bad') voice.warning(`stdin: ${step.reason}`);
      if (step.kind !== 'record') return voice.fatal(`uid=${uid}: malformed input`);
      if (this.#status === 0) await this.#take(step.record);
      if (this.#filter.ended || (this.#status !== 0 && step.record.type === recordType.end)) return true;
    }
    return false;
  }

  async outcome(): Promise<{ status: number; reason: string }> {
    if (this.#status === 0 && !this.#filter.isComplete) this.#status = cleanupStatus.bad;
    if (this.#status === 0) return this.#outlet.finish();
    this.#outlet.abort();
    return { status: this.#status, reason: this.#reason };
  }

  async #take(record: QueueRecord): Promise<void> {
    const { voice, uid } = this.#setup;
    const step = this.#filter.take(record);
    if (step.kind === 'refuse') voice.fatal(`uid=${uid}: ${step.reason}`);
    if (step.kind === 'drop' && step.warning !== undefined) voice.warning(`uid=${uid}: ${step.warning}`);
    if (step.kind !== 'keep') return;
    if (step.type === recordType.sender) await this.#checkSender(recordText(record));
    this.#outlet.put(step.type, step.payload);
  }

  async #checkSender(sender: string): Promise<void> {
    const trouble = await senderTrouble(this.#setup.submitters, this.#setup.uid, sender);
    if (trouble === undefined) return;
    this.#status = trouble.status;
    this.#reason = trouble.reason;
  }
}
