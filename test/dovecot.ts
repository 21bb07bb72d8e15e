/**
 * A private Dovecot that only authenticates, for tests: its own directories below the system's temporary directory, a socket there and
 * one at a port of loopback. Only root can run it. `stop` ends it and removes everything.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { eventually } from './instance.ts';
import { accepts, freePort } from './ports.ts';

const program = '/usr/sbin/dovecot';

/** Why there is none on this machine; false: there is one. */
export const noDovecot: string | false = process.getuid!() !== 0 ? 'only root can run a Dovecot'
  : existsSync(program) && existsSync('/usr/lib/dovecot/auth') ? false : `${program} is not installed`;

export interface DovecotOptions {
  /** As in auth_mechanisms. */
  readonly mechanisms?: string;
  /** Password by name. */
  readonly users: Readonly<Record<string, string>>;
  readonly port?: number;
  /** Further lines of its configuration. */
  readonly more?: string;
}

export class Dovecot {
  readonly directory: string;
  readonly port: number;
  #master: ChildProcess | undefined;

  private constructor(directory: string, port: number) {
    this.directory = directory;
    this.port = port;
  }

  static async start({ mechanisms = 'plain login cram-md5', users, port, more = '' }: DovecotOptions): Promise<Dovecot> {
    const dovecot = new Dovecot(mkdtempSync(`${tmpdir()}/dovecot-`), port ?? await freePort());
    const { directory } = dovecot;
    chmodSync(directory, 0o755);
    writeFileSync(`${directory}/users`, Object.entries(users).map(([name, password]) => `${name}:{PLAIN}${password}::::::\n`).join(''));
    chmodSync(`${directory}/users`, 0o644);
    writeFileSync(`${directory}/dovecot.conf`, configuration(directory, dovecot.port, mechanisms) + more);
    await dovecot.again();
    return dovecot;
  }

  /** The path of its socket. */
  get socket(): string {
    return `${this.directory}/auth`;
  }

  log(): string {
    return existsSync(`${this.directory}/log`) ? readFileSync(`${this.directory}/log`, 'latin1') : '';
  }

  /** Start it, anew after `end`. */
  async again(): Promise<void> {
    const master = spawn(program, ['-F', '-c', `${this.directory}/dovecot.conf`], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    master.stderr!.on('data', (bytes: Buffer) => { said += bytes.toString('latin1'); });
    this.#master = master;
    await eventually('Dovecot answers', () => {
      if (master.exitCode !== null) throw new Error(`Dovecot ended with status ${master.exitCode}: ${said}${this.log()}`);
      return accepts(this.port);
    });
  }

  async end(): Promise<void> {
    const master = this.#master;
    if (master === undefined || master.exitCode !== null || master.signalCode !== null) return;
    const children = readFileSync(`/proc/${master.pid}/task/${master.pid}/children`, 'latin1').split(' ').filter((word) => word !== '');
    const ended = new Promise((resolve) => master.on('exit', resolve));
    master.kill('SIGTERM');
    await ended;
    // Its children follow, some not before their clients have gone.
    for (const pid of children) endQuietly(Number(pid));
    await eventually("Dovecot's children are gone", () => !children.some((pid) => existsSync(`/proc/${pid}`)));
  }

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function endQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // gone meanwhile
  }
}

const configuration = (directory: string, port: number, mechanisms: string): string => `base_dir = ${directory}/run
state_dir = ${directory}/state
instance_name = ${directory.slice(directory.lastIndexOf('/') + 1)}
protocols =
ssl = no
log_path = ${directory}/log
auth_mechanisms = ${mechanisms}
disable_plaintext_auth = no
auth_failure_delay = 0
auth_verbose = yes
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u ${directory}/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}
# No pauses for those who have failed lately.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  unix_listener ${directory}/auth {
    mode = 0666
  }
  inet_listener {
    address = 127.0.0.1
    port = ${port}
  }
}
`;
