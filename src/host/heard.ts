/**
 * Who listens to a socket, and to what: a chain of the few there are, who came last first. A chain is never changed, so that what is told is
 * told to those who listened when it happened. An array would have room for seventeen, for each of thousands of sockets.
 */
export type Listener = (...values: any[]) => void;

export interface Heard {
  readonly event: string;
  readonly listener: Listener;
  readonly before: Heard | undefined;
}

/** In the order in which they came. */
export function tell(one: Heard | undefined, event: string): void {
  if (one === undefined) return;
  tell(one.before, event);
  if (one.event === event) one.listener();
}

/** The chain without the last of these; the same chain when there is none. */
export function without(one: Heard | undefined, event: string, listener: Listener): Heard | undefined {
  if (one === undefined) return undefined;
  if (one.event === event && one.listener === listener) return one.before;
  const before = without(one.before, event, listener);
  return before === one.before ? one : { event: one.event, listener: one.listener, before };
}
