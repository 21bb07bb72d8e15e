/**
 * What a process may set about itself: its parent's death, its name, its root directory, what an exec leaves open.
 *
 * Errors carry `code`. prctl settings concern the calling thread, and what that thread spawns inherits them.
 */
import { closeSync, constants, openSync, readdirSync, readFileSync, stat, statfsSync } from 'node:fs';
import { bind, cText, check } from './libc.ts';
import { isOpen, setCloseOnExec } from './descriptors.ts';
import { constants as osConstants } from 'node:os';

const prctl = bind('int prctl(int option, ulong a, ulong b, ulong c, ulong d)');
const prctlText = bind('int prctl(int option, const void *text, ulong b, ulong c, ulong d)');
const options = { parentDeathSignal: 1, dumpable: 4, name: 15, noNewPrivileges: 38, isNoNewPrivileges: 39 } as const;
const setsid = bind('int setsid()');
const rawChroot = bind('int chroot(const void *path)');

/**
 * Be sent `signal` when the parent ends. A parent that ended before the call is noticed by comparing `expectedParent` (its
 * process id as the child was told); false then, and the caller should end by itself. A change of user clears the setting:
 * call it after becoming that user.
 */
export function dieWithParent(signal: NodeJS.Signals, expectedParent: number): boolean {
  check(prctl(options.parentDeathSignal, osConstants.signals[signal], 0, 0, 0), 'prctl');
  return process.ppid === expectedParent;
}

/** No core file and no debugger of the same user (also: /proc/self belongs to root then). */
export function setDumpable(on: boolean): void {
  check(prctl(options.dumpable, on ? 1 : 0, 0, 0, 0), 'prctl');
}

/** The name `ps` and `top` show for the process, cut to 15 bytes. */
export function setProcessName(name: string): void {
  check(prctlText(options.name, cText(name.slice(0, 15)), 0, 0, 0), 'prctl');
}

/** From now on no exec of this thread gains privileges through a set-uid or set-gid file. */
export function setNoNewPrivileges(): void {
  check(prctl(options.noNewPrivileges, 1, 0, 0, 0), 'prctl');
}

export function hasNoNewPrivileges(): boolean {
  return prctl(options.isNoNewPrivileges, 0, 0, 0, 0) === 1;
}

let rootChanged = false;

/** chroot(2) and go there. Everything needed later must be loaded before; an open directory descriptor would lead out again. */
export function changeRoot(path: string): void {
  check(rawChroot(cText(path)), 'chroot', path);
  process.chdir('/');
  rootChanged = true;
}

const fchdir = bind('int fchdir(int directory)');
const unshare = bind('int unshare(int flags)');
const ownFileSystemView = 0x200; // CLONE_FS
let isApart = false;

/**
 * Run SYNCHRONOUS work with `path` as the root and working directory of this thread, for what it spawns; needs root's rights. The
 * threads of the pool stay outside. Throws what chroot(2) says; if there is no way back, the process ends at once.
 */
export function insideRoot<T>(path: string, work: () => T): T {
  standApart();
  const root = openSync('/', constants.O_RDONLY | constants.O_DIRECTORY);
  const place = openSync('.', constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    check(rawChroot(cText(path)), 'chroot', path);
    process.chdir('/');
    return work();
  } finally {
    comeOut(root, place);
  }
}

/** The pool's threads must be there before: later ones would be born with this thread's view. */
function standApart(): void {
  if (isApart) return;
  stat('/', () => undefined);
  check(unshare(ownFileSystemView), 'unshare');
  isApart = true;
}

function comeOut(root: number, place: number): void {
  try {
    check(fchdir(root), 'fchdir');
    check(rawChroot(cText('.')), 'chroot');
    check(fchdir(place), 'fchdir');
  } catch {
    process.abort();
  }
  closeSync(root);
  closeSync(place);
}

/** Is this process in a chroot jail of its own making? Then paths from before lead nowhere, or to something else. */
export function hasChangedRoot(): boolean {
  return rootChanged;
}

/** Leave the terminal: lead a session (and process group) of our own. False when we lead a group already and cannot. */
export function startSession(): boolean {
  return setsid() >= 0;
}

/** How many descriptors this process may have open. */
export function openFileLimit(): number {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    return limit === null ? usualFileLimit : Number(limit[1]);
  } catch {
    return usualFileLimit;
  }
}

const usualFileLimit = 1024;

const prlimit = bind('int prlimit(int pid, int resource, const void *wanted, void *found)');
const openFiles = 7;

/**
 * Let this process, and those that it starts, have so many open descriptors: Node uses what is allowed, only root may allow more.
 * False: there are fewer, and no more are to be had.
 */
export function allowOpenFiles(count: number): boolean {
  if (openFileLimit() >= count) return true;
  const wanted = Buffer.alloc(16);
  wanted.writeBigUInt64LE(BigInt(count), 0);
  wanted.writeBigUInt64LE(BigInt(count), 8);
  return prlimit(0, openFiles, wanted, null) === 0;
}

/** The descriptors this process has open. */
export function openDescriptors(): number[] {
  return readdirSync('/proc/self/fd').map(Number).filter(isOpen);
}

/** Let no program we start inherit a descriptor from `first` on. */
export function closeOnExecFrom(first: number): void {
  for (const fd of openDescriptors()) if (fd >= first) setCloseOnExec(fd, true);
}

/**
 * Node opens its debugger on SIGUSR1, which any process of the same user may send. A listener takes the signal's place.
 * (The launcher's `--disable-sigusr1` is better: it also spares a thread.)
 */
export function ignoreDebugSignal(): void {
  if (process.listenerCount('SIGUSR1') === 0) process.on('SIGUSR1', () => undefined);
}

/** A word that is different after each start of the machine; '' where the kernel does not tell. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trimEnd();
  } catch {
    return '';
  }
}

/** Bytes an ordinary user may still write in the file system of `path`. */
export function freeSpace(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}
