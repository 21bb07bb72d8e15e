/**
 * The doorway to the C library: functions are bound when they are first called, never before.
 *
 * Callers may rely on: nothing native is loaded by importing this file (start-up and memory); a failed call becomes an Error
 * shaped like Node's own (`code` 'ENOENT', negative `errno`, `syscall`, `path`); texts are byte strings.
 * Only files of this folder may import it. Sizes and offsets are those of 64-bit Linux (x86-64 and arm64 agree on all we use).
 */
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { closeSync } from 'node:fs';
import type koffi from 'koffi';

type Ffi = typeof koffi;
/** A C function; argument and result shapes are those of the C prototype it was bound with. */
export type Native = (...values: any[]) => any;

let loaded: Ffi | undefined;
const libraries = new Map<string, ReturnType<Ffi['load']>>();

/** The FFI itself, loaded on first use. */
export function ffi(): Ffi {
  return (loaded ??= createRequire(import.meta.url)('koffi') as Ffi);
}

/** A shared library, opened once; throws when it is not installed. */
export function library(name: string): ReturnType<Ffi['load']> {
  let found = libraries.get(name);
  if (!found) libraries.set(name, (found = ffi().load(name)));
  return found;
}

/** A C function by prototype, bound at its first call: `bind('int close(int fd)')`. */
export function bind(prototype: string, from = 'libc.so.6'): Native {
  let bound: Native | undefined;
  return (...values) => (bound ??= library(from).func(prototype) as Native)(...values);
}

/** The C function itself, bound now: for calls so short that `bind`'s own cost would show. */
export function bindNow(prototype: string, from = 'libc.so.6'): Native {
  return library(from).func(prototype) as Native;
}

/** errno after a failed call. */
export function lastErrno(): number {
  return ffi().errno();
}

const namesOfErrno = new Map<number, string>();
for (const [name, value] of Object.entries(constants.errno)) {
  if (!namesOfErrno.has(value)) namesOfErrno.set(value, name);
}

/** 2 -> 'ENOENT'. */
export function errnoName(errno: number): string {
  return namesOfErrno.get(errno) ?? `E${errno}`;
}

const strerror = bind('const char *strerror(int errnum)');

/** The C library's words for an error number, as they appear in Postfix's log lines: 2 -> 'No such file or directory'. */
export function errnoText(errno: number): string {
  return String(strerror(Math.abs(errno)));
}

/** The C library's words for an Error of Node or of this folder; other errors keep their message. */
export function errorText(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException;
  return typeof errno === 'number' && errno !== 0 ? errnoText(errno) : String(message ?? error);
}

/** An Error shaped like Node's. `errno` is the positive C number. */
export function systemError(syscall: string, errno: number, path?: string): NodeJS.ErrnoException {
  const code = errnoName(errno);
  const where = path === undefined ? syscall : `${syscall} '${path}'`;
  const error: NodeJS.ErrnoException = new Error(`${code}: ${errnoText(errno)}, ${where}`);
  error.code = code;
  error.errno = -errno;
  error.syscall = syscall;
  if (path !== undefined) error.path = path;
  return error;
}

/** Pass a result through, or throw the errno behind a negative one. */
export function check<T extends number | bigint>(result: T, syscall: string, path?: string): T {
  if (result < 0) throw systemError(syscall, lastErrno(), path);
  return result;
}

const memcpy = bind('void *memcpy(_Out_ void *into, const void *from, size_t length)');
const strlen = bind('size_t strlen(const void *text)');

/** Copy bytes out of foreign memory. */
export function copyBytes(address: bigint, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  if (length > 0) memcpy(bytes, address, length);
  return bytes;
}

/** The NUL-terminated text at an address, as a byte string; '' for NULL. */
export function textAt(address: bigint): string {
  return address === 0n ? '' : copyBytes(address, Number(strlen(address))).toString('latin1');
}

/** A byte string as the NUL-terminated bytes C wants (never through UTF-8). A NUL inside would cut it: EINVAL. */
export function cText(text: string): Buffer {
  if (text.includes('\0')) throw systemError('text', constants.errno.EINVAL, text.replaceAll('\0', '\\0'));
  return Buffer.from(`${text}\0`, 'latin1');
}

/** Memory that C may keep a pointer to while its JS object is alive: outside the moving heap. */
export function stableBuffer(length: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.max(length, 256)).fill(0).subarray(0, length);
}

/** The address of a buffer made by stableBuffer. */
export function addressOf(buffer: Buffer): bigint {
  return ffi().address(buffer);
}

/** Run `work` and close the descriptor if it throws. */
export function closingOnError<T>(fd: number, work: (fd: number) => T): T {
  try {
    return work(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Which Linux we run on decides raw system call numbers. */
export function byArchitecture<T>(numbers: { x64: T; arm64: T }): T {
  const number = (numbers as Record<string, T>)[process.arch];
  if (number === undefined) throw systemError(`system calls on ${process.arch}`, constants.errno.ENOSYS);
  return number;
}
