/**
 * One of the two sides as a private mail system: directories of its own below the bench directory, ports on loopback, its log on,
 * started by `postfix start` as an administrator does. `remove` ends it and takes everything away.
 */
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createDirectories } from '../../src/server/mail-directories.ts';
import { freePort } from '../../test/ports.ts';
import { instanceAccounts } from '../accounts.mjs';
import { root } from '../install.mjs';
import { environmentWith, type DebianPostfix } from './debian-postfix.ts';
import { daemonEnvironment } from './main-cf.ts';
import { makeMeter, type Meter } from './meter.ts';
import { opens } from './ports.ts';
import { isAlive, proportionalMemory } from './process-tree.ts';
import { assertGoing, atEnd, runProgram, until } from './processes.ts';

export type Side = 'postern' | 'postfix';

/** What differs between the sides: where the programs lie and whom they run as. */
export interface Programs {
  readonly side: Side;
  readonly commands: string;
  readonly daemons: string;
  readonly owner: string;
  readonly group: string;
  readonly ownerId: number;
  readonly ownerGroupId: number;
  readonly groupId: number;
  /** Users put mail into the maildrop without the help of a set-gid program. */
  readonly forUsers: boolean;
  /** A name=value word for the environment of all programs. */
  readonly environment: string | undefined;
  readonly mainCf: string;
  writeMetaFiles(etc: string): void;
}

export function posternPrograms(): Programs {
  const { owner, group, uid, gid, groupId } = instanceAccounts();
  return {
    side: 'postern', commands: `${root}/bin`, daemons: `${root}/libexec`,
    owner, group, ownerId: uid, ownerGroupId: gid, groupId, forUsers: true, environment: undefined,
    mainCf: 'compatibility_level = 3.12\n', writeMetaFiles() {},
  };
}

export function postfixPrograms(debian: DebianPostfix): Programs {
  const { libraries, libraryPath, ...rest } = debian;
  return { ...rest, side: 'postfix', forUsers: false, environment: libraryPath, mainCf: `compatibility_level = 3.6\nshlib_directory = ${libraries}\n` };
}

const startLimit = 120_000;
const stopLimit = 30_000;
const goneLimit = 10_000;

function masterCf(port: number): string {
  const stock = readFileSync(`${root}/conf/master.cf`, 'latin1');
  return stock.replace(/^smtp[ \t]+inet[ \t].*$/m, `127.0.0.1:${port} inet n - n - - smtpd`);
}

export class MailSystem {
  readonly side: Side;
  readonly directory: string;
  readonly port: number;
  /** Where relayed mail goes. */
  readonly sinkPort: number;
  readonly programs: Programs;
  readonly #name: string;
  #meter: Meter | undefined;
  #stopping: Promise<void> = Promise.resolve();
  #forget = (): void => {};

  private constructor(programs: Programs, directory: string, name: string, ports: readonly [smtp: number, sink: number]) {
    this.programs = programs;
    this.side = programs.side;
    this.directory = directory;
    this.#name = name;
    [this.port, this.sinkPort] = ports;
  }

  /** `lines`: main.cf, but for what names places and ports. */
  static async create(programs: Programs, base: string, lines: string): Promise<MailSystem> {
    assertGoing();
    const ports = [await freePort(), await freePort()] as const;
    const name = `${programs.side}-${ports[0]}`;
    const system = new MailSystem(programs, `${base}/${name}`, name, ports);
    system.#forget = atEnd(() => system.remove());
    system.#makeDirectories();
    system.#writeSettings(lines);
    return system;
  }

  get etc(): string {
    return `${this.directory}/etc`;
  }

  get queue(): string {
    return `${this.directory}/queue`;
  }

  #makeDirectories(): void {
    const { ownerId, ownerGroupId, groupId, forUsers } = this.programs;
    mkdirSync(this.directory);
    chmodSync(this.directory, 0o755);
    mkdirSync(this.etc);
    createDirectories({
      queueDirectory: this.queue, dataDirectory: `${this.directory}/data`, owner: { uid: ownerId, gid: ownerGroupId }, setgidGroup: groupId,
      forUsers: forUsers && process.getuid!() === 0,
    });
  }

  #writeSettings(lines: string): void {
    const { programs, directory, etc } = this;
    programs.writeMetaFiles(etc);
    writeFileSync(`${etc}/master.cf`, masterCf(this.port));
    writeFileSync(`${etc}/main.cf`, `${programs.mainCf}queue_directory = ${this.queue}
data_directory = ${directory}/data
daemon_directory = ${programs.daemons}
command_directory = ${programs.commands}
meta_directory = ${etc}
mail_owner = ${programs.owner}
setgid_group = ${programs.group}
maillog_file = ${directory}/maillog
maillog_file_prefixes = ${directory}
relayhost = [127.0.0.1]:${this.sinkPort}
${daemonEnvironment(programs.environment)}${lines}`);
  }

  /** More lines for main.cf, before the start. */
  addLines(lines: string): void {
    appendFileSync(`${this.etc}/main.cf`, lines);
  }

  /** A name=value word more in the environment of the daemons. */
  setDaemonEnvironment(word: string): void {
    this.addLines(daemonEnvironment(this.programs.environment, word));
  }

  get environment(): NodeJS.ProcessEnv {
    return environmentWith(this.programs.environment);
  }

  /** Run one of its commands to the end. */
  async run(command: string, args: readonly string[], milliseconds = stopLimit): Promise<void> {
    await runProgram(`${this.programs.commands}/${command}`, args, milliseconds, { env: this.environment });
  }

  /** Words that run one of its commands where its CPU is counted. */
  counted(command: string, args: readonly string[]): [string, string[]] {
    return this.#meter!.counted(command, args);
  }

  /** `postfix start`, until its port takes connections. */
  async start(): Promise<void> {
    assertGoing();
    this.#meter = makeMeter(`bench-${process.pid}-${this.#name}`);
    const [command, args] = this.#meter.counted(`${this.programs.commands}/postfix`, ['-c', this.etc, 'start']);
    try {
      await runProgram(command, args, startLimit, { env: this.environment });
      this.#meter.root = this.#masterPid();
      await until(startLimit, `${this.#name} listens`, () => opens(this.port));
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.lastLog()}`);
    }
  }

  #masterPid(): number {
    const file = `${this.queue}/pid/master.pid`;
    return existsSync(file) ? Number(readFileSync(file, 'latin1')) : 0;
  }

  get meterWay(): string {
    return this.#meter!.way;
  }

  pids(): number[] {
    return this.#meter?.pids() ?? [];
  }

  /** Milliseconds of CPU since the start, of everything. */
  cpu(): number {
    return this.#meter!.cpu();
  }

  /** Megabytes and processes, now. */
  memory(): { pss: number; processes: number } {
    const pids = this.pids();
    return { pss: proportionalMemory(pids), processes: pids.length };
  }

  lastLog(lines = 8): string {
    const file = `${this.directory}/maillog`;
    return existsSync(file) ? readFileSync(file, 'latin1').trimEnd().split('\n').slice(-lines).join('\n') : '';
  }

  /** `postfix stop`; what is left after it is ended by its process id. Whoever calls while it goes on waits for the same end. */
  async stop(): Promise<void> {
    const meter = this.#meter;
    this.#meter = undefined;
    if (meter !== undefined) this.#stopping = this.#end(meter);
    await this.#stopping;
  }

  async #end(meter: Meter): Promise<void> {
    const pids = new Set(meter.pids());
    try {
      await this.run('postfix', ['-c', this.etc, 'stop']);
    } catch { /* it was not running, or does not listen: the next lines see to that */ }
    for (const pid of meter.pids()) pids.add(pid);
    const left = (): number[] => [...new Set([...pids, ...meter.pids()])].filter(isAlive);
    await until(goneLimit, 'gone', () => left().length === 0, 50).catch(() => { for (const pid of left()) process.kill(pid, 'SIGKILL'); });
    await until(goneLimit, `${this.#name} has ended`, () => left().length === 0, 50);
    meter.close();
  }

  async remove(): Promise<void> {
    try {
      await this.stop();
    } finally {
      this.#forget();
      rmSync(this.directory, { recursive: true, force: true });
    }
  }
}
