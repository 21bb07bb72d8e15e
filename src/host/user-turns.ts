/**
 * Work that needs a user's rights, gathered: what has come for a user by the end of a turn of the event loop is done in one go, so
 * that many deliveries to one user change the thread's identity once and not once each.
 *
 * The work is synchronous, as asUser() wants it, and runs in the order in which it came; nothing else runs in between. Each has
 * its own result: what one throws, the others do not notice. When the identity cannot be taken on at all, all are refused.
 */
import { asUser } from './identity.ts';

interface Errand {
  /** Never throws; answers how to tell the one who waits. */
  readonly work: () => () => void;
  readonly refuse: (error: unknown) => void;
}

interface Turn {
  readonly user: { readonly uid: number; readonly gid: number };
  readonly errands: Errand[];
}

const turns = new Map<string, Turn>();

/** asUser(), at the end of this turn of the event loop. Rejects with what `work` throws, or with why we cannot be that user. */
export function asUserSoon<T>(user: { readonly uid: number; readonly gid: number }, work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    turnOf(user).errands.push({ work: () => attempt(work, resolve, reject), refuse: reject });
  });
}

function turnOf({ uid, gid }: Turn['user']): Turn {
  const key = `${uid}:${gid}`;
  let turn = turns.get(key);
  if (turn === undefined) {
    if (turns.size === 0) setImmediate(takeTurns);
    turns.set(key, (turn = { user: { uid, gid }, errands: [] }));
  }
  return turn;
}

function attempt<T>(work: () => T, resolve: (value: T) => void, reject: (error: unknown) => void): () => void {
  try {
    const result = work();
    if (typeof (result as { then?: unknown } | undefined)?.then === 'function') throw new Error('panic: asUserSoon was given work that is not synchronous');
    return () => resolve(result);
  } catch (error) {
    return () => reject(error);
  }
}

function takeTurns(): void {
  const due = [...turns.values()];
  turns.clear();
  for (const turn of due) takeTurn(turn);
}

function takeTurn({ user, errands }: Turn): void {
  let tell: (() => void)[];
  try {
    tell = asUser(user, () => errands.map(({ work }) => work()));
  } catch (error) {
    for (const { refuse } of errands) refuse(error);
    return;
  }
  for (const each of tell) each();
}
