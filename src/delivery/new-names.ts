/**
 * Making the names of new files durable, for many deliveries to one directory at once: one fsync of it is under way, and the next
 * is for all who have come by the time it begins.
 *
 * The directory is opened with the recipient's rights. What a file system cannot do, or the user may not open, is not asked for.
 */
import fs from 'node:fs';
import { asUserSoon } from '../host/user-turns.ts';
import { pathBytes, type Rights } from './failure.ts';

interface Waiter { readonly resolve: () => void; readonly reject: (error: Error) => void }
interface Round { readonly path: string; readonly rights: Rights; waiting: Waiter[] }

const { O_RDONLY, O_DIRECTORY } = fs.constants;
const notPossible = ['EINVAL', 'ENOTSUP', 'EBADF'];

export class NewNames {
  readonly #rounds = new Map<string, Round>();

  /** Resolves when every name made in the directory before this call is on disk; rejects with the file system's error. */
  durable(path: string, rights: Rights): Promise<void> {
    return new Promise((resolve, reject) => {
      const key = `${rights.uid}:${rights.gid} ${path}`;
      const round = this.#rounds.get(key);
      if (round !== undefined) round.waiting.push({ resolve, reject });
      else {
        const first = { path, rights, waiting: [{ resolve, reject }] };
        this.#rounds.set(key, first);
        void this.#work(key, first);
      }
    });
  }

  /** Round after round, until nobody waits. */
  async #work(key: string, round: Round): Promise<void> {
    while (round.waiting.length > 0) {
      const fd = await asUserSoon(round.rights, () => openDirectory(round.path)).catch(() => undefined);
      const served = round.waiting;
      round.waiting = [];
      const error = fd === undefined ? undefined : await syncAndClose(fd);
      for (const { resolve, reject } of served) error === undefined ? resolve() : reject(error);
    }
    this.#rounds.delete(key);
  }
}

/** Undefined when the user may not, or there is none. */
function openDirectory(path: string): number | undefined {
  try {
    return fs.openSync(pathBytes(path), O_RDONLY | O_DIRECTORY);
  } catch {
    return undefined;
  }
}

function syncAndClose(fd: number): Promise<Error | undefined> {
  return new Promise((resolve) => fs.fsync(fd, (error) => {
    fs.closeSync(fd);
    resolve(error === null || notPossible.includes(error.code ?? '') ? undefined : error);
  }));
}
