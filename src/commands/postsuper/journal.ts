/**
 * postsuper works on files: what is in the journal becomes files first. A running queue manager is asked to make them; what a mail
 * system that died has left, we make ourselves. Messages that are being delivered just now stay where they are.
 */
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Configuration } from '../../config/configuration.ts';
import { journaled } from '../../queue/journal-listing.ts';
import { JournalStore } from '../../queue/journal-store.ts';
import { systemClock } from '../../server/clock.ts';
import type { Workplace } from './places.ts';

/** How often, and at what distance in milliseconds, we look whether it was done. */
const looks = 20;
const distance = 100;
const triggerTimeout = 1_000;

export async function fileJournal(config: Configuration, { paths, voice }: Pick<Workplace, 'paths' | 'voice'>): Promise<void> {
  const isEmpty = (): boolean => journaled(paths).next().done === true;
  if (isEmpty()) return;
  const view = config.view(['hash_queue_names', 'hash_queue_depth', 'enable_long_queue_ids', 'journal_segment_size', 'queue_service_name']);
  const store = new JournalStore({
    hashQueueNames: view.hash_queue_names, hashQueueDepth: view.hash_queue_depth, longQueueIds: view.enable_long_queue_ids,
    clock: systemClock, warn: (text) => voice.warning(text), removed: () => undefined,
    journal: { segmentSize: view.journal_segment_size, sizeLimit: 0, messageSizeLimit: 0, messageCountLimit: 0, delayLimit: 0 },
  });
  await trigger(`public/${view.queue_service_name}`);
  for (let look = 0; look < looks && !isEmpty(); look++) {
    if (look > 0) await pause(distance);
    await store.recover();
  }
  await store.retire(true);
}

/** Nobody there is an answer too. */
function trigger(path: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect({ path });
    socket.setTimeout(triggerTimeout, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.on('data', () => undefined);
    socket.end('J', 'latin1');
  });
}
