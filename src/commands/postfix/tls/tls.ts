/**
 * postfix tls: opportunistic TLS turned on, and the keys and certificates of the SMTP server made, deployed and told to others.
 *
 * Keys are made here; certificates and requests are written by openssl(1). Nothing that is set is changed, but what is deployed. Ends with 0
 * when it did what was asked; what it refuses is a fatal line.
 */
import { existsSync, readFileSync } from 'node:fs';
import { getopt } from '../../../text/getopt.ts';
import type { Log } from '../../../log/log.ts';
import { runPostconf } from '../../within.ts';
import { print, type Situation } from '../situation.ts';
import { advice, clientAdvice, clientDeployed, serverAdvice, serverDeployed } from './advice.ts';
import { certificateDigest, keyDigest, keyKind, makeKey, readKey, type Algorithm, algorithms } from './keys.ts';
import { findOpenssl, selfSigned, signingRequest, type Openssl } from './openssl.ts';

/** TLS settings at their defaults are what the enabling commands ask for. */
const clientSettings = ['smtp_use_tls', 'smtp_enforce_tls', 'smtp_tls_enforce_peername', 'smtp_tls_security_level', 'smtp_tls_cert_file', 'smtp_tls_dcert_file', 'smtp_tls_eccert_file'];
const serverSettings = ['smtpd_use_tls', 'smtpd_enforce_tls', 'smtpd_tls_security_level', 'smtpd_tls_cert_file', 'smtpd_tls_dcert_file', 'smtpd_tls_eccert_file'];

export interface Session {
  readonly situation: Situation;
  /** As `postfix/postfix-tls-script`. */
  readonly log: Log;
  readonly openssl: Openssl;
}

interface Options {
  readonly values: ReadonlyMap<string, string>;
  readonly operands: readonly string[];
}

type Command = (session: Session, options: Options) => number | Promise<number>;

interface Form {
  readonly letters: string;
  readonly usage: string;
  /** How many operands; undefined: any number. */
  readonly operands?: number;
  readonly run: Command;
}

const keyOptions = '[-a algorithm] [-b bits ] [hostname ...]';

const commands: ReadonlyMap<string, Form> = new Map<string, Form>([
  ['enable-client', { letters: ':r:', usage: '[-r devrandom]', operands: 0, run: enableClient }],
  ['enable-server', { letters: ':a:b:r:', usage: '[-a algorithm] [-b bits ] [-r devrandom] [hostname ...]', run: enableServer }],
  ['new-server-key', { letters: ':a:b:', usage: keyOptions, run: (session, options) => newCertificate(session, options, '', false) }],
  ['new-server-cert', { letters: ':a:b:', usage: keyOptions, run: newServerCertificate }],
  ['deploy-server-cert', { letters: '', usage: 'certfile keyfile', operands: 2, run: deployServerCertificate }],
  ['output-server-csr', { letters: ':k:', usage: '[-k keyfile] [hostname ...]', run: outputRequest }],
  ['output-server-tlsa', { letters: ':h:', usage: '[-h hostname] [keyfile ...]', run: outputTlsa }],
  ['all-default-client', { letters: '', usage: '', operands: 0, run: ({ situation }) => (allDefault(situation, clientSettings) ? 0 : 1) }],
  ['all-default-server', { letters: '', usage: '', operands: 0, run: ({ situation }) => (allDefault(situation, serverSettings) ? 0 : 1) }],
]);

export async function tls(situation: Situation, [name = '', ...words]: readonly string[]): Promise<number> {
  const log = situation.voice('postfix-tls-script');
  const openssl = findOpenssl(situation.config, log);
  const form = commands.get(name);
  if (form === undefined) {
    log.error(`unknown tls command: '${name}'`);
    return log.fatal(`usage: postfix tls ${[...commands.keys()][0]} (or ${[...commands.keys()].slice(1).join(', ')})`);
  }
  const { found, operands, trouble } = getopt(words, form.letters.replace(/^:/, ''));
  if (trouble !== undefined || (form.operands !== undefined && operands.length !== form.operands)) return log.fatal(`usage: postfix tls ${name} ${form.usage}`.trimEnd());
  return form.run({ situation, log, openssl }, { values: new Map(found), operands });
}

function allDefault({ config }: Situation, names: readonly string[]): boolean {
  return names.every((name) => (config.settings.get(name)?.value ?? '') === '');
}

/** Several lines, each a line of the log. */
function tell(log: Log, text: string): void {
  for (const line of text.split('\n')) log.info(line);
}

async function set({ config, stderr }: Situation, settings: readonly string[]): Promise<number> {
  return (await runPostconf(config.directory, ['-e', ...settings], { stderr })).status;
}

/** Written into main.cf, so that TLS starts with a source of chance. */
function randomSource({ situation: { config }, log }: Session, given: string | undefined): string {
  const source = given || config.get('tls_random_source');
  if (source !== '') return source;
  if (!existsSync('/dev/urandom')) log.fatal('no default TLS random source defined and no /dev/urandom');
  return 'dev:/dev/urandom';
}

async function enableClient(session: Session, { values }: Options): Promise<number> {
  const { situation, log } = session;
  const random = randomSource(session, values.get('r'));
  if (!allDefault(situation, clientSettings)) return tell(log, clientAdvice), 0;
  const status = await set(situation, [
    'smtp_tls_security_level = may', 'smtp_tls_loglevel = 1',
    `smtp_tls_session_cache_database = lmdb:${situation.config.get('data_directory')}/smtp_scache`, `tls_random_source = ${random}`,
  ]);
  if (status === 0) tell(log, clientDeployed);
  return status;
}

async function enableServer(session: Session, options: Options): Promise<number> {
  const kind = algorithm(session, options);
  const random = randomSource(session, options.values.get('r'));
  if (allDefault(session.situation, serverSettings)) return newCertificate(session, options, '', true, random, kind);
  tell(session.log, serverAdvice);
  return 0;
}

function algorithm({ log }: Session, { values }: Options): { kind: Algorithm; bits: string } {
  const named = values.get('a') ?? 'rsa';
  if (named !== 'rsa' && named !== 'ecdsa') return log.fatal(`Unsupported private key algorithm: ${named}`);
  return { kind: named, bits: values.get('b') || algorithms[named].bits };
}

/** The server's own key is used again, as a copy, if it has one of this kind. */
async function newServerCertificate(session: Session, options: Options): Promise<number> {
  const { kind } = algorithm(session, options);
  let file = keyFile(session, kind);
  if (file !== '' && !existsSync(file)) {
    session.log.warning(`Key file: ${file} not found, creating new keys`);
    file = '';
  }
  return newCertificate(session, options, file, false);
}

async function newCertificate(session: Session, options: Options, oldKey: string, enables: boolean, random = '', { kind, bits } = algorithm(session, options)): Promise<number> {
  const { situation: { config }, log } = session;
  const stamp = new Date().toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const { prefix } = algorithms[kind];
  const [key, certificate] = ['key', 'cert'].map((what) => `${config.directory}/${prefix}${what}-${stamp}.pem`) as [string, string];
  if (existsSync(key)) return log.fatal(`New private key file already exists: ${key}`);
  if (existsSync(certificate)) return log.fatal(`New certificate file already exists: ${certificate}`);
  makeKey({ kind, bits, file: key, copyOf: oldKey }, log);
  const [host = '', ...others] = options.operands;
  selfSigned(session.openssl, { key, certificate, hosts: [hostname(session, host), ...others] }, log);
  if (enables && await deploy(session, certificate, key, true, random) !== 0) return 1;
  tell(log, advice({ certificate, key, deployed: enables, isNewKey: oldKey === '' }));
  return 0;
}

function hostname({ situation: { config } }: Session, given: string): string {
  const name = given || config.get('myhostname');
  return name.startsWith('/') ? readFileSync(Buffer.from(name, 'latin1'), 'latin1').trimEnd() : name;
}

/** From a path, or the name of an algorithm, which stands for what main.cf has; '' is none. */
function keyFile({ situation: { config } }: Session, named: string): string {
  const kind = named === 'rsa' || named === 'ecdsa' ? algorithms[named] : undefined;
  const file = kind === undefined ? named : config.has(kind.keyParameter) ? config.text(kind.keyParameter) : '';
  if (file === '' || file === 'none') return '';
  return file.startsWith('/') ? file : `${config.directory}/${file}`;
}

async function deployServerCertificate(session: Session, { operands }: Options): Promise<number> {
  const [certificate, key] = operands.map((path) => (path.startsWith('/') ? path : `${session.situation.config.directory}/${path}`)) as [string, string];
  if (await deploy(session, certificate, key, false) !== 0) return 1;
  tell(session.log, serverDeployed(false));
  return 0;
}

async function deploy({ situation, log }: Session, certificate: string, key: string, enables: boolean, random = ''): Promise<number> {
  const kind = keyKind(key, log);
  const ofCertificate = certificateDigest(certificate) ?? log.fatal('error computing certificate public key digest');
  if (ofCertificate !== keyDigest(key)) log.fatal(`Certificate in ${certificate} does not match key in ${key}`);
  const { keyParameter, certificateParameter } = algorithms[kind];
  return set(situation, [
    `${keyParameter} = ${key}`, `${certificateParameter} = ${certificate}`,
    ...(enables ? ['smtpd_tls_security_level = may', 'smtpd_tls_received_header = yes', 'smtpd_tls_loglevel = 1'] : []),
    ...(random === '' ? [] : [`tls_random_source = ${random}`]),
  ]);
}

function outputRequest(session: Session, { values, operands }: Options): number {
  const given = values.get('k');
  const file = given ? keyFile(session, given) : keyFile(session, 'rsa') || keyFile(session, 'ecdsa');
  if (file === '' || readKey(file) === undefined) return session.log.fatal('No usable keyfile specified or configured');
  const [host = '', ...others] = operands;
  print(session.situation, signingRequest(session.openssl, { key: file, hosts: [hostname(session, host), ...others] }, session.log));
  return 0;
}

function outputTlsa(session: Session, { values, operands }: Options): number {
  const host = hostname(session, values.get('h') ?? '');
  let found = false;
  for (const named of operands.length > 0 ? operands : ['rsa', 'ecdsa']) {
    const file = keyFile(session, named);
    if (file === '') continue;
    print(session.situation, `; ${file}\n`);
    keyKind(file, session.log);
    print(session.situation, `_25._tcp.${host}. IN TLSA 3 1 1 ${keyDigest(file)}\n`);
    found = true;
  }
  return found ? 0 : session.log.fatal('No usable keyfiles specified or configured');
}
