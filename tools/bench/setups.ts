/**
 * The setups that workloads name: which lines main.cf gets, what else a mail system needs, what sends, and where it arrives.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MailboxArrivals, MaildirArrivals, SinkArrivals, smtpSink, type Arrivals } from './arrivals.ts';
import { environmentWith, type TestPrograms } from './debian-postfix.ts';
import { sendmailDriver, smtpSource, tlsDriver, type Driver } from './drivers.ts';
import type { MailSystem } from './mail-system.ts';
import { ehloKeywords } from './ports.ts';
import { noSlowDisk, SlowDisk } from './slow-disk.ts';
import type { ReceiveOrder } from './smtp-receive.ts';
import { destinationTable, makeTable, restrictionLines, restrictionTables } from './tables.ts';
import type { SetupName } from './workloads.ts';

export interface Setup {
  /** Why it cannot be measured on this machine. */
  readonly missing?: () => string | undefined;
  /** Make what main.cf's lines need, before the start. The answer is the lines. */
  readonly prepare?: (system: MailSystem) => string | Promise<string>;
  /** Asked when it runs: why this side cannot do it yet. */
  readonly notYet?: (system: MailSystem) => Promise<string | undefined>;
  readonly driver?: Driver;
  readonly arrivals?: (system: MailSystem, test: TestPrograms) => Arrivals;
  /** Where messages go, when not to the sink. */
  readonly to?: readonly string[];
  /** Flushes so far, where they are counted. */
  readonly flushes?: (system: MailSystem) => number;
}

const mailboxUsers = ['mail', 'news', 'games', 'uucp', 'daemon', 'lp', 'man', 'nobody'];

function accountOf(name: string): readonly [uid: number, gid: number] | undefined {
  const fields = readFileSync('/etc/passwd', 'latin1').split('\n').map((line) => line.split(':')).find(([first]) => first === name);
  return fields === undefined ? undefined : [Number(fields[2]), Number(fields[3])];
}

/** Four accounts of this machine that are nobody's login. */
function fourUsers(): string[] {
  return mailboxUsers.filter((name) => accountOf(name) !== undefined).slice(0, 4);
}

function ownDirectory(system: MailSystem, name: string, mode: number, [uid, gid]: readonly [number, number]): string {
  const path = `${system.directory}/${name}`;
  mkdirSync(path);
  if (process.getuid!() === 0) chownSync(path, uid, gid);
  chmodSync(path, mode);
  return path;
}

function prepareMaildir(system: MailSystem): string {
  const [uid, gid] = process.getuid!() === 0 ? accountOf('mail')! : [process.getuid!(), process.getgid!()];
  const path = ownDirectory(system, 'mail', 0o755, [uid, gid]);
  return `virtual_mailbox_domains = virtual.test
virtual_mailbox_base = ${path}
virtual_mailbox_maps = static:box/
virtual_minimum_uid = 1
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
`;
}

function prepareMailbox(system: MailSystem): string {
  return `mail_spool_directory = ${ownDirectory(system, 'spool', 0o1777, [0, 0])}\n`;
}

/** The indexed table type for a side: one that both have, else each its own. */
const tableTypes = new Map<string, string>();

function supportedTypes(system: MailSystem): string[] {
  const output = execFileSync(`${system.programs.commands}/postconf`, ['-c', system.etc, '-m'], { env: environmentWith(system.programs.environment), encoding: 'latin1' });
  return output.split('\n').map((line) => line.trim());
}

function tableType(system: MailSystem): string {
  let type = tableTypes.get(system.side);
  if (type === undefined) {
    const types = supportedTypes(system);
    type = ['cdb', 'lmdb', 'hash'].find((name) => types.includes(name)) ?? 'texthash';
    tableTypes.set(system.side, type);
  }
  return type;
}

async function prepareRestrictions(system: MailSystem): Promise<string> {
  const type = tableType(system);
  for (const [name, text] of Object.entries(restrictionTables)) await makeTable(system, type, name, text);
  return restrictionLines((name) => `${type}:${system.etc}/${name}`);
}

/** More numbers than any run of the bench counts to. */
const destinationNumbers = 10_000;

async function prepareDestinations(system: MailSystem): Promise<string> {
  const type = tableType(system);
  await makeTable(system, type, 'transport', destinationTable(system.sinkPort, destinationNumbers));
  return `transport_maps = ${type}:${system.etc}/transport\n`;
}

const certificateFiles = (system: MailSystem): { key: string; certificate: string } => ({ key: `${system.directory}/tls-key.pem`, certificate: `${system.directory}/tls-certificate.pem` });

function noOpenssl(): string | undefined {
  return spawnSync('openssl', ['version']).status === 0 ? undefined : 'no openssl to make a certificate with';
}

function prepareTlsIn(system: MailSystem): string {
  const { key, certificate } = certificateFiles(system);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=bench.test', '-keyout', key, '-out', certificate], { stdio: ['ignore', 'ignore', 'pipe'] });
  return `smtpd_tls_cert_file = ${certificate}\nsmtpd_tls_key_file = ${key}\nsmtpd_tls_security_level = may\n`;
}

const prepareTls = (system: MailSystem): string => `${prepareTlsIn(system)}smtp_tls_security_level = encrypt\n`;

async function noStartTls(system: MailSystem): Promise<string | undefined> {
  return (await ehloKeywords(system.port)).includes('STARTTLS') ? undefined : 'STARTTLS is not offered';
}

/** postconf tells of settings that nothing heeds yet. */
async function noClientTls(system: MailSystem): Promise<string | undefined> {
  const { stderr } = spawnSync(`${system.programs.commands}/postconf`, ['-c', system.etc, '-n'], { env: environmentWith(system.programs.environment), encoding: 'latin1' });
  return stderr.includes('smtp_tls_security_level') ? 'the SMTP client does not use TLS' : noStartTls(system);
}

const receive = fileURLToPath(new URL('smtp-receive.ts', import.meta.url));

/** A sink of our own; with the certificate of the system that it serves when `secure`. */
export function nodeSink(system: MailSystem, secure: boolean): SinkArrivals {
  const order: ReceiveOrder = { port: system.sinkPort, ...(secure ? certificateFiles(system) : {}) };
  return new SinkArrivals(system.sinkPort, [process.execPath, receive, JSON.stringify(order)]);
}

const slowDisks = new Map<MailSystem, SlowDisk>();

/** Named in the environment of its daemons: a launcher may clear LD_PRELOAD, and the master flushes nothing that a message waits for. */
function prepareSlowDisk(system: MailSystem): string {
  const disk = new SlowDisk(system.directory);
  slowDisks.set(system, disk);
  system.setDaemonEnvironment(`LD_PRELOAD=${disk.library}`);
  return '';
}

const rootOnly = (): string | undefined => (process.getuid!() === 0 ? undefined : 'only root delivers to other accounts');

export const setups: { readonly [name in SetupName]: Setup } = {
  relay: {},
  maildir: { prepare: prepareMaildir, to: ['user@virtual.test'], arrivals: (system) => new MaildirArrivals([`${system.directory}/mail/box`]) },
  mailbox: {
    missing: rootOnly, prepare: prepareMailbox, to: fourUsers().map((name) => `${name}@local.test`),
    arrivals: (system) => new MailboxArrivals(fourUsers().map((name) => `${system.directory}/spool/${name}`)),
  },
  submission: { driver: sendmailDriver },
  tls: { missing: noOpenssl, prepare: prepareTls, notYet: noClientTls, driver: tlsDriver, arrivals: (system) => nodeSink(system, true) },
  'tls-in': { missing: noOpenssl, prepare: prepareTlsIn, notYet: noStartTls, driver: tlsDriver },
  restrictions: { prepare: prepareRestrictions },
  'slow-disk': { missing: noSlowDisk, prepare: prepareSlowDisk, flushes: (system) => slowDisks.get(system)?.count() ?? 0 },
  destinations: { prepare: prepareDestinations, arrivals: (system, test) => smtpSink(test, system.sinkPort, '0.0.0.0') },
};

export function driverOf(setup: Setup, test: TestPrograms): Driver {
  return setup.driver ?? smtpSource(test);
}

export function arrivalsOf(setup: Setup, system: MailSystem, test: TestPrograms): Arrivals {
  return setup.arrivals?.(system, test) ?? smtpSink(test, system.sinkPort);
}
