/**
 * Who people are, and becoming one of them.
 *
 * Look-ups go through the C library, so that NSS (LDAP, systemd, ...) is honoured; they block while they run.
 * "Unknown" is `undefined`; "could not be found out" throws with errno, and is a temporary error.
 * Texts are byte strings.
 */
import { constants } from 'node:os';
import { bind, byArchitecture, cText, check, stableBuffer, systemError, textAt } from './libc.ts';

/** One line of the password file; `password` is what stands there in public, mostly 'x'. */
export interface Account {
  readonly name: string;
  readonly password: string;
  readonly uid: number;
  readonly gid: number;
  readonly gecos: string;
  readonly home: string;
  readonly shell: string;
}

export interface Group {
  readonly name: string;
  readonly password: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const { ENOENT, ESRCH, ERANGE, EPERM } = constants.errno;
const largestAnswer = 1 << 22;

const passwdByName = bind('int getpwnam_r(const void *name, void *entry, void *text, size_t length, void *found)');
const passwdById = bind('int getpwuid_r(uint32_t uid, void *entry, void *text, size_t length, void *found)');
const groupByName = bind('int getgrnam_r(const void *name, void *entry, void *text, size_t length, void *found)');
const groupById = bind('int getgrgid_r(uint32_t gid, void *entry, void *text, size_t length, void *found)');

/** Ask one of the four; grow the text area as often as the C library wants. */
function ask<T>(call: (...area: unknown[]) => number, what: string, read: (entry: Buffer) => T): T | undefined {
  for (let size = 2048; size <= largestAnswer; size *= 4) {
    const area = stableBuffer(64 + size);
    const found = area.subarray(48, 56);
    const errno = call(area, area.subarray(64), size, found);
    if (errno === ERANGE) continue;
    if (errno !== 0 && errno !== ENOENT && errno !== ESRCH) throw systemError(what, errno);
    if (found.readBigUInt64LE(0) === 0n) return undefined;
    const answer = read(area);
    area.fill(0); // not before here may the engine think the area unused: C pointers led into it
    return answer;
  }
  throw systemError(what, ERANGE);
}

function textField(entry: Buffer, offset: number): string {
  return textAt(entry.readBigUInt64LE(offset));
}

function readAccount(entry: Buffer): Account {
  return {
    name: textField(entry, 0),
    password: textField(entry, 8),
    uid: entry.readUInt32LE(16),
    gid: entry.readUInt32LE(20),
    gecos: textField(entry, 24),
    home: textField(entry, 32),
    shell: textField(entry, 40),
  };
}

const pointerAt = bind('void *memcpy(_Out_ void *into, const void *from, size_t length)');

function readGroup(entry: Buffer): Group {
  const members: string[] = [];
  const slot = stableBuffer(8);
  for (let at = entry.readBigUInt64LE(24); at !== 0n; at += 8n) {
    pointerAt(slot, at, 8);
    const member = slot.readBigUInt64LE(0);
    if (member === 0n) break;
    members.push(textAt(member));
  }
  return { name: textField(entry, 0), password: textField(entry, 8), gid: entry.readUInt32LE(16), members };
}

/** The account of a login name. */
export function getpwnam(name: string): Account | undefined {
  if (name.includes('\0')) return undefined;
  return ask((...area) => passwdByName(cText(name), ...area), 'getpwnam', readAccount);
}

/** The account of a user id. */
export function getpwuid(uid: number): Account | undefined {
  return ask((...area) => passwdById(uid, ...area), 'getpwuid', readAccount);
}

/** The group of a name. */
export function getgrnam(name: string): Group | undefined {
  if (name.includes('\0')) return undefined;
  return ask((...area) => groupByName(cText(name), ...area), 'getgrnam', readGroup);
}

/** The group of a group id. */
export function getgrgid(gid: number): Group | undefined {
  return ask((...area) => groupById(gid, ...area), 'getgrgid', readGroup);
}

/** Effective user id now. */
export function effectiveUid(): number {
  return process.geteuid!();
}

/** Are we root (and so able to become others)? */
export function isRoot(): boolean {
  return effectiveUid() === 0;
}

/**
 * Become another user for good: every thread, with no way back. With a name, that user's other groups come along, otherwise
 * none. Nothing to do when we are that user already; EPERM when we are not root. The change is verified.
 */
export function becomeUser(user: { uid: number; gid: number; name?: string }): void {
  const self = { uid: process.getuid!(), gid: process.getgid!() };
  if (!isRoot() && self.uid === user.uid) return;
  if (!isRoot()) throw notRoot(user.uid);
  own = undefined;
  if (user.name !== undefined) initgroups(user.name, user.gid);
  else process.setgroups!([user.gid]);
  process.setgid!(user.gid);
  process.setuid!(user.uid);
  const is = [process.getuid!(), process.geteuid!(), process.getgid!(), process.getegid!()];
  if (is.join() !== [user.uid, user.uid, user.gid, user.gid].join()) {
    throw systemError(`setuid to uid ${user.uid} gid ${user.gid}`, EPERM);
  }
}

/** Missing from Node's type declarations. */
function initgroups(name: string, gid: number): void {
  (process as unknown as { initgroups(name: string, gid: number): void }).initgroups(name, gid);
}

function notRoot(uid: number): NodeJS.ErrnoException {
  const error = systemError('setuid', EPERM);
  error.message = `EPERM: cannot become uid ${uid}: we run as uid ${effectiveUid()}, and only root can become another user`;
  return error;
}

const numbers = {
  setgroups: { x64: 116, arm64: 159 },
  setresuid: { x64: 117, arm64: 147 },
  setresgid: { x64: 119, arm64: 149 },
} as const;
const rawIds = bind('long syscall(long number, uint32_t real, uint32_t effective, uint32_t saved)');
const rawGroups = bind('long syscall(long number, size_t count, const void *groups)');
const unchanged = 0xffffffff;

/** The group and the other groups of a thread, the latter also as the system call wants them. */
interface Groups { readonly gid: number; readonly list: Buffer; readonly count: number }

function groupsOf(gid: number, groups: readonly number[]): Groups {
  return { gid, list: Buffer.from(Uint32Array.from(groups).buffer), count: groups.length };
}

/** Our own, asked for once: they change only in becomeUser. */
let own: Groups | undefined;

/** Change the calling thread only: the raw system calls do not tell the other threads, as the C library's would. */
function threadBecomes(uid: number, { gid, list, count }: Groups): void {
  const toRoot = uid === 0;
  if (toRoot) check(rawIds(byArchitecture(numbers.setresuid), unchanged, uid, unchanged), 'setresuid');
  check(rawGroups(byArchitecture(numbers.setgroups), count, list), 'setgroups');
  check(rawIds(byArchitecture(numbers.setresgid), unchanged, gid, unchanged), 'setresgid');
  if (!toRoot) check(rawIds(byArchitecture(numbers.setresuid), unchanged, uid, unchanged), 'setresuid');
}

/**
 * Run SYNCHRONOUS work (file system calls of the Sync kind) with another user's rights, on this thread alone: nothing that
 * goes through the thread pool is touched, so a promise as the result is a fault of ours and throws. The user's only group is
 * `gid`, as in Postfix. Our own rights always come back; if they do not, the process ends at once.
 * Nothing changes when we are that user already. EPERM when we are not root.
 */
export function asUser<T>(user: { uid: number; gid: number }, work: () => T): T {
  const uid = effectiveUid();
  if (uid === user.uid && (uid !== 0 || process.getegid!() === user.gid)) return work();
  if (uid !== 0) throw notRoot(user.uid);
  own ??= groupsOf(process.getegid!(), process.getgroups!());
  try {
    threadBecomes(user.uid, groupsOf(user.gid, [user.gid]));
    const result = work();
    if (typeof (result as { then?: unknown } | undefined)?.then === 'function') {
      throw new Error('panic: asUser was given work that is not synchronous');
    }
    return result;
  } finally {
    comeBack(own);
  }
}

function comeBack(groups: Groups): void {
  try {
    threadBecomes(0, groups);
  } catch {
    process.abort();
  }
  if (effectiveUid() !== 0 || process.getegid!() !== groups.gid) process.abort();
}
