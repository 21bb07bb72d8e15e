/**
 * postsuper(1) on one message, named by its queue id: delete, requeue, hold, release, expire.
 *
 * A message may move from queue to queue while we look for it, so the queues are looked through twice. Logs about a message
 * go before it, and only when it is there: its queue id may come again.
 */
import { lutimesSync } from 'node:fs';
import { errorText } from '../../host/libc.ts';
import { readyFile } from '../../queue/open-ok.ts';
import { queueIdOk } from '../../queue/queue-id.ts';
import { expireFile, removeFile, renameFile } from './file-changes.ts';
import { logQueues, placeOf, type Workplace } from './places.ts';

type Operation = (queueId: string, at: Workplace) => void;

interface Search {
  /** Queues this is not done in. Maildrop's content is not sanitized and must not get into other queues. */
  readonly not: readonly string[];
  readonly act: (path: string, queueId: string, at: Workplace) => boolean;
  readonly said: string;
  readonly count: 'deleted' | 'requeued' | 'held' | 'expired';
}

function searching({ not, act, said, count }: Search): Operation {
  return (queueId, at) => {
    if (!checked(queueId, at)) return;
    for (let attempt = 0; attempt < 2; attempt++) {
      for (const queue of at.queues) {
        if (not.includes(queue) || !placeOf(queue, at.voice).messages) continue;
        const file = readyFile(at.paths, queue, queueId, (text) => at.voice.warning(text));
        if (!file || !act(file.path, queueId, at)) continue;
        at.voice.info(`${queueId}: ${said}`);
        at.counts[count]++;
        return;
      }
    }
  };
}

function checked(queueId: string, { voice }: Workplace): boolean {
  if (queueIdOk(queueId)) return true;
  voice.warning(`invalid mail queue id: ${queueId}`);
  return false;
}

export const deleteOne = searching({
  not: [], said: 'removed', count: 'deleted',
  act: (path, queueId, { paths, voice }) => {
    for (const log of logQueues) removeFile(paths.path(log, queueId), voice);
    return removeFile(path, voice);
  },
});

/** Logs stay: qmgr may be about to return the message. */
export const requeueOne = searching({
  not: ['maildrop'], said: 'requeued', count: 'requeued',
  act: (path, queueId, { paths, voice }) => {
    const target = paths.path('maildrop', queueId);
    if (!renameFile(path, target, voice)) return false;
    try {
      lutimesSync(target, Date.now() / 1000, Date.now() / 1000);
    } catch (error) {
      voice.warning(`${target}: reset time stamps: ${errorText(error)}`);
    }
    return true;
  },
});

export const holdOne = searching({
  not: ['maildrop', 'hold'], said: 'placed on hold', count: 'held',
  act: (path, queueId, { paths, voice }) => renameFile(path, paths.path('hold', queueId), voice),
});

export const expireOne = searching({
  not: ['maildrop'], said: 'expired', count: 'expired',
  act: (path, _, { voice }) => expireFile(path, voice),
});

export const releaseOne: Operation = (queueId, at) => {
  if (!checked(queueId, at) || !at.queues.includes('hold')) return;
  const file = readyFile(at.paths, 'hold', queueId, (text) => at.voice.warning(text));
  if (!file || !renameFile(file.path, at.paths.path('deferred', queueId), at.voice)) return;
  at.voice.info(`${queueId}: released from hold`);
  at.counts.released++;
};

export const expireAndReleaseOne: Operation = (queueId, at) => {
  expireOne(queueId, at);
  releaseOne(queueId, at);
};
