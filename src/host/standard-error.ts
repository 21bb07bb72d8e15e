/**
 * What C code of this process writes to standard error, caught in memory: OpenSSL's handshake trace goes nowhere else.
 *
 * Between `catchStandardError` and `release` nothing of this process may want to be heard there. One catch at a time.
 */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { bind, check, cText } from './libc.ts';
import { dup } from './descriptors.ts';

const memoryFile = bind('int memfd_create(const void *name, uint32_t flags)');
const dup2 = bind('int dup2(int from, int to)');
const standardError = 2;
const closeOnExec = 1;

export interface CaughtError {
  /** So far; `limit` bytes at most. */
  text(limit: number): Buffer;
  /** Standard error is again what it was. */
  release(): void;
}

export function catchStandardError(): CaughtError {
  const before = dup(standardError);
  const memory = check(memoryFile(cText('stderr'), closeOnExec), 'memfd_create');
  check(dup2(memory, standardError), 'dup2');
  let open = true;
  return {
    text: (limit) => {
      const bytes = Buffer.alloc(Math.min(fstatSync(memory).size, limit));
      return bytes.subarray(0, readSync(memory, bytes, 0, bytes.length, 0));
    },
    release: () => {
      if (!open) return;
      open = false;
      dup2(before, standardError);
      closeSync(before);
      closeSync(memory);
    },
  };
}
