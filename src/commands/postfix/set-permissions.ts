/**
 * postfix set-permissions: owners and modes of the mail system's own files and directories, as they were when they were made.
 *
 * What the mail owner can rename is reached through descriptors of its directories, links are not followed, and a file with a second name
 * is left alone: nobody can have root give them what is not theirs. Repeating it changes nothing. Trouble is a fatal line.
 */
import { chmodSync, chownSync, closeSync, constants, existsSync, lchownSync, lstatSync, openSync, readdirSync, type Stats } from 'node:fs';
import type { Configuration } from '../../config/configuration.ts';
import { isRoot } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import type { Log } from '../../log/log.ts';
import { createDirectories, directoriesFor, type DirectorySettings, type MailDirectory } from '../../server/mail-directories.ts';
import { directorySettings } from './create-missing.ts';
import type { Situation } from './situation.ts';

/** What is in them is the mail owner's as well; public, private and maildrop hold what others made. */
const wholeTrees: ReadonlySet<string> = new Set(['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'journal', 'saved', 'tlstrace', 'trace']);

export function setPermissionsCommand({ config, log }: Situation): number {
  return setPermissions(config, log);
}

/** Missing directories made, the others put right. */
export function setPermissions(config: Configuration, log: Log): number {
  const root = isRoot();
  const settings = directorySettings(config);
  try {
    createDirectories(settings);
    new Restorer(settings, root, log).restore(config.directory);
    return 0;
  } catch (error) {
    return log.fatal(`${(error as NodeJS.ErrnoException).path ?? settings.queueDirectory}: ${errorText(error)}`);
  }
}

class Restorer {
  readonly #settings: DirectorySettings;
  readonly #root: boolean;
  readonly #log: Log;

  constructor(settings: DirectorySettings, root: boolean, log: Log) {
    this.#settings = settings;
    this.#root = root;
    this.#log = log;
  }

  restore(configDirectory: string): void {
    const { queueDirectory, dataDirectory, owner, setgidGroup, forUsers } = this.#settings;
    const rootUid = this.#root ? 0 : owner.uid;
    this.#put(configDirectory, { uid: rootUid, mode: 0o755 });
    for (const name of ['main.cf', 'master.cf']) if (existsSync(`${configDirectory}/${name}`)) this.#put(`${configDirectory}/${name}`, { uid: rootUid, mode: 0o644 });
    this.#put(dataDirectory, { uid: owner.uid, mode: 0o700 });
    for (const directory of directoriesFor(forUsers)) {
      const path = directory.name === '' ? queueDirectory : `${queueDirectory}/${directory.name}`;
      this.#put(path, { uid: directory.owner === 'root' ? rootUid : owner.uid, gid: this.#groupOf(directory, setgidGroup), mode: directory.mode });
      if (this.#root && wholeTrees.has(directory.name)) this.#tree(path, owner.uid);
    }
  }

  #groupOf({ name, shared }: MailDirectory, setgidGroup: number): number | undefined {
    return shared ? setgidGroup : name === 'maildrop' ? this.#settings.owner.gid : undefined;
  }

  /** Their parents are root's: nobody else can exchange them. */
  #put(path: string, { uid, gid, mode }: { uid: number; gid?: number | undefined; mode: number }): void {
    const found = lstatSync(path);
    if (found.isSymbolicLink()) return this.#log.warning(`not changed, because it is a symbolic link: ${path}`);
    if (this.#root && (found.uid !== uid || (gid !== undefined && found.gid !== gid))) chownSync(path, uid, gid ?? found.gid);
    // A change of owner takes special bits away.
    if ((lstatSync(path).mode & 0o7777) !== mode) chmodSync(path, mode);
  }

  /** Everything below `path` the mail owner's, directories with mode 0700; a queue file's mode says whether it is complete. */
  #tree(path: string, uid: number, depth = 20): void {
    const directory = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      for (const name of readdirSync(`/proc/self/fd/${directory}`)) {
        const [entry, shown] = [`/proc/self/fd/${directory}/${name}`, `${path}/${name}`];
        const found = lstatSync(entry, { throwIfNoEntry: false });
        if (found !== undefined) this.#entry(entry, shown, found, uid, depth);
      }
    } finally {
      closeSync(directory);
    }
  }

  #entry(entry: string, shown: string, found: Stats, uid: number, depth: number): void {
    if (!found.isDirectory()) {
      if (found.uid === uid) return;
      if (found.nlink > 1) return this.#log.warning(`not changed, because it has ${found.nlink} names: ${shown}`);
      return lchownSync(entry, uid, found.gid);
    }
    if (found.uid !== uid) lchownSync(entry, uid, found.gid);
    if (depth > 0) this.#below(entry, uid, depth - 1);
  }

  #below(entry: string, uid: number, depth: number): void {
    const fd = openSync(entry, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      if ((lstatSync(`/proc/self/fd/${fd}/.`).mode & 0o7777) !== 0o700) chmodSync(`/proc/self/fd/${fd}/.`, 0o700);
    } finally {
      closeSync(fd);
    }
    this.#tree(entry, uid, depth);
  }
}
