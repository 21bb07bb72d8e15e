/** A queue with a journal in a directory of its own, for tests: with a clock that is told, and messages of known recipients. */
import fs from 'node:fs';
import os from 'node:os';
import type { TestContext } from 'node:test';
import { emptyEnvelope, emptySize, writeEnvelope, writeExtracted } from '../message/envelope.ts';
import { encodeRecord, recordType, renderSize } from '../message/record.ts';
import { RecordWriter } from '../message/record-writer.ts';
import { JournalStore } from './journal-store.ts';
import type { MessageWriter, QueueName, QueueStore } from './store.ts';

export const queues: readonly QueueName[] = ['incoming', 'active', 'deferred', 'hold', 'corrupt'];

export interface Scene {
  readonly root: string;
  readonly store: JournalStore;
  readonly arrived: string[];
  readonly warnings: string[];
  readonly removed: string[];
  /** Runs what waits for its time. */
  pass(seconds: number): Promise<void>;
  files(queue: QueueName): string[];
}

export function directory(t: TestContext): string {
  const root = fs.mkdtempSync(`${os.tmpdir()}/journal-store-`);
  t.after(() => fs.rmSync(root, { recursive: true }));
  for (const queue of [...queues, 'journal', 'bounce', 'defer', 'trace']) fs.mkdirSync(`${root}/${queue}`);
  return root;
}

export function open(root: string, changes: { messageSizeLimit?: number; messageCountLimit?: number; delayLimit?: number } = {}): Scene {
  let now = Date.now();
  let timers: { at: number; run: () => void }[] = [];
  const [warnings, removed, arrived]: [string[], string[], string[]] = [[], [], []];
  const store = new JournalStore({
    root, hashQueueNames: '', hashQueueDepth: 1, longQueueIds: false,
    clock: {
      now: () => now,
      after(milliseconds, run) {
        const timer = { at: now + milliseconds, run };
        timers.push(timer);
        return { cancel: () => { timers = timers.filter((other) => other !== timer); } };
      },
    },
    warn: (text) => void warnings.push(text), removed: (queueId) => void removed.push(queueId),
    journal: { segmentSize: 1 << 20, sizeLimit: 8 << 20, messageSizeLimit: 100_000, messageCountLimit: 100, delayLimit: 5, ...changes },
  });
  return {
    root, store, arrived, warnings, removed,
    async pass(seconds) {
      now += seconds * 1000;
      for (const timer of timers.filter(({ at }) => at <= now)) {
        timers = timers.filter((other) => other !== timer);
        timer.run();
      }
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
    },
    files: (queue) => fs.readdirSync(`${root}/${queue}`).sort(),
  };
}

/** A store that serves, with a segment ready. */
export async function serving(root: string, changes: Parameters<typeof open>[1] = {}): Promise<Scene> {
  const scene = open(root, changes);
  await scene.store.recover();
  scene.store.serve({ arrived: (queueId) => void scene.arrived.push(queueId), filed: () => undefined });
  await scene.store.ready();
  return scene;
}

function write(writer: MessageWriter, text: string, addresses: readonly string[]): number[] {
  const records = new RecordWriter();
  const recipients = addresses.map((address) => ({ address, originalAddress: '', dsnOrcpt: '', dsnNotify: 0, offset: 0, done: false }));
  const envelope = { ...emptyEnvelope(), sender: 'me@x.test', arrivalTime: writer.arrival, recipients };
  const dataOffset = writeEnvelope(records, envelope);
  for (const line of text.split('\n')) records.put(recordType.normal, line);
  const contentSize = writeExtracted(records, envelope) - dataOffset;
  for (const piece of records.take()) writer.write(piece);
  writer.patch(0, encodeRecord(recordType.size, renderSize({ ...emptySize, contentSize, dataOffset, recipientCount: addresses.length, contentLength: contentSize })));
  return recipients.map(({ offset }) => offset);
}

export async function put(store: QueueStore, text = 'hello', addresses: readonly string[] = ['a@x', 'b@x'], queue: 'incoming' | 'hold' = 'incoming') {
  const writer = store.create();
  const offsets = write(writer, text, addresses);
  return { queueId: writer.queueId, announced: await writer.commit(queue, { recipients: offsets, envelope: undefined }), offsets };
}
