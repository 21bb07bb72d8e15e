/**
 * The other side: Debian's postfix, the installed one or a copy in a private directory. The same package brings the driver and the
 * sink (`smtp-source`, `smtp-sink`) that both sides are measured with.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';

export interface DebianPostfix {
  readonly version: string;
  /** Programs for the administrator, and the driver and the sink. */
  readonly commands: string;
  readonly daemons: string;
  readonly libraries: string;
  /** What makes its programs find libraries that are not where the system has them: a name=value word or nothing. */
  readonly libraryPath: string | undefined;
  readonly owner: string;
  readonly group: string;
  readonly ownerId: number;
  readonly ownerGroupId: number;
  readonly groupId: number;
  /** Fill the directory that is both config_directory and meta_directory. */
  writeMetaFiles(etc: string): void;
}

/** smtp-source and smtp-sink: where they lie and how they run. */
export interface TestPrograms {
  readonly commands: string;
  readonly environment: NodeJS.ProcessEnv;
}

export function testPrograms({ commands, libraryPath }: DebianPostfix): TestPrograms {
  return { commands, environment: environmentWith(libraryPath) };
}

/** This process's environment and a name=value word. */
export function environmentWith(word: string | undefined): NodeJS.ProcessEnv {
  if (word === undefined) return process.env;
  const equals = word.indexOf('=');
  return { ...process.env, [word.slice(0, equals)]: word.slice(equals + 1) };
}

const metaFiles = ['postfix-files', 'postfix-files.d', 'dynamicmaps.cf', 'dynamicmaps.cf.d'];

interface Account { readonly name: string; readonly id: number; readonly groupId: number }

function accounts(file: string): Account[] {
  return readFileSync(file, 'latin1').split('\n').map((line) => line.split(':')).filter((fields) => fields.length > 2)
    .map((fields) => ({ name: fields[0]!, id: Number(fields[2]), groupId: Number(fields[3]) }));
}

function firstOf(list: readonly Account[], names: readonly string[], what: string): Account {
  const found = names.map((name) => list.find((one) => one.name === name && one.id !== 0)).find((one) => one !== undefined);
  return found ?? (() => { throw new Error(`this machine has no ${what} among ${names.join(', ')}`); })();
}

function describe(root: string, version: string, libraryPath: string | undefined, metaSource: string): DebianPostfix {
  const owner = firstOf(accounts('/etc/passwd'), ['postfix', 'mail', 'news', 'daemon'], 'account');
  const group = firstOf(accounts('/etc/group').filter(({ id }) => id !== owner.groupId), ['postdrop', 'uucp', 'news', 'games'], 'group');
  return {
    version, libraryPath,
    commands: `${root}/usr/sbin`, daemons: `${root}/usr/lib/postfix/sbin`, libraries: `${root}/usr/lib/postfix`,
    owner: owner.name, group: group.name, ownerId: owner.id, ownerGroupId: owner.groupId, groupId: group.id,
    writeMetaFiles(etc) {
      for (const name of metaFiles) if (existsSync(`${metaSource}/${name}`)) cpSync(`${metaSource}/${name}`, `${etc}/${name}`, { recursive: true });
      if (!existsSync(`${etc}/dynamicmaps.cf`)) writeFileSync(`${etc}/dynamicmaps.cf`, '');
    },
  };
}

function installed(): DebianPostfix | undefined {
  if (!existsSync('/usr/lib/postfix/sbin/master') || !existsSync('/usr/sbin/smtp-source')) return undefined;
  const asked = spawnSync('dpkg-query', ['-W', '-f', '${Version}', 'postfix'], { encoding: 'latin1' });
  return describe('', asked.stdout?.trim() || 'of unknown version', undefined, '/etc/postfix');
}

/** Packages that an installation of postfix would bring to this machine, itself first. */
function wantedPackages(): string[] {
  const plan = spawnSync('apt-get', ['-s', 'install', '--no-install-recommends', 'postfix', 'postfix-cdb'], { encoding: 'latin1' });
  const named = [...(plan.stdout ?? '').matchAll(/^Inst (\S+)/gm)].map(([, name]) => name!);
  return [...new Set(['postfix', 'postfix-cdb', ...named.filter((name) => /^(?:lib|postfix)/.test(name))])];
}

function download(packages: readonly string[], directory: string): void {
  const options = { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] as ['ignore', 'ignore', 'pipe'], timeout: 180_000 };
  // apt drops its rights to an account that cannot write here.
  const words = ['-q', '-o', 'APT::Sandbox::User=root', 'download', ...packages];
  try {
    execFileSync('apt-get', words, options);
  } catch {
    execFileSync('apt-get', ['-q', 'update'], options);
    execFileSync('apt-get', words, options);
  }
}

/** Directories below `root` that hold shared libraries. */
function libraryDirectories(root: string): string[] {
  const places = ['usr/lib', 'lib'].map((name) => `${root}/${name}`).filter((name) => existsSync(name));
  return [`${root}/usr/lib/postfix`, ...places.flatMap((place) => readdirSync(place).filter((name) => name.endsWith('-linux-gnu')).map((name) => `${place}/${name}`))];
}

function fetched(directory: string): DebianPostfix {
  const root = `${directory}/debian`;
  mkdirSync(root, { recursive: true, mode: 0o755 });
  download(wantedPackages(), root);
  for (const name of readdirSync(root).filter((one) => one.endsWith('.deb'))) execFileSync('dpkg', ['-x', `${root}/${name}`, root]);
  const archive = readdirSync(root).find((name) => name.startsWith('postfix_'))!;
  const version = execFileSync('dpkg', ['-f', `${root}/${archive}`, 'Version'], { encoding: 'latin1' }).trim();
  return describe(root, version, `LD_LIBRARY_PATH=${libraryDirectories(root).join(':')}`, `${root}/etc/postfix`);
}

/** The installed one, or (as root, on a Debian) one fetched below `directory`; a thrown Error says why there is none. */
export function findDebianPostfix(directory: string, fresh: boolean): DebianPostfix {
  const found = fresh ? undefined : installed();
  if (found !== undefined) return found;
  if (!existsSync('/usr/bin/apt-get')) throw new Error("Debian's postfix is not installed, and there is no apt-get to fetch it with");
  console.log('bench: fetching Debian\'s postfix into a private directory');
  try {
    return fetched(directory);
  } catch (error) {
    throw new Error(`cannot fetch Debian's postfix: ${(error as Error).message}`);
  }
}
