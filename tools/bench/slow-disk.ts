/**
 * The library that makes flushes slow, compiled where there is a C compiler, and its count of them.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('slow-disk.c', import.meta.url));
const compilers = ['cc', 'gcc', 'clang'];

export class SlowDisk {
  readonly library: string;
  readonly #lock: string;

  /** Throws when it cannot be compiled. One per mail system: the two have a disk each. */
  constructor(directory: string) {
    this.library = `${directory}/slow-disk.so`;
    this.#lock = `${directory}/slow-disk.lock`;
    writeFileSync(this.#lock, '');
    chmodSync(this.#lock, 0o666);
    execFileSync(compiler()!, ['-O2', '-shared', '-fPIC', `-DLOCK="${this.#lock}"`, '-o', this.library, source, '-ldl'], { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  /** Flushes so far. */
  count(): number {
    const bytes = readFileSync(this.#lock);
    return bytes.length < 8 ? 0 : Number(bytes.readBigUInt64LE(0));
  }
}

function compiler(): string | undefined {
  const places = (process.env.PATH ?? '').split(':');
  return compilers.find((name) => places.some((place) => existsSync(`${place}/${name}`)));
}

/** Why there can be none here. */
export function noSlowDisk(): string | undefined {
  return compiler() === undefined ? 'no C compiler to make the slow disk with' : undefined;
}
