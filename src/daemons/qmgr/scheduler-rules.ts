/** What the scheduler asks those around it, and what they have decided for it. */
import type { TransportRules } from './destination.ts';

/** How many deliveries of a transport make sense at once: in all, and of mail that was tried before. At least one each. */
export interface Room { readonly all: number; readonly again: number }

/** What is said of a destination at which much of the active queue waits. */
export interface Crowd { readonly transport: string; readonly queue: string; readonly length: number; readonly busy: number; readonly window: number; readonly alone: boolean }

export interface SchedulerRules {
  transport(name: string): TransportRules;
  /** Asked whenever one could begin. Say `roomier` when it grows otherwise than by a delivery's end. */
  room(transport: string): Room;
  /** minimal_backoff_time in milliseconds: how long a dead destination stays dead. */
  readonly deadTime: number;
  /** transport_retry_time in milliseconds: how long a transport whose agent is not there is left alone. */
  readonly retryTime: number;
  /** Dead destinations that are remembered; beyond, the one that has been dead for longest is tried again. */
  readonly deadLimit: number;
  /** More entries than that for one destination are worth a word, but not more often. Milliseconds. */
  readonly crowd?: { readonly limit: number; readonly pause: number; readonly tell: (crowd: Crowd) => void };
  /** destination_concurrency_feedback_debug */
  readonly debug?: ((text: string) => void) | undefined;
}
