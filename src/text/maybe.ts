/**
 * Values that are usually at hand and sometimes have to be waited for.
 *
 * A lookup in a local table answers at once, one in a database server does not; code on the message path must not pay for
 * a promise when there is nothing to wait for. Nothing here throws by itself.
 */
export type MaybePromise<T> = T | Promise<T>;

/** Is this value still to come? */
export function isPending<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof value === 'object' && typeof (value as { then?: unknown } | null)?.then === 'function';
}

/**
 * Apply `next` now if the value is at hand, else when it comes. A throw of `next` stays a throw in the first case. What is done for
 * every command or message asks `isPending` instead, and makes a closure only for a value that is late.
 */
export function chain<T, U>(value: MaybePromise<T>, next: (value: T) => MaybePromise<U>): MaybePromise<U> {
  return isPending(value) ? value.then(next) : next(value);
}
