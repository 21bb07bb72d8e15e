/**
 * Is there room for another message? queue_minfree and message_size_limit against what the file system has left.
 */
import { freeSpace } from '../host/process.ts';

/** Times message_size_limit that must be free: a message is in the queue twice for a moment (requeued, forwarded). */
const spaceFactor = 1.5;

export interface SpaceParameters {
  readonly queue_minfree: number;
  readonly message_size_limit: number;
}

/** Bytes that are free; `enough` is false when no message should be taken (452 4.3.1 Insufficient system storage). */
export function queueSpace({ queue_minfree, message_size_limit }: SpaceParameters, path = '.'): { enough: boolean; free: number } {
  const free = freeSpace(path);
  return { free, enough: queue_minfree < free && message_size_limit * spaceFactor < free };
}
