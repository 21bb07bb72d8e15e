/** The queue of a process: files, and the journal in front of them where cleanup and the queue manager work side by side. */
import type { Configuration } from '../config/configuration.ts';
import type { Log } from '../log/log.ts';
import { storeFor } from '../queue/file-store.ts';
import { JournalStore } from '../queue/journal-store.ts';
import type { QueueStore } from '../queue/store.ts';
import type { Clock } from './clock.ts';
import type { ServiceOrder } from './order.ts';

const parameters = [
  'hash_queue_names', 'hash_queue_depth', 'enable_long_queue_ids', 'journal_enable', 'journal_segment_size', 'journal_size_limit',
  'journal_message_size_limit', 'journal_message_count_limit', 'journal_delay_limit',
] as const;

export function queueOf(services: readonly ServiceOrder[], config: Configuration, clock: Clock, log: Log): QueueStore {
  const view = config.view(parameters);
  const runs = (program: string): boolean => services.some(({ row }) => row.program === program);
  if (!view.journal_enable || !runs('cleanup') || !runs('qmgr')) return storeFor(view, '', () => clock.now());
  return new JournalStore({
    hashQueueNames: view.hash_queue_names, hashQueueDepth: view.hash_queue_depth, longQueueIds: view.enable_long_queue_ids,
    now: () => clock.now(), clock,
    warn: (text) => log.warning(text),
    removed: (queueId) => log.info(`${queueId}: removed`),
    journal: {
      segmentSize: view.journal_segment_size, sizeLimit: view.journal_size_limit, messageSizeLimit: view.journal_message_size_limit,
      messageCountLimit: view.journal_message_count_limit, delayLimit: view.journal_delay_limit,
    },
  });
}
