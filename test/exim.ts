/**
 * An Exim of its own directories, from Debian's package (unpacked-packages.ts), next to ours: a peer that is no Postfix. It takes mail for
 * `exim.test` into Maildirs and hands everything else to one port, where we listen. `stop` ends it and removes everything.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { eventually } from './instance.ts';
import { storedIn } from './maildir.ts';
import { accepts, freePort } from './ports.ts';
import type { Pair } from './tls-scene.ts';
import { accountFiles, inView, librariesOf, noUnpacked, unpacked } from './unpacked-packages.ts';

const name = 'exim4-daemon-light';
/** The account that Debian's Exim was built for; it is there in the view alone. */
const account = { name: 'Debian-exim', id: 64_101, home: '/' };

/** Why there is none on this machine; false: there is one. */
export const noExim = noUnpacked(name);

export interface EximOptions {
  /** Where mail for others goes. */
  readonly nextPort: number;
  /** What it shows in STARTTLS. */
  readonly pair: Pair;
  /** Who has a mailbox; mail for others comes back, unless `rcpt` refuses it. */
  readonly people: readonly string[];
  /** Lines of the ACL for RCPT, before everything is accepted. */
  readonly rcpt?: string;
  /** Lines of the ACL for the end of the content, likewise. */
  readonly content?: string;
  /** Lines of the transport for others. */
  readonly transport?: string;
}

export class Exim {
  readonly directory: string;
  readonly port: number;
  #daemon: ChildProcess | undefined;

  private constructor(directory: string, port: number) {
    this.directory = directory;
    this.port = port;
  }

  static async start(options: EximOptions): Promise<Exim> {
    const exim = new Exim(mkdtempSync(`${tmpdir()}/exim-`), await freePort());
    const { directory } = exim;
    chmodSync(directory, 0o755);
    for (const folder of ['spool', 'log', 'mail']) {
      mkdirSync(`${directory}/${folder}`);
      chownSync(`${directory}/${folder}`, account.id, account.id);
    }
    const { passwd, group } = accountFiles([account]);
    writeFileSync(`${directory}/passwd`, passwd);
    writeFileSync(`${directory}/group`, group);
    writeFileSync(`${directory}/tls.key`, readFileSync(options.pair.key), { mode: 0o400 });
    chownSync(`${directory}/tls.key`, account.id, account.id);
    writeFileSync(`${directory}/exim.conf`, configuration(directory, exim.port, options), 'latin1');
    await exim.again();
    return exim;
  }

  /** Start the daemon, anew after `end`. */
  async again(): Promise<void> {
    const [command, ...words] = this.#words(['-bdf', '-oX', `127.0.0.1.${this.port}`]);
    const daemon = spawn(command!, words, { stdio: ['ignore', 'ignore', 'pipe'], env: this.#environment });
    let said = '';
    daemon.stderr!.on('data', (bytes: Buffer) => { said += bytes.toString('latin1'); });
    this.#daemon = daemon;
    await eventually('Exim answers', () => {
      if (daemon.exitCode !== null) throw new Error(`Exim ended with status ${daemon.exitCode}: ${said}${this.log()}`);
      return accepts(this.port);
    });
  }

  /** Run its program for something else than being a daemon; what it prints. */
  run(...words: readonly string[]): string {
    const [command, ...rest] = this.#words(words);
    return execFileSync(command!, rest, { encoding: 'latin1', env: this.#environment, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  log(): string {
    return ['main', 'reject', 'panic'].map((kind) => `${this.directory}/log/${kind}log`).filter((file) => existsSync(file)).map((file) => readFileSync(file, 'latin1')).join('');
  }

  lines(pattern: RegExp): string[] {
    return this.log().split('\n').filter((line) => pattern.test(line));
  }

  /** Messages that were stored for this local part. */
  stored(localPart: string): string[] {
    return storedIn(`${this.directory}/mail/${localPart}`);
  }

  async end(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = new Promise((resolve) => daemon.on('exit', resolve));
    daemon.kill('SIGTERM');
    await ended;
  }

  /** Deliveries end on their own, soon. */
  async stop(): Promise<void> {
    await this.end();
    await eventually("Exim's deliveries have ended", () => !this.#works());
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  #works(): boolean {
    return readdirSync('/proc').some((pid) => /^[0-9]+$/.test(pid) && commandLine(pid).includes(`${this.directory}/exim.conf`));
  }

  #words(words: readonly string[]): string[] {
    const mounts = new Map([['/etc/passwd', `${this.directory}/passwd`], ['/etc/group', `${this.directory}/group`]]);
    return inView(mounts, [`${unpacked(name)}/usr/sbin/exim4`, '-C', `${this.directory}/exim.conf`, ...words]);
  }

  get #environment(): NodeJS.ProcessEnv {
    return { ...process.env, LD_LIBRARY_PATH: librariesOf(unpacked(name)) };
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return ''; // gone meanwhile
  }
}

const configuration = (directory: string, port: number, { nextPort, pair, people, rcpt = '', content = '', transport = '' }: EximOptions): string => `primary_hostname = exim.test
exim_path = ${unpacked(name)}/usr/sbin/exim4
keep_environment = LD_LIBRARY_PATH
spool_directory = ${directory}/spool
log_file_path = ${directory}/log/%slog
pid_file_path = ${directory}/spool/exim.pid
daemon_smtp_ports = ${port}
local_interfaces = 127.0.0.1
disable_ipv6
host_lookup =
rfc1413_query_timeout = 0s
deliver_drop_privilege
log_selector = +smtp_confirmation +pipelining +received_recipients +outgoing_port +tls_cipher
tls_advertise_hosts = *
tls_certificate = ${pair.certificate}
tls_privatekey = ${directory}/tls.key
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
chunking_advertise_hosts = *
message_size_limit = 1M
smtp_accept_max_per_connection = 1000
acl_smtp_mail = accept
acl_smtp_rcpt = rcpt
acl_smtp_data = content
qualify_domain = exim.test

begin acl
rcpt:
${rcpt}
  accept
content:
${content}
  accept

begin routers
mailboxes:
  driver = accept
  domains = exim.test : *.exim.test
  local_parts = ${people.join(' : ')}
  transport = maildir
unknown:
  driver = redirect
  domains = exim.test : *.exim.test
  allow_fail
  data = :fail: nobody has this name
others:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = others

begin transports
maildir:
  driver = appendfile
  maildir_format
  create_directory
  directory = ${directory}/mail/$local_part_data
  user = ${account.name}
others:
  driver = smtp
  port = ${nextPort}
  interface = 127.0.0.1
  tls_verify_certificates =
  connect_timeout = 5s
${transport}

begin retry
* * F,1h,1s
`;
