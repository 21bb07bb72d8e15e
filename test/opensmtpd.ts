/**
 * An OpenSMTPD of its own directories, from Debian's package (unpacked-packages.ts), next to ours: a peer that is no Postfix. It takes mail
 * for people of `opensmtpd.test` into Maildirs, and hands everything else to one port, where we listen: by STARTTLS for the domain `tls.test`,
 * in the clear for `clear.test`, and else as it likes. `stop` ends it and removes everything.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { eventually } from './instance.ts';
import { storedIn } from './maildir.ts';
import { accepts, freePort } from './ports.ts';
import type { Pair } from './tls-scene.ts';
import { accountFiles, inView, librariesOf, noUnpacked, unpacked } from './unpacked-packages.ts';

const name = 'opensmtpd';
const jail = '/var/lib/opensmtpd/empty';
/** Those it was built for, and one to deliver as; they are there in the view alone. */
const accounts = [{ name: 'opensmtpd', id: 64_111, home: jail }, { name: 'opensmtpq', id: 64_112, home: jail }, { name: 'vmail', id: 64_113, home: '/' }] as const;

/** Why there is none on this machine; false: there is one. */
export const noOpenSmtpd = noUnpacked(name);

export interface OpenSmtpdOptions {
  /** Where mail for others goes. */
  readonly nextPort: number;
  /** What it shows in STARTTLS, at the second port. */
  readonly pair: Pair;
  /** People of its domain. */
  readonly people: readonly string[];
}

export class OpenSmtpd {
  readonly directory: string;
  readonly port: number;
  readonly tlsPort: number;
  #daemon: ChildProcess | undefined;

  private constructor(directory: string, port: number, tlsPort: number) {
    this.directory = directory;
    this.port = port;
    this.tlsPort = tlsPort;
  }

  static async start(options: OpenSmtpdOptions): Promise<OpenSmtpd> {
    const house = new OpenSmtpd(mkdtempSync(`${tmpdir()}/opensmtpd-`), await freePort(), await freePort());
    const { directory } = house;
    chmodSync(directory, 0o755);
    for (const folder of ['spool', 'run', 'mail', 'lib', 'lib/opensmtpd', 'lib/opensmtpd/empty']) mkdirSync(`${directory}/${folder}`, { mode: 0o755 });
    chownSync(`${directory}/mail`, accounts[2].id, accounts[2].id);
    const { passwd, group } = accountFiles(accounts);
    writeFileSync(`${directory}/passwd`, passwd);
    writeFileSync(`${directory}/group`, group);
    writeFileSync(`${directory}/tls.key`, readFileSync(options.pair.key), { mode: 0o600 });
    writeFileSync(`${directory}/people`, options.people.map((each) => `${each}@opensmtpd.test vmail\n`).join(''));
    writeFileSync(`${directory}/smtpd.conf`, configuration(house, options), { mode: 0o644 });
    await house.again();
    return house;
  }

  /** Start it, anew after `end`. */
  async again(): Promise<void> {
    const [command, ...words] = this.#words('smtpd', '-d', '-f', `${this.directory}/smtpd.conf`);
    const log = openSync(`${this.directory}/log`, 'a');
    const daemon = spawn(command!, words, { stdio: ['ignore', log, log], env: environment() });
    closeSync(log);
    this.#daemon = daemon;
    await eventually('OpenSMTPD answers', () => {
      if (daemon.exitCode !== null) throw new Error(`OpenSMTPD ended with status ${daemon.exitCode}: ${this.log()}`);
      return accepts(this.port);
    });
  }

  /** Deliver all that waits, now. What it thinks of hosts that did not answer is forgotten with a new start alone. */
  async tryAgain(): Promise<void> {
    await this.end();
    await this.again();
    const [command, ...words] = this.#words('smtpctl', 'schedule', 'all');
    execFileSync(command!, words, { stdio: 'pipe', env: environment() });
  }

  #words(program: string, ...words: readonly string[]): string[] {
    const { directory } = this;
    const mounts = new Map([
      ['/etc/passwd', `${directory}/passwd`], ['/etc/group', `${directory}/group`], ['/var/spool', `${directory}/spool`], ['/run', `${directory}/run`],
      ['/var/lib', `${directory}/lib`], ['/usr/libexec', `${unpacked(name)}/usr/libexec`],
    ]);
    // smtpctl looks for the group that the package would have given it.
    const group = program === 'smtpctl' ? ['setpriv', `--egid=${accounts[1].id}`, '--keep-groups'] : [];
    return inView(mounts, [...group, `${unpacked(name)}/usr/sbin/${program}`, ...words]);
  }

  log(): string {
    return readFileSync(`${this.directory}/log`, 'latin1');
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

  async stop(): Promise<void> {
    await this.end();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

const environment = (): NodeJS.ProcessEnv => ({ ...process.env, LD_LIBRARY_PATH: librariesOf(unpacked(name)) });

const configuration = ({ directory, port, tlsPort }: OpenSmtpd, { nextPort, pair }: OpenSmtpdOptions): string => `pki opensmtpd.test cert "${pair.certificate}"
pki opensmtpd.test key "${directory}/tls.key"
table people file:${directory}/people
smtp max-message-size 1M
listen on 127.0.0.1 port ${port} hostname opensmtpd.test
listen on 127.0.0.1 port ${tlsPort} tls pki opensmtpd.test hostname opensmtpd.test
action "store" maildir "${directory}/mail/%{dest.user}" virtual <people>
action "next" relay host smtp://127.0.0.1:${nextPort}
action "clear" relay host smtp+notls://127.0.0.1:${nextPort}
action "tls" relay host smtp+tls://127.0.0.1:${nextPort} tls no-verify
match from any for domain "opensmtpd.test" action "store"
match from any for domain "clear.test" action "clear"
match from any for domain "tls.test" action "tls"
match from any for any action "next"
`;
