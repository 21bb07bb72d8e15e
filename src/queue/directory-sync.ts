/**
 * Making directory entries durable for many messages at once: one fsync of a directory in flight, the next one for all who came
 * meanwhile.
 *
 * `sync(directory)` resolves when everything renamed into that directory before the call is on disk; it rejects with the file
 * system's error. A failed fsync is never repeated for the same waiters: the kernel may have dropped what it could not write.
 */
import { close, fsync, open } from 'node:fs';

/** Opens, fsyncs and closes a directory. */
type SyncOnce = (directory: string, done: (error: Error | null) => void) => void;

interface Waiter { readonly resolve: () => void; readonly reject: (error: Error) => void }

export class DirectorySync {
  /** Per directory: who waits for the round after the one that is under way. An entry exists while a round is. */
  readonly #rounds = new Map<string, Waiter[]>();
  readonly #syncOnce: SyncOnce;

  constructor(syncOnce: SyncOnce = syncDirectory) {
    this.#syncOnce = syncOnce;
  }

  sync(directory: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      const next = this.#rounds.get(directory);
      if (next) next.push(waiter);
      else this.#begin(directory, [waiter]);
    });
  }

  #begin(directory: string, waiters: Waiter[]): void {
    this.#rounds.set(directory, []);
    this.#syncOnce(directory, (error) => {
      const next = this.#rounds.get(directory)!;
      if (next.length === 0) this.#rounds.delete(directory);
      else this.#begin(directory, next);
      for (const { resolve, reject } of waiters) error ? reject(error) : resolve();
    });
  }
}

// Opened anew each time: a directory kept open would lead out of a chroot.
function syncDirectory(directory: string, done: (error: Error | null) => void): void {
  open(directory, 'r', (trouble, fd) => {
    if (trouble) return done(trouble);
    fsync(fd, (error) => close(fd, () => done(error)));
  });
}
