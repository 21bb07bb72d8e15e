/**
 * A Postfix from Debian of its own directories, next to ours: the next hop of a story, or the one that ours is compared with. Only
 * root can run it. `stop` ends it and removes everything.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createDirectories } from '../src/server/mail-directories.ts';
import { eventually, type InstanceOptions } from './instance.ts';

/** Another build of Postfix, for those who have one. */
const daemons = process.env['POSTFIX_DAEMONS'] ?? '/usr/lib/postfix/sbin';

/** Why there is none on this machine; false: there is one. */
export function noDebianPostfix(): string | false {
  if (process.getuid!() !== 0) return 'only root can run a Postfix of Debian';
  return existsSync(`${daemons}/master`) ? false : "Debian's postfix is not installed";
}

function numbers(database: 'passwd' | 'group', name: string): [id: number, group: number] {
  const fields = execFileSync('getent', [database, name], { encoding: 'latin1' }).split(':');
  return [Number(fields[2]), Number(fields[3])];
}

export class DebianPostfix {
  readonly directory: string;
  #master: ChildProcess | undefined;
  #ended: Promise<unknown> = Promise.resolve();

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create({ mainCf = '', masterCf }: InstanceOptions): Promise<DebianPostfix> {
    const postfix = new DebianPostfix(mkdtempSync(`${tmpdir()}/debian-postfix-`));
    const { directory } = postfix;
    chmodSync(directory, 0o755);
    mkdirSync(`${directory}/etc`);
    writeFileSync(`${directory}/etc/main.cf`, `compatibility_level = 3.6
queue_directory = ${directory}/queue
data_directory = ${directory}/data
daemon_directory = ${daemons}
command_directory = /usr/sbin
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = ${directory}/maillog
maillog_file_prefixes = ${directory}
${mainCf}`);
    writeFileSync(`${directory}/etc/master.cf`, `${masterCf}postlog unix-dgram n - n - 1 postlogd\n`);
    const [uid, gid] = numbers('passwd', 'postfix');
    createDirectories({ queueDirectory: `${directory}/queue`, dataDirectory: `${directory}/data`, owner: { uid, gid }, setgidGroup: numbers('group', 'postdrop')[0] });
    return postfix;
  }

  /** Start master and wait until it serves. `around`: a command that runs it in other surroundings. */
  async start(around: readonly string[] = []): Promise<void> {
    const [command, ...words] = [...around, `${daemons}/master`, '-d', '-c', `${this.directory}/etc`];
    const master = spawn(command!, words, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    let said = '';
    master.stderr!.on('data', (chunk: Buffer) => { said += chunk.toString('latin1'); });
    this.#master = master;
    this.#ended = new Promise((resolve) => master.on('exit', resolve));
    const before = this.lines(/daemon started/).length;
    await eventually("Debian's master serves", () => {
      if (master.exitCode !== null) throw new Error(`Debian's master ended with status ${master.exitCode}: ${said}${this.log()}`);
      return this.lines(/daemon started/).length > before;
    });
  }

  get pid(): number {
    return this.#master!.pid!;
  }

  log(): string {
    return existsSync(`${this.directory}/maillog`) ? readFileSync(`${this.directory}/maillog`, 'latin1') : '';
  }

  /** Log lines that match. */
  lines(pattern: RegExp): string[] {
    return this.log().split('\n').filter((line) => pattern.test(line));
  }

  async end(): Promise<void> {
    if (this.#master?.exitCode === null && this.#master.signalCode === null) this.#master.kill('SIGTERM');
    await this.#ended;
    // A child that was just being started has the lock until it is another program.
    const lock = `${this.directory}/queue/pid/master.pid`;
    await eventually("the lock of Debian's master is free", () => !existsSync(lock) || spawnSync('flock', ['-n', lock, 'true']).status === 0);
  }

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
