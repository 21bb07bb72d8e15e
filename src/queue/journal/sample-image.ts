/** Queue file images, a clock and a directory for tests of the journal. */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import type { Envelope } from '../../message/envelope.ts';
import { writeSample, type SampleMessage } from '../sample-queue.ts';
import type { MessageWriter } from '../store.ts';

export interface SampleImage {
  readonly image: Buffer;
  readonly recipients: number[];
  readonly envelope: Envelope;
}

/** The queue file that cleanup would write. */
export function sampleImage(message: SampleMessage = {}): SampleImage {
  const pieces: Buffer[] = [];
  const patches: { offset: number; bytes: Buffer }[] = [];
  let length = 0;
  const writer = {
    get offset() {
      return length;
    },
    write(bytes: Buffer) {
      pieces.push(bytes);
      length += bytes.length;
    },
    patch(offset: number, bytes: Buffer) {
      patches.push({ offset, bytes });
    },
  };
  const envelope = writeSample(writer as unknown as MessageWriter, message);
  const image = Buffer.concat(pieces);
  for (const { offset, bytes } of patches) bytes.copy(image, offset);
  return { image, envelope, recipients: envelope.recipients.map(({ offset }) => offset) };
}

/** Hours pass when told to. */
export class SampleClock {
  time = 1_700_000_000_000;
  #timers: { at: number; run: () => void }[] = [];

  now(): number {
    return this.time;
  }

  after(milliseconds: number, run: () => void): { cancel(): void } {
    const timer = { at: this.time + milliseconds, run };
    this.#timers.push(timer);
    return { cancel: () => { this.#timers = this.#timers.filter((other) => other !== timer); } };
  }

  pass(milliseconds: number): void {
    this.time += milliseconds;
    const due = this.#timers.filter(({ at }) => at <= this.time);
    this.#timers = this.#timers.filter(({ at }) => at > this.time);
    for (const { run } of due) run();
  }
}

/** A directory that is removed after the test. */
export function sampleRoot(t: { after(run: () => void): void }): string {
  const root = fs.mkdtempSync(join(os.tmpdir(), 'postern-journal-'));
  t.after(() => fs.rmSync(root, { recursive: true, force: true }));
  return root;
}
