/**
 * A queue directory with a main.cf beside it, for tests: made below the system's temporary directory, removed when the test ends.
 *
 * As root everything belongs to an ordinary account (commands refuse to work on a queue as root), else to who runs the test.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { getpwnam } from '../host/identity.ts';
import { emptyEnvelope, writeEnvelope, writeExtracted, type Envelope, type EnvelopeRecipient } from '../message/envelope.ts';
import { encodeRecord, recordType, renderSize } from '../message/record.ts';
import { RecordWriter } from '../message/record-writer.ts';
import { recordsFromContent } from './content-records.ts';
import { createFileStore } from './file-store.ts';
import type { MessageWriter, QueueName, QueueStore } from './store.ts';

const directories = ['maildrop', 'incoming', 'active', 'deferred', 'hold', 'corrupt', 'bounce', 'defer', 'trace', 'flush', 'saved', 'public', 'private', 'pid'];
const ownerName = 'nobody';

export interface SampleMessage {
  readonly sender?: string;
  readonly recipients?: readonly (string | Partial<EnvelopeRecipient>)[];
  readonly content?: string;
  /** Seconds. */
  readonly arrival?: number;
}

export class SampleQueue {
  readonly directory: string;
  readonly root: string;
  readonly etc: string;
  readonly store: QueueStore;
  readonly #owner: { uid: number; gid: number } | undefined;

  constructor(t: { after(run: () => void): void }, options: { longQueueIds?: boolean; mainCf?: string } = {}) {
    const longQueueIds = options.longQueueIds ?? false;
    this.directory = fs.mkdtempSync(join(os.tmpdir(), 'postern-queue-'));
    t.after(() => fs.rmSync(this.directory, { recursive: true, force: true }));
    fs.chmodSync(this.directory, 0o755);
    this.root = join(this.directory, 'queue');
    this.etc = join(this.directory, 'etc');
    for (const name of ['etc', 'queue', ...directories.map((queue) => `queue/${queue}`)]) fs.mkdirSync(join(this.directory, name), 0o755);
    const asRoot = process.getuid!() === 0;
    this.#owner = asRoot ? getpwnam(ownerName) : undefined;
    fs.writeFileSync(join(this.etc, 'main.cf'), `queue_directory = ${this.root}
mail_owner = ${asRoot ? ownerName : os.userInfo().username}
maillog_file = ${this.directory}/log
maillog_file_prefixes = ${this.directory}
myhostname = host.example.test
enable_long_queue_ids = ${longQueueIds ? 'yes' : 'no'}
${options.mainCf ?? ''}`);
    this.store = createFileStore({ root: this.root, hashQueueNames: 'deferred, defer', hashQueueDepth: 1, longQueueIds });
    this.own();
  }

  /** Give everything to the mail system's owner. */
  own(): void {
    if (this.#owner === undefined) return;
    for (const name of fs.readdirSync(this.root, { recursive: true })) fs.lchownSync(join(this.root, String(name)), this.#owner.uid, this.#owner.gid);
  }

  /** A complete message in this queue; its queue id. */
  async put(queue: QueueName, message: SampleMessage = {}): Promise<string> {
    const writer = this.store.create();
    writeSample(writer, message);
    await writer.commit('incoming');
    if (queue !== 'incoming') this.store.move(writer.queueId, 'incoming', queue);
    this.own();
    return writer.queueId;
  }

  /** A file below the queue directory, with the directories above it. */
  write(path: string, text: string | Buffer, mode = 0o700): void {
    fs.mkdirSync(join(this.root, path, '..'), { recursive: true, mode: 0o700 });
    fs.writeFileSync(join(this.root, path), text, { mode });
    this.own();
  }

  /** All files below the queue directory, sorted. */
  files(): string[] {
    return fs.readdirSync(this.root, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(this.root.length + 1))
      .sort();
  }

  log(): string {
    return fs.existsSync(`${this.directory}/log`) ? fs.readFileSync(`${this.directory}/log`, 'latin1') : '';
  }
}

/** What cleanup(8) does, in short. Gives back the envelope as it was written. */
export function writeSample(writer: MessageWriter, message: SampleMessage = {}): Envelope {
  const { sender = 'sender@example.test', recipients = ['one@example.test', 'two@example.test'], content = 'Subject: sample\n\nhello\n', arrival = 1_700_000_000 } = message;
  const list = recipients.map((recipient): EnvelopeRecipient => ({
    address: '', originalAddress: '', dsnOrcpt: '', dsnNotify: 0, offset: 0, done: false, ...(typeof recipient === 'string' ? { address: recipient } : recipient),
  }));
  const envelope: Envelope = { ...emptyEnvelope(), arrivalTime: { seconds: arrival, microseconds: 5 }, createTime: arrival, sender, recipients: list };
  const records = new RecordWriter();
  const dataOffset = writeEnvelope(records, envelope);
  for (const piece of records.take()) writer.write(piece);
  for (const piece of recordsFromContent(Buffer.from(content, 'latin1'), { lineEnd: 'lf' })) writer.write(piece);
  const contentSize = writer.offset - dataOffset;
  const tail = new RecordWriter(writer.offset);
  writeExtracted(tail, envelope);
  for (const piece of tail.take()) writer.write(piece);
  const size = { contentSize, dataOffset, recipientCount: list.length, queueFlags: 0, contentLength: content.length, sendOptions: 0 };
  writer.patch(0, encodeRecord(recordType.size, renderSize(size)));
  return { ...envelope, size };
}
