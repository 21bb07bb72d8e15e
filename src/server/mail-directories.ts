/**
 * The directories of the mail system, with Postfix's owners and modes: created when missing, never changed when there.
 *
 * As root they get their proper owners; for an ordinary user everything is that user's own. Throws Node's errors.
 * Where no set-gid postdrop(1) brings users' mail into the maildrop, two directories are made so that users reach it themselves
 * (docs/decisions/local-submission.md).
 */
import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';

export interface DirectorySettings {
  readonly queueDirectory: string;
  readonly dataDirectory: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Group id of setgid_group. */
  readonly setgidGroup: number;
  /** Users reach public/pickup and the maildrop without the help of a set-gid program. */
  readonly forUsers?: boolean;
}

export interface MailDirectory {
  /** Below queue_directory; '' is itself. */
  readonly name: string;
  readonly mode: number;
  readonly owner: 'root' | 'owner';
  /** Must belong to setgid_group. */
  readonly shared?: true;
}

/** postfix-files: what stands in the queue directory, and the journal. */
export const queueDirectories: readonly MailDirectory[] = [
  { name: '', mode: 0o755, owner: 'root' },
  ...['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'journal', 'private', 'saved', 'tlstrace', 'trace']
    .map((name) => ({ name, mode: 0o700, owner: 'owner' as const })),
  { name: 'maildrop', mode: 0o730, owner: 'owner', shared: true },
  { name: 'public', mode: 0o710, owner: 'owner', shared: true },
  { name: 'pid', mode: 0o755, owner: 'root' },
];

/** Users may go through public, and put files into maildrop that only they, and the mail owner's group, can read. */
const directoriesForUsers: ReadonlyMap<string, MailDirectory> = new Map<string, MailDirectory>([
  ['maildrop', { name: 'maildrop', mode: 0o3733, owner: 'owner' }],
  ['public', { name: 'public', mode: 0o711, owner: 'owner', shared: true }],
]);

/** What stands in the queue directory, with the modes for users who reach it themselves or not. */
export function directoriesFor(users = false): readonly MailDirectory[] {
  return users ? queueDirectories.map((directory) => directoriesForUsers.get(directory.name) ?? directory) : queueDirectories;
}

/** Is there a program through which users get into the maildrop with the rights of this group? */
export function hasSetgidPostdrop(commandDirectory: string, setgidGroup: number): boolean {
  const found = statSync(`${commandDirectory}/postdrop`, { throwIfNoEntry: false });
  return found !== undefined && (found.mode & 0o2010) === 0o2010 && found.gid === setgidGroup;
}

/** The paths that were missing and are there now. */
export function createDirectories(settings: DirectorySettings): string[] {
  const { queueDirectory, dataDirectory, owner, setgidGroup } = settings;
  const created: string[] = [];
  const make = (path: string, mode: number, uid: number, gid: number): void => {
    if (createDirectory(path, mode, uid, gid)) created.push(path);
  };
  for (const { name, mode, owner: whose, shared } of directoriesFor(settings.forUsers)) {
    const path = name === '' ? queueDirectory : `${queueDirectory}/${name}`;
    make(path, mode, whose === 'root' ? 0 : owner.uid, shared ? setgidGroup : whose === 'root' ? 0 : owner.gid);
  }
  make(dataDirectory, 0o700, owner.uid, owner.gid);
  return created;
}

function createDirectory(path: string, mode: number, uid: number, gid: number): boolean {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  if (process.geteuid!() === 0) chownSync(path, uid, gid);
  chmodSync(path, mode);
  return true;
}
