/**
 * Empty files in the journal's directory. The inode number of each stands in the queue id of a message that is in the journal, so
 * that the id is of Postfix's kind, and the message can become exactly that file.
 *
 * The pool grows when asked and is used again and again. `spare.OWNER.N` is a spare; its owner is a process that holds a lock on
 * `spares.OWNER`. What dead owners left is found by `find` and taken by `adopt`. Trouble with the disk is a QueueTrouble.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, statSync } from 'node:fs';
import { tryLock } from '../../host/locks.ts';
import { QueueTrouble } from '../store.ts';
import { journalDirectory, makeJournalDirectory, removeJournalDirectory, rootPrefix } from './directory.ts';
import { unlinkQuietly } from './segment-files.ts';

export interface Spare {
  readonly inode: bigint;
  /** With the root in front. */
  readonly path: string;
}

const createFlags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const lockFlags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
const mode = 0o600;
const ownerAttempts = 100_000;

export class Spares {
  readonly #directory: string;
  readonly #root: string;
  readonly #pool: Spare[] = [];
  /** Our own number, once there is a first spare. */
  #owner: number | undefined;
  #made = 0;
  /** Descriptors of the marks that we hold a lock on: ours and those of dead owners. */
  readonly #marks = new Map<number, number>();
  /** Spares of dead owners that nobody has asked for yet. */
  readonly #left = new Map<bigint, Spare>();

  constructor(root = '') {
    this.#root = rootPrefix(root);
    this.#directory = `${this.#root}${journalDirectory}/`;
  }

  /** A spare of our own. Throws QueueTrouble when none can be made. */
  take(): Spare {
    const spare = this.#pool.pop();
    if (spare !== undefined) return spare;
    try {
      return this.#make();
    } catch (error) {
      throw QueueTrouble.from(error, 'create spare queue file');
    }
  }

  #make(): Spare {
    const owner = (this.#owner ??= this.#newOwner());
    const path = `${this.#directory}spare.${owner}.${++this.#made}`;
    const fd = openSync(path, createFlags, mode);
    try {
      return { path, inode: fstatSync(fd, { bigint: true }).ino };
    } finally {
      closeSync(fd);
    }
  }

  #newOwner(): number {
    makeJournalDirectory(this.#root);
    const taken = new Set(this.#names().map((name) => ownerOf(name)));
    for (let owner = 1; owner <= ownerAttempts; owner++) if (!taken.has(owner) && this.#claim(owner, constants.O_EXCL)) return owner;
    throw new QueueTrouble('EMFILE', `${this.#directory}: too many owners of spare queue files`);
  }

  /** Take the lock on an owner's mark. False when someone has it. */
  #claim(owner: number, flag: number): boolean {
    const path = `${this.#directory}spares.${owner}`;
    let fd: number;
    try {
      fd = openSync(path, lockFlags | flag, mode);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
    // Its owner may have removed it just before he gave up the lock.
    if (tryLock(fd, 'flock', 'exclusive') && statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) {
      this.#marks.set(owner, fd);
      return true;
    }
    closeSync(fd);
    return false;
  }

  /** Back into the pool: the file is still there and still empty, and no message has its inode number in its name. */
  give(spare: Spare): void {
    this.#pool.push(spare);
  }

  /** A dead process's spare with this inode number, ours from now on: use it, or give it back. It may have something in it. */
  find(inode: bigint): Spare | undefined {
    if (!this.#left.has(inode)) this.#gather();
    const spare = this.#left.get(inode);
    this.#left.delete(inode);
    return spare;
  }

  /** All spares that dead processes left go into our pool. Only after `find` for every message that was recovered. */
  adopt(): void {
    this.#gather();
    for (const spare of this.#left.values()) {
      const status = lstatSync(spare.path, { throwIfNoEntry: false });
      if (status?.isFile() && status.size === 0 && (status.mode & 0o7777) === mode) this.#pool.push(spare);
      else unlinkQuietly(spare.path);
    }
    this.#left.clear();
  }

  /** The spares of those that died since we looked last. */
  #gather(): void {
    const names = this.#names();
    const dead = new Set<number>();
    for (const owner of new Set(names.map((name) => ownerOf(name)!))) if (!this.#marks.has(owner) && this.#claim(owner, 0)) dead.add(owner);
    for (const name of names) {
      if (!name.startsWith('spare.') || !dead.has(ownerOf(name)!)) continue;
      const path = this.#directory + name;
      const status = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      if (status !== undefined) this.#left.set(status.ino, { inode: status.ino, path });
    }
  }

  /** Removes every spare of ours, adopted ones too, and our marks; the directory too when it is empty. */
  removeAll(): void {
    this.#pool.length = 0;
    this.#left.clear();
    for (const name of this.#names()) if (name.startsWith('spare.') && this.#marks.has(ownerOf(name)!)) unlinkQuietly(this.#directory + name);
    for (const [owner, fd] of this.#marks) {
      unlinkQuietly(`${this.#directory}spares.${owner}`);
      closeSync(fd);
    }
    this.#marks.clear();
    this.#owner = undefined;
    removeJournalDirectory(this.#root);
  }

  /** Spares and marks. */
  #names(): string[] {
    try {
      return readdirSync(this.#directory).filter((name) => ownerOf(name) !== undefined);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw QueueTrouble.from(error, `look into ${this.#directory}`);
    }
  }
}

/** The owner in the name of a spare or of a mark; undefined for other files. */
function ownerOf(name: string): number | undefined {
  const parts = /^(?:spares\.([0-9]{1,9})|spare\.([0-9]{1,9})\.[0-9]{1,15})$/.exec(name);
  return parts === null ? undefined : Number(parts[1] ?? parts[2]);
}
