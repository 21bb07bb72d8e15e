/**
 * A private mail system for one test: its own directories below the system's temporary directory, ephemeral ports on loopback,
 * run by the sources as they are. `stop` ends it and removes everything; a test that forgets leaves a process behind.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { instanceAccounts } from '../tools/accounts.mjs';
import { hasLmdb } from '../src/host/lmdb.ts';
import { createDirectories } from '../src/server/mail-directories.ts';

export { freePort } from './ports.ts';

const sources = fileURLToPath(new URL('../src/daemons/start.ts', import.meta.url));
const built = fileURLToPath(new URL('../dist/daemons/start.cjs', import.meta.url));
const root = fileURLToPath(new URL('..', import.meta.url));
const childFlags = ['--disable-sigusr1', '--max-semi-space-size=1'];

/** The type of indexed tables that this machine has the library for; cdb needs none. */
export const indexedType = hasLmdb() ? 'lmdb' : 'cdb';

export interface InstanceOptions {
  /** Lines of main.cf behind the usual ones. */
  readonly mainCf?: string;
  readonly masterCf: string;
  /** Run what `npm run build` made, as an installed mail system does: it starts faster and is smaller. `npm test` builds first. */
  readonly compiled?: boolean;
  /** Where its directory is made; else below the system's temporary directory. */
  readonly below?: string;
}

/** Look again and again until `found` gives something; fails with `what` after half a minute. */
export async function eventually<T>(what: string, found: () => T | Promise<T>): Promise<NonNullable<T>> {
  for (let turn = 0; turn < 1500; turn++) {
    const value = await found();
    if (value !== undefined && value !== null && value !== false) return value as NonNullable<T>;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`did not happen: ${what}`);
}

export class Instance {
  readonly directory: string;
  readonly #script: string;
  #master: ChildProcess | undefined;
  #ended: Promise<number | null> = Promise.resolve(null);

  private constructor(directory: string, script: string) {
    this.directory = directory;
    this.#script = script;
  }

  static async create(options: InstanceOptions): Promise<Instance> {
    if (options.compiled && !existsSync(built)) throw new Error(`${built} is missing: run "npm run build"`);
    const instance = new Instance(mkdtempSync(`${options.below ?? os.tmpdir()}/postern-test-`), options.compiled ? built : sources);
    chmodSync(instance.directory, 0o755);
    mkdirSync(`${instance.directory}/etc`);
    const { owner, group, uid, gid, groupId } = instanceAccounts();
    writeFileSync(`${instance.directory}/etc/main.cf`, `compatibility_level = 3.12
queue_directory = ${instance.directory}/queue
data_directory = ${instance.directory}/data
daemon_directory = ${root}libexec
command_directory = ${root}bin
mail_owner = ${owner}
setgid_group = ${group}
maillog_file = ${instance.directory}/maillog
maillog_file_prefixes = ${instance.directory}
default_database_type = ${indexedType}
inet_interfaces = loopback-only
myhostname = host.example.test
${options.mainCf ?? ''}`);
    instance.masterCf(options.masterCf);
    createDirectories({
      queueDirectory: `${instance.directory}/queue`, dataDirectory: `${instance.directory}/data`, owner: { uid, gid }, setgidGroup: groupId,
      forUsers: process.getuid!() === 0,
    });
    return instance;
  }

  /** Another master for the same directories. */
  twin(): Instance {
    return new Instance(this.directory, this.#script);
  }

  masterCf(text: string): void {
    writeFileSync(`${this.directory}/etc/master.cf`, text);
  }

  mainCfText(): string {
    return readFileSync(`${this.directory}/etc/main.cf`, 'latin1');
  }

  /** Append to main.cf. */
  mainCf(text: string): void {
    writeFileSync(`${this.directory}/etc/main.cf`, text, { flag: 'a' });
  }

  /** Start master and wait until it serves. `around`: a command that runs it in other surroundings. */
  async start(around: readonly string[] = []): Promise<void> {
    const [command, ...words] = [...around, process.execPath, ...childFlags, this.#script, 'master', '-s', '-c', `${this.directory}/etc`];
    const master = spawn(command!, words, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    master.stderr!.on('data', (chunk: Buffer) => { said += chunk.toString('latin1'); });
    this.#master = master;
    this.#ended = new Promise((resolve) => master.on('exit', resolve));
    const before = this.lines(/daemon started/).length;
    await eventually('master serves', () => {
      if (master.exitCode !== null) throw new Error(`master ended with status ${master.exitCode}: ${said}`);
      return this.lines(/daemon started/).length > before;
    });
  }

  get pid(): number {
    return this.#master!.pid!;
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Process ids of master's children, by process title. */
  children(): Map<number, string> {
    const found = new Map<number, string>();
    const list = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, 'latin1');
    for (const pid of list.split(' ').filter((word) => word !== '').map(Number)) {
      try {
        found.set(pid, readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')[0]!);
      } catch {
        // gone meanwhile
      }
    }
    return found;
  }

  /** Process ids of everything that works below the queue directory, whoever started it. */
  inhabitants(): number[] {
    const queue = `${this.directory}/queue`;
    return readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).map(Number).filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/cwd`).startsWith(queue);
      } catch {
        return false; // gone meanwhile, or a stranger's
      }
    });
  }

  /** kill -9 of all of it at once: master first, so that nothing is started again. */
  async killAll(): Promise<void> {
    if (this.#master === undefined) return;
    if (this.#master.exitCode === null && this.#master.signalCode === null) this.signal('SIGKILL');
    for (const pid of this.inhabitants()) killQuietly(pid);
    await this.#ended;
    await eventually('all processes are gone', () => {
      const left = this.inhabitants();
      for (const pid of left) killQuietly(pid);
      return left.length === 0;
    });
  }

  log(): string {
    return existsSync(`${this.directory}/maillog`) ? readFileSync(`${this.directory}/maillog`, 'latin1') : '';
  }

  /** Log lines that match. */
  lines(pattern: RegExp): string[] {
    return this.log().split('\n').filter((line) => pattern.test(line));
  }

  /** SIGTERM, and master's exit status. */
  async end(): Promise<number | null> {
    if (this.#master?.exitCode === null && this.#master.signalCode === null) this.signal('SIGTERM');
    return this.#ended;
  }

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone meanwhile
  }
}
