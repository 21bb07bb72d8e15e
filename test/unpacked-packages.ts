/**
 * Debian packages that cannot be installed beside the others: fetched with apt-get and unpacked, once for all tests, into a directory below
 * the system's temporary directory. Their programs run in a view of their own of the file system (mounts that nobody else sees), so they find
 * accounts, spools and settings at the places that they were built for. Nothing is installed, no set-uid bit survives. Needs root, apt-get and unshare(1).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';

const cache = `${tmpdir()}/postern-unpacked-${process.getuid!()}`;
const modeBits = 0o6000;

/** What lies in the cache was put there by us: others may read it, and nobody else can have written it. */
function openCache(): void {
  mkdirSync(cache, { recursive: true, mode: 0o755 });
  const found = lstatSync(cache);
  if (!found.isDirectory() || found.uid !== process.getuid!() || (found.mode & 0o022) !== 0) throw new Error(`${cache} is not ours`);
  chmodSync(cache, 0o755);
}

/** A package's own libraries, those that this machine has not, come with it. */
function wanted(name: string): string[] {
  const plan = spawnSync('apt-get', ['-s', '-q', 'install', '--no-install-recommends', name], { encoding: 'latin1' });
  return [name, ...[...plan.stdout.matchAll(/^Inst (lib\S+)/gm)].map(([, library]) => library!)];
}

function download(packages: readonly string[], directory: string): void {
  // apt drops its rights to an account that cannot write here.
  const fetch = (): void => void execFileSync('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', 'download', ...packages], { cwd: directory, stdio: 'pipe', timeout: 120_000 });
  try {
    fetch();
  } catch {
    execFileSync('apt-get', ['-q', 'update'], { stdio: 'pipe', timeout: 120_000 });
    fetch();
  }
}

function plainModes(directory: string): void {
  for (const name of readdirSync(directory, { recursive: true }).map(String)) {
    const { mode } = lstatSync(`${directory}/${name}`);
    if ((mode & 0o170000) === 0o100000 && (mode & modeBits) !== 0) chmodSync(`${directory}/${name}`, mode & 0o777);
  }
}

/** Where the package is unpacked; an Error says why it is not. */
export function unpacked(name: string): string {
  openCache();
  const place = `${cache}/${name}`;
  if (existsSync(place)) return place;
  const fresh = mkdtempSync(`${cache}/.new-`);
  try {
    download(wanted(name), fresh);
    for (const archive of readdirSync(fresh).filter((file) => file.endsWith('.deb'))) {
      execFileSync('dpkg', ['-x', `${fresh}/${archive}`, fresh]);
      rmSync(`${fresh}/${archive}`);
    }
    plainModes(fresh);
    chmodSync(fresh, 0o755);
    try {
      renameSync(fresh, place);
    } catch (error) {
      // Another test was quicker.
      if (!existsSync(place)) throw error;
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return place;
}

/** Why its programs cannot run here; false: they can, and they are there now. */
export function noUnpacked(name: string): string | false {
  if (process.getuid!() !== 0) return `only root can run ${name} of a private directory`;
  for (const program of ['/usr/bin/apt-get', '/usr/bin/dpkg', '/usr/bin/unshare']) if (!existsSync(program)) return `${program} is missing`;
  if (spawnSync('unshare', ['-m', 'true']).status !== 0) return 'no file system view of its own can be made here (unshare -m)';
  try {
    unpacked(name);
    return false;
  } catch (error) {
    return `${name} cannot be fetched: ${(error as Error).message.split('\n')[0]}`;
  }
}

/** Directories of shared libraries of an unpacked package, for LD_LIBRARY_PATH. */
export function librariesOf(place: string): string {
  const parents = ['usr/lib', 'lib'].map((name) => `${place}/${name}`).filter((name) => existsSync(name));
  return parents.flatMap((parent) => readdirSync(parent).filter((name) => name.endsWith('-linux-gnu')).map((name) => `${parent}/${name}`)).join(':');
}

export interface Account { readonly name: string; readonly id: number; readonly home: string }

/** The machine's own accounts and these, as passwd and group have them. */
export function accountFiles(accounts: readonly Account[]): { readonly passwd: string; readonly group: string } {
  const others = (file: string): string => readFileSync(file, 'latin1').split('\n').filter((line) => line !== '' && !accounts.some(({ name }) => line.startsWith(`${name}:`))).map((line) => `${line}\n`).join('');
  return {
    passwd: others('/etc/passwd') + accounts.map(({ name, id, home }) => `${name}:x:${id}:${id}::${home}:/bin/sh\n`).join(''),
    group: others('/etc/group') + accounts.map(({ name, id }) => `${name}:x:${id}:\n`).join(''),
  };
}

/** Words of a command that runs another one with `mounts` (what is seen where) in its view; it becomes that one, with the same process id. */
export function inView(mounts: ReadonlyMap<string, string>, words: readonly string[]): string[] {
  const script = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 99; shift 2; done; shift; exec "$@"';
  return ['unshare', '-m', '--', 'sh', '-c', script, 'sh', ...[...mounts].flatMap(([where, what]) => [what, where]), '--', ...words];
}
