/**
 * A disk whose power can be cut: what was not flushed to it is gone, also what the file system had handed to the disk without asking it
 * to flush.
 *
 * Two file systems, one in the other. The inner one is the one under test. What it lies on is a file of the outer one, the platter;
 * the outer one's page cache is the disk's volatile cache, and a flush of the inner one is an fsync of that file. The cut shuts
 * the platter down at one instant without writing anything back (FS_IOC_SHUTDOWN): every later write fails, and when both are mounted
 * again, only what had reached the platter is there. Root only.
 */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

export type FileSystem = 'ext4' | 'xfs';

const usualMegabytes = 320;
/** Nothing of the file system's own accord: no early write-back of renamed files, commits only when asked for. */
const options: Readonly<Record<FileSystem, string>> = { ext4: 'loop,noauto_da_alloc,commit=60', xfs: 'loop' };
const run = promisify(execFile);
const environment = { ...process.env, PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin` };

/** Why no disk can be cut here; undefined: it can. For `skip`. */
export function noCutDisk(): string | undefined {
  if (process.getuid!() !== 0) return 'needs root';
  if (!existsSync('/dev/loop-control')) return 'needs loop devices';
  const missing = ['mkfs.ext4', 'mkfs.xfs', 'xfs_io', 'losetup'].find((name) => !['/usr/sbin', '/sbin', '/usr/bin'].some((place) => existsSync(`${place}/${name}`)));
  return missing === undefined ? undefined : `needs ${missing}`;
}

export class CutDisk {
  readonly fileSystem: FileSystem;
  readonly #base: string;
  readonly #megabytes: number;

  private constructor(fileSystem: FileSystem, base: string, megabytes: number) {
    this.fileSystem = fileSystem;
    this.#base = base;
    this.#megabytes = megabytes;
  }

  static async create(fileSystem: FileSystem, megabytes = usualMegabytes): Promise<CutDisk> {
    const base = mkdtempSync(`${os.tmpdir()}/postern-disk-`);
    chmodSync(base, 0o755);
    for (const name of ['memory', 'platter', 'disk']) mkdirSync(`${base}/${name}`);
    const disk = new CutDisk(fileSystem, base, megabytes);
    try {
      await disk.#make();
    } catch (error) {
      await disk.remove();
      throw error;
    }
    return disk;
  }

  /** Where it is mounted. */
  get path(): string {
    return `${this.#base}/disk`;
  }

  async #make(): Promise<void> {
    const base = this.#base;
    const megabytes = this.#megabytes;
    // Others may copy all mounts for a name space of their own: what is unmounted here is to be unmounted there too, or the disk stays busy.
    await tool('mount', '--bind', base, base);
    await tool('mount', '--make-shared', base);
    await tool('mount', '-t', 'tmpfs', '-o', `size=${megabytes + 64}m,mode=755`, 'platter', `${base}/memory`);
    await tool('truncate', '-s', `${megabytes + 48}M`, `${base}/memory/platter`);
    // Without a journal of its own: what it holds is one file, all of whose blocks are there from the start.
    await tool('mkfs.ext4', '-q', '-O', '^has_journal', '-m', '0', `${base}/memory/platter`);
    await this.#mountPlatter();
    await tool('dd', 'if=/dev/zero', `of=${base}/platter/disk`, 'bs=1M', `count=${megabytes}`, 'conv=fsync', 'status=none');
    await tool(`mkfs.${this.fileSystem}`, '-q', `${base}/platter/disk`);
    await this.#mount();
  }

  #mountPlatter(): Promise<void> {
    return tool('mount', '-o', 'loop,nodiscard,noatime', `${this.#base}/memory/platter`, `${this.#base}/platter`);
  }

  #mount(): Promise<void> {
    return tool('mount', '-o', options[this.fileSystem], `${this.#base}/platter/disk`, this.path);
  }

  /** Everything there is now is on the platter. */
  async sync(): Promise<void> {
    await tool('sync', '-f', this.path);
  }

  /** The power goes. From now on every write fails. */
  cut(): void {
    execFileSync('xfs_io', ['-r', '-F', '-x', '-c', 'shutdown', `${this.#base}/platter`], { env: environment, stdio: 'ignore' });
  }

  /** The power comes back: the file system recovers what it has. Nobody may use it any more. */
  async restore(): Promise<void> {
    await this.#unmount();
    await this.#mountPlatter();
    await this.#mount();
  }

  async #unmount(): Promise<void> {
    for (const name of ['disk', 'platter']) await unmount(`${this.#base}/${name}`);
  }

  async remove(): Promise<void> {
    await this.#unmount();
    await unmount(`${this.#base}/memory`);
    // Directory by directory: should something still be mounted there, nothing in it is removed.
    for (const name of ['disk', 'platter', 'memory']) rmdirSync(`${this.#base}/${name}`);
    await unmount(this.#base);
    rmdirSync(this.#base);
  }
}

async function tool(name: string, ...argv: string[]): Promise<void> {
  await run(name, argv, { env: environment });
}

/** A process that was killed may need a moment until it has let go, and a name space that has copied the mounts until it is gone: half a minute. */
async function unmount(path: string): Promise<void> {
  for (let left = 600; ; left--) {
    try {
      return await tool('umount', path);
    } catch (error) {
      if (/not mounted|no mount point/.test((error as { stderr?: string }).stderr ?? '')) return;
      if (left <= 1) throw error;
      await pause(50);
    }
  }
}
