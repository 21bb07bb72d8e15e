/**
 * What is in the journal's segments, for programs that only look: mailq while the mail system is down or serves it from another
 * process, postcat. A message that is a file too (its process died, or is just making it one) is left out.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { scanSegment } from './journal/recover.ts';
import { recordType } from '../message/record.ts';
import type { JournaledMessage } from './listing.ts';
import type { QueuePaths } from './queue-paths.ts';

const queues = ['incoming', 'active', 'deferred', 'hold', 'corrupt'] as const;

/** Throws errors of the file system other than absence. */
export function* journaled(paths: QueuePaths): Generator<JournaledMessage, void, undefined> {
  for (const name of segmentNames(paths.root)) {
    const bytes = contentOf(`${paths.root}journal/${name}`);
    for (const { queueId, image, recipients } of bytes === undefined ? [] : scanSegment(bytes).entries) {
      if (queues.some((queue) => existsSync(paths.path(queue, queueId)))) continue;
      if (recipients.every((offset) => image[offset] === recordType.done)) continue;
      yield { queueId, active: false, image: () => image };
    }
  }
}

function segmentNames(root: string): string[] {
  try {
    return readdirSync(`${root}journal`).filter((name) => /^[0-9A-F]{8}$/.test(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function contentOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
