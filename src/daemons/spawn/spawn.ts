/**
 * spawn(8): for each client runs a command whose standard input, output and error are the client's connection.
 *
 * The connection itself is handed over: nothing passes through here. The command runs as the user of the row, never as root or as the mail system, in a
 * session of its own, and is killed with its offspring when `service_time_limit` is over. What becomes of it is only logged: the client sees its connection close.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type net from 'node:net';
import { constants } from 'node:os';
import { exportedEnvironment, commandPath, nativeText } from '../../delivery/environment.ts';
import { asUser, getpwnam, isRoot } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import type { Log } from '../../log/log.ts';
import type { Clock } from '../../server/clock.ts';
import type { Daemon, Service, Session, Tools } from '../../server/daemon.ts';
import { spawnAttributes, type SpawnAttributes } from './attributes.ts';

const parameters = ['mail_owner', 'export_environment'] as const;

export const daemon: Daemon = {
  card: {
    name: 'spawn',
    summary: 'runs a command for each client',
    group: 'delivery',
    calls: [],
    privileges: { user: 'recipient', network: false, writes: [] },
    row: '#policy   unix  -       n       n       -       0       spawn',
    standards: [],
  },
  open,
};

function open({ row, config, log, clock }: Tools): Service {
  const view = config.view(parameters);
  const owner = getpwnam(view.mail_owner);
  if (owner === undefined) return log.fatal(`file ${config.directory}/main.cf: parameter mail_owner: unknown user name: ${view.mail_owner}`);
  const command = commandOf(row.args, owner, log);
  const environment = exportedEnvironment(view.export_environment);
  const limit = config.transport(row.service, '_time_limit') * 1000;
  const program = new Program(command, environment, limit, clock);
  return { client: ({ socket, log: voice }: Session) => program.run(socket, voice) };
}

function commandOf(args: readonly string[], owner: { uid: number; gid: number }, log: Log): SpawnAttributes {
  try {
    const command = spawnAttributes(args, { uid: owner.uid, gid: owner.gid, lone: isRoot() ? undefined : process.geteuid!() });
    if (isRoot() || command.uid === process.geteuid!()) return command;
    return log.fatal(`cannot run ${command.argv[0]} as uid ${command.uid}: the mail system does not run as root`);
  } catch (error) {
    return log.fatal((error as Error).message);
  }
}

interface Ended { readonly status: number | null; readonly signal: NodeJS.Signals | null }

class Program {
  readonly #command: SpawnAttributes;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #limit: number;
  readonly #clock: Clock;

  constructor(command: SpawnAttributes, environment: Readonly<Record<string, string>>, limit: number, clock: Clock) {
    this.#command = command;
    this.#environment = environment;
    this.#limit = limit;
    this.#clock = clock;
  }

  /** Until the command has ended. The client's first bytes may be there already: nothing may be waited for before the command has the connection. */
  async run(socket: net.Socket, log: Log): Promise<void> {
    const [name] = this.#command.argv;
    const child = this.#start(socket);
    // Our end of it; the command has its own.
    socket.destroy();
    const { status, signal } = await this.#ended(child, log);
    if (signal !== null) log.warning(`command ${name} killed by signal ${signalNumber(signal)}`);
    else if (status !== 0) log.warning(`command ${name} exit status ${status}`);
  }

  #start(socket: net.Socket): ChildProcess {
    const { uid, gid, argv } = this.#command;
    const words = argv.map((word) => nativeText(word) ?? word);
    const env: Record<string, string> = { ...this.#environment, PATH: commandPath };
    const rights = isRoot() ? { uid, gid } : {};
    return spawn(words[0]!, words.slice(1), { ...rights, env, detached: true, stdio: [socket, socket, socket] });
  }

  #ended(child: ChildProcess, log: Log): Promise<Ended> {
    const [name] = this.#command.argv;
    return new Promise((resolve) => {
      const timer = this.#clock.after(this.#limit, () => {
        log.warning(`${name}: process id ${child.pid}: command time limit exceeded`);
        this.#kill(child, log);
      });
      const finish = (ended: Ended): void => {
        timer.cancel();
        resolve(ended);
      };
      child.once('exit', (status, signal) => finish({ status, signal }));
      child.once('error', (error) => {
        log.warning(`spawn_command: execvp ${name}: ${errorText(error)}`);
        finish({ status: 1, signal: null });
      });
    });
  }

  #kill({ pid }: ChildProcess, log: Log): void {
    if (pid === undefined) return;
    try {
      asUser(this.#command, () => process.kill(-pid, 'SIGKILL'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') log.warning(`kill process group ${pid}: ${errorText(error)}`);
    }
  }
}

function signalNumber(signal: NodeJS.Signals): number {
  return constants.signals[signal];
}
