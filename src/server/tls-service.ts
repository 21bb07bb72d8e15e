/**
 * TLS of one service that speaks SMTP (smtpd, postscreen): what main.cf asks for becomes one server that is kept, with its keys, its
 * tickets and its log.
 *
 * Keys are read before privileges are dropped. Mistakes in them are warnings in Postfix's words and leave the service without TLS: a
 * client then hears 454. Renewed files are used as soon as they are complete; where they may not be read any more, the process makes way
 * for a new one that may.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { nodeTls } from '../host/node-tls.ts';
import type net from 'node:net';
import type tls from 'node:tls';
import type { Log } from '../log/log.ts';
import { cipherList } from '../network/tls-ciphers.ts';
import { ChainTrouble, type Chain } from '../network/tls-chains.ts';
import type { TlsFacts } from '../network/tls-facts.ts';
import { certificatesOf, FileWatch, readChains, type KeyFiles } from '../network/tls-files.ts';
import { certificateLine, summaryLine, untrustedLine, type LogMask } from '../network/tls-log.ts';
import { groupList, libraryOptions, protocolRange } from '../network/tls-protocols.ts';
import { isKnownGroup, TlsServer, type Peer, type TlsServerOptions } from '../network/tls-server.ts';
import { SessionCache } from '../network/tls-session-cache.ts';
import { lowerAscii, splitList } from '../text/ascii.ts';
import type { MaybePromise } from '../text/maybe.ts';
import type { Tools } from './daemon.ts';
import { SharedTickets } from './tls-tickets.ts';

/** What main.cf says, by the names of smtpd's parameters without `smtpd_`; those for all services with their full names. */
export interface TlsServiceSettings {
  /** In front of the names of parameters in the log. */
  readonly prefix: 'smtpd' | 'postscreen' | 'tlsproxy';
  readonly level: TlsLevel;
  readonly tls_chain_files: string;
  readonly tls_cert_file: string;
  readonly tls_key_file: string;
  readonly tls_dcert_file: string;
  readonly tls_dkey_file: string;
  readonly tls_eccert_file: string;
  readonly tls_eckey_file: string;
  readonly tls_CAfile: string;
  readonly tls_CApath: string;
  readonly tls_ask_ccert: boolean;
  readonly tls_req_ccert: boolean;
  readonly tls_ccert_verifydepth: number;
  readonly tls_fingerprint_digest: string;
  readonly tls_protocols: string;
  readonly tls_mandatory_protocols: string;
  readonly tls_ciphers: string;
  readonly tls_mandatory_ciphers: string;
  readonly tls_exclude_ciphers: string;
  readonly tls_mandatory_exclude_ciphers: string;
  readonly tls_dh1024_param_file: string;
  readonly starttls_timeout: number;
  /** What there is in bad times (`stress`). */
  readonly hurried_timeout?: number;
  readonly tls_session_cache_timeout: number;
  /** '': only clients with tickets resume sessions. */
  readonly tls_session_cache_database: string;
  readonly tls_append_default_CA: boolean;
  readonly tls_high_cipherlist: string;
  readonly tls_medium_cipherlist: string;
  readonly tls_null_cipherlist: string;
  readonly tls_eecdh_auto_curves: string;
  readonly tls_ffdhe_auto_groups: string;
  readonly tls_preempt_cipherlist: boolean;
  readonly tls_ssl_options: string;
  readonly tls_disable_workarounds: string;
  readonly tls_session_ticket_cipher: string;
  readonly tlsmgr_service_name: string;
}

/** What a service brings along. */
export interface TlsServiceParts {
  readonly settings: TlsServiceSettings;
  /** How much the log says, of a client and else. */
  readonly levels: { readonly usual: LogMask; of(client: TlsClient): MaybePromise<LogMask> };
  /** Keys for the server name that a client asks for; undefined: the same for all. */
  readonly chainsFor: TlsServerOptions['chainsFor'];
  /** The facts of a session are wanted in full, whatever the log says. */
  readonly wantsDetails: boolean;
}

/** `label` is what the log calls it. */
export interface TlsClient {
  readonly label: string;
  readonly name: string;
  readonly address: string;
}

/** Legacy and present ways to say it, brought together. */
export interface TlsLevel {
  /** STARTTLS is offered, or the session begins with a handshake. */
  readonly isUsed: boolean;
  readonly isRequired: boolean;
  readonly isWrapped: boolean;
  /** No AUTH without encryption. */
  readonly authOnly: boolean;
}

/** Milliseconds between looks at keys that do not fit together, and in all, when a process starts. */
const attemptPause = 250;
const patience = 5000;

/** An encrypted socket, ready for SMTP; undefined: there is none, and the log knows why. */
export type Secured = { readonly socket: tls.TLSSocket; readonly facts: TlsFacts } | undefined;

export class TlsService {
  readonly level: TlsLevel;
  readonly requiresCertificate: boolean;
  readonly #tools: Tools;
  readonly #parts: TlsServiceParts;
  readonly #tickets: SharedTickets;
  readonly #files: KeyFiles;
  #server: TlsServer | undefined;
  /** What a server is made of; undefined: there is to be none. */
  #options: TlsServerOptions | undefined;
  #watch: FileWatch | undefined;
  #used = '';
  #ciphers = '';

  constructor(tools: Tools, parts: TlsServiceParts) {
    const { settings } = parts;
    this.#tools = tools;
    this.#parts = parts;
    this.level = settings.level;
    this.requiresCertificate = settings.tls_req_ccert && this.level.isRequired;
    this.#files = keyFiles(settings);
    this.#tickets = new SharedTickets(tools, settings.tlsmgr_service_name);
    if (this.level.isUsed && canServe(settings, tools.log)) this.#prepare();
    else if (this.level.isUsed) tools.log.warning("No server certs available. TLS won't be enabled");
  }

  /**
   * Reads the keys, while privileges last. A set that does not fit together is probably being written: the service waits for it a
   * moment rather than serve without TLS.
   */
  async open(): Promise<void> {
    if (this.#options === undefined) return;
    this.#watchFiles();
    for (let left = patience; ; left -= attemptPause) {
      const trouble = this.#make(this.#options);
      if (trouble === undefined) return;
      if (left <= 0 || !(trouble instanceof ChainTrouble) || trouble.isOutOfReach) {
        for (const line of linesOf(trouble)) this.#tools.log.warning(line);
        return;
      }
      await new Promise<void>((resolve) => { this.#tools.clock.after(attemptPause, resolve); });
    }
  }

  get service(): string {
    return this.#tools.row.service;
  }

  /** Can a handshake be begun? */
  get isReady(): boolean {
    return this.#server !== undefined;
  }

  /** After privileges were dropped. */
  start(): void {
    if (this.#server !== undefined && this.#hasTickets) this.#tickets.start();
  }

  close(): void {
    this.#tickets.close();
    this.#watch?.close();
  }

  /** The service nears its limit of clients: this handshake gets no more time than there is for such times. */
  hurry(socket: net.Socket): void {
    const { starttls_timeout: usual, hurried_timeout: seconds = usual } = this.#parts.settings;
    if (seconds < usual) this.#tools.clock.after(seconds * 1000, () => this.#server?.abandon(socket), true);
  }

  async handshake(socket: net.Socket, client: TlsClient, log: Log): Promise<Secured> {
    const mask = await this.#parts.levels.of(client);
    const peer: Peer = { label: client.label, info: (text) => log.info(text), warning: (text) => log.warning(text) };
    if (mask.verbose) {
      log.info(`setting up TLS connection from ${client.label}`);
      log.info(`${client.label}: TLS cipher list "${this.#ciphers}"`);
    }
    const result = await this.#server!.handshake(socket, peer, mask.summary || this.#parts.wantsDetails);
    if ('trouble' in result) {
      log.info(`SSL_accept error from ${client.label}: ${result.trouble}`);
      for (const problem of result.problems) log.warning(problem);
      return undefined;
    }
    this.#logSession(result, client, log, mask);
    return result;
  }

  #logSession({ facts, wasKept }: { readonly facts: TlsFacts; readonly wasKept: boolean }, { label }: TlsClient, log: Log, mask: LogMask): void {
    if (mask.cache && facts.reused) log.info(`${lowerAscii(label)}: Reusing old session${wasKept ? '' : ' (RFC 5077 session ticket)'}`);
    if (facts.peer !== undefined) {
      if (mask.verbose || mask.peerCertificate) log.info(certificateLine(facts, label));
      if (!facts.peer.trusted && (mask.untrusted || this.requiresCertificate)) log.info(untrustedLine(facts, label, this.#parts.settings.tls_ccert_verifydepth));
    }
    if (mask.summary) log.info(summaryLine(facts, label));
  }

  get #hasTickets(): boolean {
    const { tls_session_ticket_cipher: cipher, tls_session_cache_timeout: timeout } = this.#parts.settings;
    return cipher !== '' && timeout > 0;
  }

  #sessions(): SessionCache | undefined {
    const { tls_session_cache_database: database, tls_session_cache_timeout: timeout } = this.#parts.settings;
    return database === '' || timeout <= 0 ? undefined : new SessionCache(this.#tools.clock, timeout);
  }

  get #wantsClients(): boolean {
    return this.#parts.settings.tls_ask_ccert || this.requiresCertificate;
  }

  #prepare(): void {
    const { log } = this.#tools;
    if (this.#parts.levels.usual.verbose) log.info('initializing the server-side TLS engine');
    try {
      const options = this.#optionsOf();
      if (typeof options === 'string') log.warning(options);
      else this.#options = options;
    } catch (error) {
      for (const line of linesOf(error as Error)) log.warning(line);
    }
  }

  /** Undefined: there is a server now. */
  #make(options: TlsServerOptions): Error | undefined {
    try {
      const chains = readChains(this.#files);
      this.#server = new TlsServer(options, chains);
      this.#used = textOf(chains);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  /** The options, or why there can be no TLS. */
  #optionsOf(): TlsServerOptions | string {
    const wantsClients = this.#wantsClients;
    const { settings } = this.#parts;
    const { isRequired } = this.level;
    const protocolsText = isRequired ? settings.tls_mandatory_protocols : settings.tls_protocols;
    const protocols = protocolRange(protocolsText);
    if (protocols === undefined) return `Invalid TLS protocol list "${protocolsText}": disabling TLS support`;
    const exclusions = [settings.tls_exclude_ciphers, ...(isRequired ? [settings.tls_mandatory_exclude_ciphers] : []), ...(wantsClients ? ['aNULL'] : [])];
    const lists = { high: settings.tls_high_cipherlist, medium: settings.tls_medium_cipherlist, none: settings.tls_null_cipherlist };
    const securityLevel = this.requiresCertificate ? 1 : 0;
    const ciphers = cipherList({ grade: isRequired ? settings.tls_mandatory_ciphers : settings.tls_ciphers, exclusions, securityLevel }, lists);
    if ('trouble' in ciphers) return `${ciphers.trouble}: disabling TLS support`;
    this.#ciphers = ciphers.list;
    const digest = digestNamed(settings.tls_fingerprint_digest);
    if (digest === undefined) return `Digest algorithm "${settings.tls_fingerprint_digest}" not found: disabling TLS support`;
    return {
      service: this.#tools.row.service, protocols, ciphers: ciphers.list, securityLevel, digest, asksCertificate: wantsClients,
      options: libraryOptions(settings.tls_ssl_options, settings.tls_disable_workarounds, (text) => this.#tools.log.warning(text)),
      groups: groupList([settings.tls_eecdh_auto_curves, settings.tls_ffdhe_auto_groups], isKnownGroup), dhparam: this.#dhparam(),
      prefersOwnCiphers: settings.tls_preempt_cipherlist, authorities: this.#authorities(), depth: settings.tls_ccert_verifydepth,
      timeout: settings.starttls_timeout * 1000, sessionLifetime: 2 * settings.tls_session_cache_timeout, hasTickets: this.#hasTickets, tickets: this.#tickets.keys,
      sessions: this.#sessions(),
      chainsFor: this.#parts.chainsFor,
    };
  }

  #dhparam(): string {
    const file = this.#parts.settings.tls_dh1024_param_file;
    if (file === '' || file === 'auto') return 'auto';
    try {
      return readFileSync(Buffer.from(file, 'latin1'), 'latin1');
    } catch (error) {
      this.#tools.log.warning(`error opening DH parameter file "${file}": ${(error as Error).message}: using compiled-in defaults`);
      return 'auto';
    }
  }

  #authorities(): string[] {
    const { tls_CAfile: file, tls_CApath: path, tls_append_default_CA: adds } = this.#parts.settings;
    if (file === '' && path === '') return [];
    const isWanted = this.#wantsClients;
    try {
      // A file that is not there ends TLS even where nobody is asked for a certificate, as in Postfix.
      const found = certificatesOf(file, isWanted ? path : '');
      return isWanted ? [...found, ...(adds ? nodeTls().getCACertificates('system') : [])] : [];
    } catch (error) {
      const what = [...(file === '' ? [] : [`CAfile="${file}"`]), ...(path === '' ? [] : [`CApath="${path}"`])].join(', ');
      this.#tools.log.info(`cannot load Certification Authority data, ${what}: disabling TLS support`);
      throw error;
    }
  }

  #watchFiles(): void {
    const { clock, log } = this.#tools;
    const { chainFiles, single } = this.#files;
    const files = chainFiles.length > 0 ? chainFiles : single.flatMap(([, certificate, key]) => (certificate === '' ? [] : [certificate, key]));
    if (files.length > 0) this.#watch = new FileWatch(files, clock, () => this.#renew(), (text) => log.warning(text));
  }

  /** Files have changed. A set that is not complete is left alone: more will come. */
  #renew(): void {
    const { log, restart } = this.#tools;
    let chains: Chain[];
    try {
      chains = readChains(this.#files);
      if (textOf(chains) === this.#used) return;
    } catch (error) {
      if (isForbidden(error as Error)) return restart('TLS certificate or key file has changed -- restarting');
      for (const line of linesOf(error as Error)) log.warning(line);
      return log.warning('TLS certificate or key file has changed and cannot be used: keeping the keys so far');
    }
    try {
      if (this.#server === undefined) this.#server = new TlsServer(this.#options!, chains);
      else this.#server.exchange(chains);
      this.#used = textOf(chains);
      log.info('TLS certificate or key file has changed: using the new keys');
    } catch (error) {
      for (const line of linesOf(error as Error)) log.warning(line);
    }
  }
}

/** What canServe() looks at. */
export type KeySettings = Pick<TlsServiceSettings, 'prefix' | 'level' | 'tls_chain_files' | 'tls_cert_file' | 'tls_key_file' | 'tls_dcert_file' | 'tls_dkey_file' | 'tls_eccert_file' | 'tls_eckey_file'
  | 'tls_ask_ccert' | 'tls_req_ccert'>;

/** Is there anything to serve with? Warns of what does not go together. */
export function canServe(settings: KeySettings, log: Pick<Log, 'warning'>): boolean {
  const { prefix, level } = settings;
  const { chainFiles, single } = keyFiles(settings);
  const isAnonymous = lowerAscii(settings.tls_cert_file) === 'none';
  const hasKeys = chainFiles.length > 0 || single.some(([, certificate]) => certificate !== '');
  const wantsClients = settings.tls_ask_ccert || (settings.tls_req_ccert && level.isRequired);
  if (chainFiles.length > 0 && (settings.tls_cert_file + settings.tls_eccert_file + settings.tls_dcert_file) !== '' && !isAnonymous)
    log.warning(`Both ${prefix}_tls_chain_files and one or more of the legacy  ${prefix}_tls_cert_file, ${prefix}_tls_eccert_file or ${prefix}_tls_dcert_file are non-empty; the legacy  parameters will be ignored`);
  if (!hasKeys && wantsClients) log.warning('Need a server cert to request client certs');
  if (!level.isRequired && settings.tls_req_ccert) log.warning("Can't require client certs unless TLS is required");
  return hasKeys || (isAnonymous && !wantsClients);
}

const textOf = (chains: readonly Chain[]): string => createHash('sha256').update(chains.map(({ key, certificates }) => key + certificates).join()).digest('hex');

function isForbidden(error: Error): boolean {
  return error instanceof ChainTrouble && error.lines.some((line) => line.includes('Permission denied'));
}

function linesOf(error: Error): readonly string[] {
  return error instanceof ChainTrouble ? error.lines : [`TLS library problem: ${error.message}: disabling TLS support`];
}

const unsupported: ReadonlySet<string> = new Set(['fingerprint', 'verify', 'secure']);

export interface LevelWords {
  /** smtpd_tls_security_level or its sister, and the parameter's name. */
  readonly text: string;
  readonly parameter: string;
  readonly isWrapped: boolean;
  readonly authOnly: boolean;
  /** The old ways to say it. */
  readonly use: boolean;
  readonly enforce: boolean;
}

export function levelOf({ text, parameter, isWrapped, authOnly, use, enforce }: LevelWords, log: Pick<Log, 'warning' | 'fatal'>): TlsLevel {
  let isUsed = use;
  let isRequired = enforce;
  if (!isWrapped && text !== '') {
    const level = lowerAscii(text);
    if (unsupported.has(level)) log.warning(`${parameter}: unsupported TLS level "${text}", using "encrypt"`);
    else if (!['none', 'may', 'encrypt'].includes(level)) log.fatal(`Invalid TLS level "${text}"`);
    isRequired = level === 'encrypt' || unsupported.has(level);
    isUsed = level !== 'none';
  }
  isRequired ||= isWrapped;
  return { isUsed: isUsed || isRequired, isRequired, isWrapped, authOnly: authOnly || isRequired };
}

function keyFiles(settings: KeySettings): KeyFiles {
  const rsa = lowerAscii(settings.tls_cert_file) === 'none' ? '' : settings.tls_cert_file;
  return {
    chainFiles: splitList(settings.tls_chain_files),
    single: [
      ['RSA', rsa, settings.tls_key_file], ['DSA', settings.tls_dcert_file, settings.tls_dkey_file],
      ['ECDSA', settings.tls_eccert_file, settings.tls_eckey_file],
    ],
  };
}

function digestNamed(name: string): string | undefined {
  try {
    createHash(name);
    return name;
  } catch {
    return undefined;
  }
}
