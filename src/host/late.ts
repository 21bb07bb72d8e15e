/**
 * Parts that few need, loaded when they are first wanted: each takes megabytes of every process. In a process that leaves the file system
 * behind (chroot) they are loaded before it does.
 */
import { createRequire } from 'node:module';

const requireHere = createRequire(import.meta.url);
const waiting = new Set<() => void>();

/** A function that gives the package, loading it the first time. */
export function late<T>(name: string): () => T {
  let loaded: T | undefined;
  const load = (): T => {
    waiting.delete(load);
    return (loaded ??= requireHere(name) as T);
  };
  waiting.add(load);
  return load;
}

/** Load what is not loaded yet: soon the files are out of reach. */
export function loadLate(): void {
  for (const load of [...waiting]) load();
}
