/**
 * unix:passwd.byname and unix:group.byname: the system's accounts as a table, through the C library.
 *
 * The value is the line of passwd(5) or group(5). When not even root can be found the data base is out of reach: that is
 * trouble, not "not found". In a chroot jail the files as they were at the opening stand in for the C library.
 */
import { readFileSync } from 'node:fs';
import { errorText } from '../host/libc.ts';
import { getgrgid, getgrnam, getpwnam, getpwuid, type Account, type Group } from '../host/identity.ts';
import { hasChangedRoot } from '../host/process.ts';
import type { TableDriver, TableKind, Treatment } from './driver.ts';
import { TableTrouble, type TableContext } from './table.ts';

const passwdLine = (one: Account) => [one.name, one.password, one.uid, one.gid, one.gecos, one.home, one.shell].join(':');
const groupLine = (one: Group) => [one.name, one.password, one.gid, one.members.join(',')].join(':');

interface SystemTable {
  readonly what: string;
  /** Its file, and its name in nsswitch.conf(5). */
  readonly file: string;
  readonly source: string;
  find(key: string): string | undefined;
  works(): boolean;
}

const tables = new Map<string, SystemTable>([
  ['passwd.byname', {
    what: 'password', file: '/etc/passwd', source: 'passwd', find: (key) => lineOf(getpwnam(key), passwdLine), works: () => getpwuid(0) !== undefined,
  }],
  ['group.byname', { what: 'group', file: '/etc/group', source: 'group', find: (key) => lineOf(getgrnam(key), groupLine), works: () => getgrgid(0) !== undefined }],
]);

function lineOf<T>(found: T | undefined, write: (found: T) => string): string | undefined {
  return found === undefined ? undefined : write(found);
}

/** What a file of accounts says, for the time when it is out of reach. */
class Snapshot {
  readonly #lines = new Map<string, string>();
  readonly #complete: boolean;

  constructor({ file, source }: SystemTable) {
    for (const line of textOf(file).split('\n')) {
      const name = line.slice(0, Math.max(line.indexOf(':'), 0));
      if (name !== '' && !this.#lines.has(name)) this.#lines.set(name, line);
    }
    this.#complete = isFilesOnly(source);
  }

  find(key: string): string | undefined {
    const found = this.#lines.get(key);
    if (found === undefined && !this.#complete) throw new Error('a chroot jail, and /etc/nsswitch.conf names sources other than files');
    return found;
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** Sources that hold no accounts of people beyond those in the files. */
const quietSources: ReadonlySet<string> = new Set(['files', 'compat', 'systemd']);

/** nsswitch.conf(5): does this line name the files only? So it is without a line. */
function isFilesOnly(source: string): boolean {
  const line = textOf('/etc/nsswitch.conf').split('\n').find((each) => each.startsWith(`${source}:`)) ?? `${source}: files`;
  const words = line.slice(source.length + 1).replace(/#.*|\[[^\]]*\]/g, ' ').split(/[ \t]+/).filter((word) => word !== '');
  return words.every((word) => quietSources.has(word));
}

export function unixKind(name: string, _treatment: Treatment, context: TableContext): TableKind {
  const table = tables.get(name);
  const open = (): TableDriver => {
    if (!table) throw new Error(`unknown table: unix:${name}`);
    const snapshot = new Snapshot(table);
    let works = false;
    const ask = (key: string): string | undefined => {
      if (hasChangedRoot()) return snapshot.find(key);
      const found = table.find(key);
      works ||= found !== undefined || table.works();
      if (!works) throw new Error('not even root is there');
      return found;
    };
    const find = (key: string): string | undefined => {
      try {
        return ask(key);
      } catch (error) {
        const text = `cannot access UNIX ${table.what} database: ${errorText(error)}`;
        context.warn(text);
        throw new TableTrouble(`unix:${name}`, text);
      }
    };
    return { find };
  };
  const owner = { trusted: true, uid: undefined };
  return table === undefined ? { open, fixed: true, owner } : { open, fixed: true, owner, file: table.file, changes: 'replaced' };
}
