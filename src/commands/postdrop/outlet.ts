/**
 * Where a local user's message goes, record by record: to pickup(8) through its socket, or into the maildrop.
 *
 * Through the socket when the mail system is up, so that no program needs rights that its user has not; into the maildrop when
 * it is down, if this user may write there. `finish` answers status 0 only when the message is durable.
 */
import { cleanupStatus } from '../../ipc/cleanup.ts';
import { SubmissionClient, type SubmissionOutcome } from '../../ipc/submission.ts';
import { sendTrigger, wakeUp } from '../../ipc/trigger.ts';
import type { Configuration } from '../../config/configuration.ts';
import { recordType } from '../../message/record.ts';
import { MaildropFile } from '../../queue/maildrop-file.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import { QueueTrouble } from '../../queue/store.ts';
import { timeValue } from '../../text/time.ts';
import { NoOutlet, type Outlet } from '../../submission/outlet.ts';
import type { Voice } from '../voice.ts';

const saved: SubmissionOutcome = { status: cleanupStatus.ok, reason: '' };

/** @param voice hears postdrop's warnings. The working directory is the queue directory. Rejects with NoOutlet. */
export async function openOutlet(config: Configuration, voice: Voice): Promise<Outlet> {
  return await throughSocket(config) ?? intoMaildrop(config, voice);
}

async function throughSocket(config: Configuration): Promise<Outlet | undefined> {
  const path = `public/${config.get('pickup_service_name')}`;
  const client = await SubmissionClient.begin(path, config.get('trigger_timeout') * 1000, config.get('ipc_timeout') * 1000);
  if (client === undefined) return undefined;
  const { status, reason, queueId } = client.welcome;
  if (status === cleanupStatus.ok) return new SocketOutlet(client, queueId);
  client.abort();
  return status & cleanupStatus.denied ? new ClosedOutlet({ status, reason }) : undefined;
}

class SocketOutlet implements Outlet {
  readonly queueId: string;
  readonly #client: SubmissionClient;

  constructor(client: SubmissionClient, queueId: string) {
    this.#client = client;
    this.queueId = queueId;
  }

  put(type: number, payload: string | Buffer = ''): void {
    this.#client.put(type, payload);
  }

  drained(): Promise<void> {
    return this.#client.drained();
  }

  finish(): Promise<SubmissionOutcome> {
    return this.#client.finish();
  }

  abort(): void {
    this.#client.abort();
  }
}

/** The answer is known before the question was asked. */
class ClosedOutlet implements Outlet {
  readonly queueId = '';
  readonly #outcome: SubmissionOutcome;

  constructor(outcome: SubmissionOutcome) {
    this.#outcome = outcome;
  }

  put(): void {}

  async drained(): Promise<void> {}

  async finish(): Promise<SubmissionOutcome> {
    return this.#outcome;
  }

  abort(): void {}
}

/** A way for users who may write to the maildrop. Throws NoOutlet. */
export function intoMaildrop(config: Configuration, voice: Voice): Outlet {
  try {
    return new MaildropOutlet(config, voice);
  } catch (error) {
    if (!(error instanceof QueueTrouble)) throw error;
    const denied = error.code === 'EACCES' || error.code === 'EPERM';
    throw new NoOutlet(denied ? `the mail system does not answer, and this user may not write to ${config.get('queue_directory')}/maildrop` : error.message, denied);
  }
}

class MaildropOutlet implements Outlet {
  readonly queueId: string;
  readonly #config: Configuration;
  readonly #voice: Voice;
  readonly #file: MaildropFile;
  #trouble: QueueTrouble | undefined;

  constructor(config: Configuration, voice: Voice) {
    this.#config = config;
    this.#voice = voice;
    const now = (): number => performance.timeOrigin + performance.now();
    this.#file = MaildropFile.create({
      paths: new QueuePaths({ hashQueueNames: config.get('hash_queue_names'), hashQueueDepth: config.get('hash_queue_depth') }),
      longQueueIds: config.get('enable_long_queue_ids'), sizeLimit: config.get('message_size_limit'), now,
    });
    this.queueId = this.#file.queueId;
    const { seconds, microseconds } = timeValue(now());
    this.put(recordType.time, `${seconds} ${microseconds}`);
  }

  put(type: number, payload: string | Buffer = ''): void {
    if (this.#trouble === undefined) this.#attempt(() => this.#file.put(type, payload));
  }

  async drained(): Promise<void> {}

  async finish(): Promise<SubmissionOutcome> {
    if (this.#trouble === undefined) this.#attempt(() => this.#file.commit());
    if (this.#trouble !== undefined) return this.#failed(this.#trouble);
    await this.#wakePickup();
    return saved;
  }

  abort(): void {
    this.#file.discard();
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof QueueTrouble)) throw error;
      this.#trouble = error;
    }
  }

  #failed({ code, message }: QueueTrouble): SubmissionOutcome {
    this.#file.discard();
    this.#voice.warning(`uid=${process.getuid!()}: ${message}`);
    return { status: code === 'EFBIG' ? cleanupStatus.size : cleanupStatus.write, reason: '' };
  }

  /** A mail system that is down finds the file when it starts. */
  async #wakePickup(): Promise<void> {
    const path = `public/${this.#config.get('pickup_service_name')}`;
    try {
      await sendTrigger(path, wakeUp, this.#config.get('trigger_timeout') * 1000);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') this.#voice.warning(`unable to look up ${path}: No such file or directory`);
    }
  }
}
