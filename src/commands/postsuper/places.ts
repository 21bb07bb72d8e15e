/**
 * The directories postsuper(1) knows: which hold messages, which hold logs about messages, which have subdirectories.
 */
import type { Configuration } from '../../config/configuration.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import type { Progress } from '../../text/progress.ts';
import type { Voice } from '../voice.ts';

export interface Place {
  readonly name: string;
  /** Messages, rather than logs about messages. */
  readonly messages: boolean;
  /** May it have subdirectories? Not maildrop: strangers who can write there could lead us elsewhere. */
  readonly recurse: boolean;
}

const places: readonly Place[] = [
  ...['maildrop', 'incoming', 'active', 'deferred', 'hold'].map((name) => ({ name, messages: true, recurse: name !== 'maildrop' })),
  ...['trace', 'defer', 'bounce', 'flush'].map((name) => ({ name, messages: false, recurse: true })),
];

/** Logs first: they must be in the right place before a message, and with it its logs, gets another name. */
export const defaultQueues: readonly string[] = ['defer', 'bounce', 'maildrop', 'incoming', 'active', 'deferred', 'hold', 'flush'];
export const logQueues = ['bounce', 'defer', 'trace'] as const;

/** How often what was done; the report at the end. */
export interface Counts {
  requeued: number;
  held: number;
  released: number;
  deleted: number;
  expired: number;
  /** Names made to fit the inode number. */
  fixed: number;
  inodeMismatches: number;
  positionMismatches: number;
}

/** What every operation works with. */
export interface Workplace {
  readonly paths: QueuePaths;
  readonly voice: Voice;
  readonly longQueueIds: boolean;
  readonly counts: Counts;
  readonly queues: readonly string[];
  /** Of files looked at, and messages named. */
  readonly progress: Pick<Progress, 'step'>;
}

export function workplace(config: Configuration, voice: Voice, queues: readonly string[], progress: Workplace['progress']): Workplace {
  return {
    paths: new QueuePaths({ hashQueueNames: config.get('hash_queue_names'), hashQueueDepth: config.get('hash_queue_depth') }),
    voice,
    longQueueIds: config.get('enable_long_queue_ids'),
    counts: { requeued: 0, held: 0, released: 0, deleted: 0, expired: 0, fixed: 0, inodeMismatches: 0, positionMismatches: 0 },
    queues,
    progress,
  };
}

export function placeOf(name: string, voice: Voice): Place {
  return places.find((place) => place.name === name) ?? voice.fatal(`invalid directory name: ${name}`);
}
