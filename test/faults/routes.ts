/**
 * A private mail system with every kind of way out: relay by SMTP, a virtual Maildir, a local mailbox, a program. And what has
 * arrived by all of them.
 */
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { journaled } from '../../src/queue/journal-listing.ts';
import { QueuePaths } from '../../src/queue/queue-paths.ts';
import { freePort, Instance, type InstanceOptions } from '../instance.ts';
import { openSink, type Sink, type SinkPlace } from './sink.ts';
import { masterRows } from '../master-rows.ts';

/** Whose mailbox and program: as root an account that is not the mail system's own; else ourselves. */
const localUser = process.getuid!() !== 0 ? userInfo().username : instanceAccounts().owner === 'nobody' ? 'daemon' : 'nobody';

/** Waits that are right for a machine and too long for a test. */
const impatience = `
service_throttle_time = 1s
transport_retry_time = 1s
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
stale_lock_time = 2s
deliver_lock_delay = 1s
`;

const rows = (port: number, stub: string): string => `127.0.0.1:${port} inet n - n - - smtpd
${masterRows('pickup cleanup qmgr rewrite bounce defer trace smtp error retry local virtual anvil')}
stub unix - n n - 1 pipe user=${localUser} argv=${stub}
`;

export interface RouteOptions extends Pick<InstanceOptions, 'below'> {
  /** Further lines of main.cf. */
  readonly mainCf?: string;
  readonly sink?: SinkPlace;
}

export class Routes {
  readonly instance: Instance;
  readonly port: number;
  readonly recipients: readonly string[];
  readonly #sink: Sink;
  readonly #taken: string[];
  readonly #files = new Map<string, string>();

  private constructor(instance: Instance, port: number, sink: Sink, taken: string[]) {
    this.instance = instance;
    this.port = port;
    this.#sink = sink;
    this.#taken = taken;
    this.recipients = ['joe@relay.example.test', 'joe@virtual.example.test', `${localUser}@local.example.test`, 'joe@pipe.example.test'];
  }

  static async open({ mainCf = '', sink: sinkPlace, ...place }: RouteOptions = {}): Promise<Routes> {
    const [port, taken] = [await freePort(), [] as string[]];
    const sink = await openSink((text) => taken.push(text), sinkPlace);
    const instance = await Instance.create({ masterCf: '', compiled: true, ...place });
    const { directory } = instance;
    instance.masterCf(rows(port, `${directory}/stub`));
    instance.mainCf(mainLines(directory, sink.port) + impatience + mainCf);
    makePlaces(directory);
    return new Routes(instance, port, sink, taken);
  }

  /** Everything that has arrived, by place. */
  *arrived(): Generator<readonly [place: string, text: string]> {
    const { directory } = this.instance;
    for (const text of this.#taken) yield ['sink', text];
    for (const [place, path] of [['maildir', `${directory}/mail/joe/new`], ['program', `${directory}/program`]] as const) {
      for (const name of names(path)) yield [`${place} ${name}`, this.#once(`${path}/${name}`)];
    }
    for (const name of names(`${directory}/spool`)) if (!name.endsWith('.lock')) yield ['mailbox', readFileSync(`${directory}/spool/${name}`, 'latin1')];
  }

  /** The text of each message that the relay took. */
  get relayed(): readonly string[] {
    return this.#taken;
  }

  /** Messages in the queue; what a killed process has left half-written is none. */
  queued(): string[] {
    const root = `${this.instance.directory}/queue`;
    const files = ['incoming', 'active', 'deferred', 'maildrop', 'corrupt', 'hold'].flatMap((queue) =>
      (readdirSync(`${root}/${queue}`, { recursive: true }) as string[]).map((name) => `${queue}/${name}`).filter((name) => isMessage(`${root}/${name}`)));
    // The segments are large: looked into only when it depends on them.
    return files.length > 0 ? files : Array.from(journaled(new QueuePaths({ hashQueueNames: '', hashQueueDepth: 1, root })), ({ queueId }) => `journal/${queueId}`);
  }

  async close(): Promise<void> {
    await this.#sink.close();
    await this.instance.stop();
  }

  /** Files in a Maildir and of the program do not change once they have their name. */
  #once(path: string): string {
    let text = this.#files.get(path);
    if (text === undefined) this.#files.set(path, (text = readFileSync(path, 'latin1')));
    return text;
  }
}

/** Without notices to postmaster: after errors of the disk they are further mail in the queue, for a host that nobody finds. */
function mainLines(directory: string, sinkPort: number): string {
  const { uid, gid } = instanceAccounts();
  return `
mydestination = local.example.test
alias_maps =
local_recipient_maps =
mail_spool_directory = ${directory}/spool
relay_domains = relay.example.test, pipe.example.test
transport_maps = inline:{{relay.example.test = smtp:[127.0.0.1]:${sinkPort}}, {pipe.example.test = stub:}}
virtual_mailbox_domains = virtual.example.test
virtual_mailbox_maps = inline:{{joe@virtual.example.test = joe/}}
virtual_mailbox_base = ${directory}/mail
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
virtual_minimum_uid = 1
smtpd_client_connection_count_limit = 0
notify_classes =
`;
}

function makePlaces(directory: string): void {
  const { uid, gid } = instanceAccounts();
  for (const [name, mode] of [['mail', 0o755], ['spool', 0o1777], ['program', 0o1777]] as const) {
    mkdirSync(`${directory}/${name}`);
    if (process.getuid!() === 0) chownSync(`${directory}/${name}`, uid, gid);
    chmodSync(`${directory}/${name}`, mode);
  }
  // Takes the message as a whole or not at all, as a program that delivers mail has to.
  writeFileSync(`${directory}/stub`, `#!/bin/sh\ncat > ${directory}/program/.$$ && mv ${directory}/program/.$$ ${directory}/program/msg.$$.$(date +%s%N)\n`, { mode: 0o755 });
  chmodSync(`${directory}/stub`, 0o755);
}

function isMessage(path: string): boolean {
  const status = statSync(path, { throwIfNoEntry: false });
  return status !== undefined && status.isFile() && (status.mode & 0o100) !== 0;
}

function names(path: string): string[] {
  try {
    return readdirSync(path).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
}
