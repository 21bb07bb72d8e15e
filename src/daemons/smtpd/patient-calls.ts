/**
 * A service beside us that mail can do without: it is waited for, but not for long.
 *
 * A call that is not answered in time fails with ServiceTrouble, and for a while the service is not asked at all, so that one client
 * waits and not each one after it.
 */
import { ServiceTrouble } from '../../ipc/service.ts';
import type { Clock } from '../../server/clock.ts';
import { isPending, type MaybePromise } from '../../text/maybe.ts';

/** The service is left alone for a while: whoever made it so has told the log. */
export class ServiceRests extends ServiceTrouble {}

/** A service that was too slow is left alone for so many times the patience. */
const restFactor = 10;

type AnyCalls = { readonly [name: string]: (request: never) => MaybePromise<unknown> };

/**
 * @param service its name, for the log
 * @param milliseconds how long one call may take; 0: as long as it likes
 */
export function patient<C extends object>(calls: C, service: string, clock: Clock, milliseconds: number): C {
  if (milliseconds === 0) return calls;
  const rest: { until?: number } = {};
  const bounded = (call: (request: never) => MaybePromise<unknown>) => (request: never): MaybePromise<unknown> => {
    if (rest.until !== undefined && clock.monotonic() < rest.until) throw new ServiceRests(service, 'out of reach a moment ago');
    const answer = call(request);
    if (!isPending(answer)) return answer;
    return inTime(answer, clock, milliseconds, () => {
      rest.until = clock.monotonic() + restFactor * milliseconds;
      return new ServiceTrouble(service, `no answer for ${milliseconds / 1000} s`);
    });
  };
  const entries = Object.entries(calls as AnyCalls).map(([name, call]) => [name, bounded(call)] as const);
  return Object.fromEntries(entries) as unknown as C;
}

function inTime<T>(answer: Promise<T>, clock: Clock, milliseconds: number, late: () => ServiceTrouble): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(milliseconds, () => reject(late()));
    answer.then(resolve, reject).finally(() => timer.cancel());
  });
}
