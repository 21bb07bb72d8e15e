/** How the number of deliveries at once to a destination follows from success and failure. qmgr(8), "concurrency control". */
import type { Destination, TransportRules } from './destination.ts';

export interface Feedback {
  (window: number): number;
}

/** postconf(5) *_concurrency_*_feedback: a number, number / number, number / concurrency, or number / sqrt_concurrency. Undefined: none of these, or not within 0 and 1. */
export function parseFeedback(text: string): Feedback | undefined {
  const parts = /^[ \t]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)[ \t]*(?:\/[ \t]*([^ \t]{1,30})[ \t]*)?$/i.exec(text);
  if (parts === null) return undefined;
  const value = Number(parts[1]);
  const by = divisors.get(parts[2]) ?? number(Number(parts[2]));
  return by === undefined || value < 0 || !(by(1, value) <= 1) ? undefined : (window) => by(window, value);
}

type Divide = (window: number, value: number) => number;

const divisors: ReadonlyMap<string | undefined, Divide> = new Map<string | undefined, Divide>([
  [undefined, (_window, value) => value],
  ['concurrency', (window, value) => value / window],
  ['sqrt_concurrency', (window, value) => value / Math.sqrt(window)],
]);

function number(by: number): Divide | undefined {
  return by > 0 && by <= 0x7fff_ffff ? (_window, value) => value / by : undefined;
}

/** A delivery to a living destination ended well. Says by how much, for those who want to see it. */
export function widen<T, M>({ rules }: { readonly rules: TransportRules }, destination: Destination<T, M>): number | undefined {
  const limit = rules.destinationDelay > 0 ? 1 : rules.concurrencyLimit === 0 ? Infinity : rules.concurrencyLimit;
  // The window grows only while it is being used.
  if (destination.window >= limit || destination.window >= destination.busy + 1 + rules.initialConcurrency) return undefined;
  const feedback = rules.positiveFeedback(destination.window);
  destination.success += feedback;
  while (destination.success + feedback / 2 >= 1) {
    destination.window++;
    destination.success--;
    destination.failure = 0;
  }
  destination.window = Math.min(destination.window, limit);
  return feedback;
}

/** A delivery ended because the destination was out of reach. */
export function narrow<T, M>({ rules }: { readonly rules: TransportRules }, destination: Destination<T, M>): number {
  const feedback = rules.negativeFeedback(destination.window);
  destination.failure -= feedback;
  while (destination.failure - feedback / 2 < 0) {
    destination.window--;
    destination.success = 0;
    destination.failure++;
  }
  destination.window = Math.max(destination.window, 1);
  return feedback;
}

/** What destination_concurrency_feedback_debug shows; of the agents that only record nothing. */
export function windowTexts<T, M>(what: string, { name, rules }: { readonly name: string; readonly rules: TransportRules }, destination: Destination<T, M>, feedback?: number): string[] {
  if (name === 'error' || name === 'retry') return [];
  const { dead, window, success, failure, failedCohorts } = destination;
  const limit = rules.destinationDelay > 0 ? 1 : rules.concurrencyLimit;
  const text = `queue ${destination.name}: limit ${limit} window ${dead === undefined ? window : 0} success ${general(success)} failure ${general(failure)} fail_cohorts ${general(failedCohorts)}`;
  return feedback === undefined ? [`${what}: ${text}`] : [`${what}: feedback ${general(feedback)}`, `${what}: ${text}`];
}

/** As printf's %g writes it. */
function general(value: number): string {
  return String(Number(value.toPrecision(6)));
}

/** Deliveries that follow each other within this time are back to back, milliseconds. */
const backToBack = 1000;

/**
 * Connections are kept once deliveries come back to back, not for a burst within the first window; they are kept no longer when
 * deliveries are neither concurrent nor back to back (postconf(5) smtp_connection_cache_on_demand).
 */
export function keepConnections<T, M>(destination: Destination<T, M>, now: number): void {
  const isBackToBack = destination.lastDone + backToBack >= now;
  if (!destination.reuse.store && isBackToBack) destination.reuse = keep;
  else if (destination.reuse.store && !isBackToBack && destination.busy <= 1) destination.reuse = useUp;
}

const keep = { load: true, store: true } as const;
const useUp = { load: true, store: false } as const;
