/**
 * TLS of one smtpd service: what main.cf asks for becomes one server that is kept, with its keys, its tickets and its log.
 *
 * Keys are read before privileges are dropped. Mistakes in them are warnings in Postfix's words and leave the service without TLS: a
 * client then hears 454. Renewed files are used as soon as they are complete; where they may not be read any more, the process makes way
 * for a new one that may.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import type net from 'node:net';
import type tls from 'node:tls';
import type { Log } from '../../log/log.ts';
import { cipherList } from '../../network/tls-ciphers.ts';
import { chainsInOrder, ChainTrouble, type Chain } from '../../network/tls-chains.ts';
import type { TlsFacts } from '../../network/tls-facts.ts';
import { certificatesOf, FileWatch, readChains, type KeyFiles } from '../../network/tls-files.ts';
import { certificateLine, summaryLine, untrustedLine, type LogMask } from '../../network/tls-log.ts';
import { groupList, libraryOptions, protocolRange } from '../../network/tls-protocols.ts';
import { isKnownGroup, ServerNameTrouble, TlsServer, type Peer, type TlsServerOptions } from '../../network/tls-server.ts';
import type { Tools } from '../../server/daemon.ts';
import { parentsMatch } from '../../tables/mail-address-find.ts';
import { openMaps, type Maps } from '../../tables/maps.ts';
import { TableTrouble, type TableContext } from '../../tables/table.ts';
import { lowerAscii, splitList } from '../../text/ascii.ts';
import { validHostname } from '../../text/hostname.ts';
import type { Client } from './access/state.ts';
import { TlsLogLevels } from './tls-log-level.ts';
import { SharedTickets } from './tls-tickets.ts';

export const tlsParameters = [
  'smtpd_tls_security_level', 'smtpd_use_tls', 'smtpd_enforce_tls', 'smtpd_tls_wrappermode', 'smtpd_tls_auth_only', 'smtpd_tls_chain_files',
  'smtpd_tls_cert_file', 'smtpd_tls_key_file', 'smtpd_tls_dcert_file', 'smtpd_tls_dkey_file', 'smtpd_tls_eccert_file', 'smtpd_tls_eckey_file', 'smtpd_tls_CAfile',
  'smtpd_tls_CApath', 'tls_append_default_CA', 'smtpd_tls_ask_ccert', 'smtpd_tls_req_ccert', 'smtpd_tls_ccert_verifydepth', 'smtpd_tls_fingerprint_digest',
  'tls_server_sni_maps', 'smtpd_tls_protocols', 'smtpd_tls_mandatory_protocols', 'smtpd_tls_ciphers', 'smtpd_tls_mandatory_ciphers',
  'smtpd_tls_exclude_ciphers', 'smtpd_tls_mandatory_exclude_ciphers', 'tls_high_cipherlist', 'tls_medium_cipherlist', 'tls_null_cipherlist',
  'tls_eecdh_auto_curves', 'tls_ffdhe_auto_groups', 'smtpd_tls_dh1024_param_file', 'tls_preempt_cipherlist', 'tls_ssl_options', 'tls_disable_workarounds',
  'smtpd_starttls_timeout', 'smtpd_tls_loglevel', 'smtpd_tls_loglevel_maps', 'smtpd_tls_received_header', 'tls_session_ticket_cipher', 'tlsmgr_service_name',
  'smtpd_tls_session_cache_timeout',
] as const;

type View = ReturnType<typeof viewOf>;
const viewOf = (tools: Tools) => tools.config.view(tlsParameters);

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

export class ServerTls {
  readonly level: TlsLevel;
  readonly requiresCertificate: boolean;
  /** For Received: headers: was a certificate asked for at all? */
  readonly asksCertificate: boolean;
  readonly showsReceived: boolean;
  readonly #tools: Tools;
  readonly #view: View;
  readonly #levels: TlsLogLevels;
  /** Seconds. */
  readonly #hurriedTimeout: number;
  readonly #tickets: SharedTickets;
  readonly #files: KeyFiles;
  #server: TlsServer | undefined;
  /** What a server is made of; undefined: there is to be none. */
  #options: TlsServerOptions | undefined;
  #watch: FileWatch | undefined;
  #used = '';
  #ciphers = '';

  constructor(tools: Tools, context: TableContext) {
    const view = viewOf(tools);
    this.#tools = tools;
    this.#view = view;
    this.#hurriedTimeout = tools.config.withOverrides([['stress', 'yes']]).view(tlsParameters).smtpd_starttls_timeout;
    this.level = levelOf(view, tools.log);
    this.requiresCertificate = view.smtpd_tls_req_ccert && this.level.isRequired;
    this.asksCertificate = view.smtpd_tls_ask_ccert;
    this.showsReceived = view.smtpd_tls_received_header;
    this.#levels = new TlsLogLevels(view.smtpd_tls_loglevel, openMaps(view.smtpd_tls_loglevel_maps, context, 'smtpd_tls_loglevel_maps'), parentsMatch('smtpd_tls_loglevel_maps', context), tools.log);
    this.#files = keyFiles(view);
    this.#tickets = new SharedTickets(tools, view.tlsmgr_service_name);
    if (this.level.isUsed && this.#isPossible()) this.#prepare(context);
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
    if (this.#server !== undefined && this.#lifetime > 0) this.#tickets.start();
  }

  close(): void {
    this.#tickets.close();
    this.#watch?.close();
  }

  async handshake(socket: net.Socket, client: Client, log: Log): Promise<Secured> {
    const mask = await this.#levels.of(client);
    const peer: Peer = { label: client.label, info: (text) => log.info(text), warning: (text) => log.warning(text) };
    if (mask.verbose) {
      log.info(`setting up TLS connection from ${client.label}`);
      log.info(`${client.label}: TLS cipher list "${this.#ciphers}"`);
    }
    const result = await this.#server!.handshake(socket, peer, mask.summary || this.showsReceived);
    if ('trouble' in result) {
      log.info(`SSL_accept error from ${client.label}: ${result.trouble}`);
      for (const problem of result.problems) log.warning(problem);
      return undefined;
    }
    this.#logSession(result.facts, client, log, mask);
    return result;
  }

  /** The service nears its limit of clients: this handshake gets no more than smtpd_starttls_timeout has for such times. */
  hurry(socket: net.Socket): void {
    if (this.#hurriedTimeout < this.#view.smtpd_starttls_timeout) this.#tools.clock.after(this.#hurriedTimeout * 1000, () => this.#server?.abandon(socket), true);
  }

  #logSession(facts: TlsFacts, { label }: Client, log: Log, mask: LogMask): void {
    if (mask.cache && facts.reused) log.info(`${lowerAscii(label)}: Reusing old session (RFC 5077 session ticket)`);
    if (facts.peer !== undefined) {
      if (mask.verbose || mask.peerCertificate) log.info(certificateLine(facts, label));
      if (!facts.peer.trusted && (mask.untrusted || this.requiresCertificate)) log.info(untrustedLine(facts, label, this.#view.smtpd_tls_ccert_verifydepth));
    }
    if (mask.summary) log.info(summaryLine(facts, label));
  }

  get #lifetime(): number {
    return this.#view.tls_session_ticket_cipher === '' ? 0 : this.#view.smtpd_tls_session_cache_timeout;
  }

  get #wantsClients(): boolean {
    return this.#view.smtpd_tls_ask_ccert || this.requiresCertificate;
  }

  /** Is there anything to serve with? Says so when not. */
  #isPossible(): boolean {
    const { log } = this.#tools;
    const view = this.#view;
    const isAnonymous = lowerAscii(view.smtpd_tls_cert_file) === 'none';
    const hasKeys = this.#files.chainFiles.length > 0 || this.#files.single.some(([, certificate]) => certificate !== '');
    const wantsClients = this.#wantsClients;
    if (this.#files.chainFiles.length > 0 && (view.smtpd_tls_cert_file + view.smtpd_tls_eccert_file + view.smtpd_tls_dcert_file) !== '' && !isAnonymous)
      log.warning('Both smtpd_tls_chain_files and one or more of the legacy  smtpd_tls_cert_file, smtpd_tls_eccert_file or smtpd_tls_dcert_file are non-empty; the legacy  parameters will be ignored');
    if (!hasKeys && wantsClients) log.warning('Need a server cert to request client certs');
    if (!this.level.isRequired && view.smtpd_tls_req_ccert) log.warning("Can't require client certs unless TLS is required");
    const isPossible = hasKeys || (isAnonymous && !wantsClients);
    if (!isPossible) log.warning("No server certs available. TLS won't be enabled");
    return isPossible;
  }

  #prepare(context: TableContext): void {
    const { log } = this.#tools;
    if (this.#levels.usual.verbose) log.info('initializing the server-side TLS engine');
    try {
      const options = this.#optionsOf(context);
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
  #optionsOf(context: TableContext): TlsServerOptions | string {
    const wantsClients = this.#wantsClients;
    const view = this.#view;
    const { isRequired } = this.level;
    const protocolsText = isRequired ? view.smtpd_tls_mandatory_protocols : view.smtpd_tls_protocols;
    const protocols = protocolRange(protocolsText);
    if (protocols === undefined) return `Invalid TLS protocol list "${protocolsText}": disabling TLS support`;
    const exclusions = [view.smtpd_tls_exclude_ciphers, ...(isRequired ? [view.smtpd_tls_mandatory_exclude_ciphers] : []), ...(wantsClients ? ['aNULL'] : [])];
    const lists = { high: view.tls_high_cipherlist, medium: view.tls_medium_cipherlist, none: view.tls_null_cipherlist };
    const securityLevel = this.requiresCertificate ? 1 : 0;
    const ciphers = cipherList({ grade: isRequired ? view.smtpd_tls_mandatory_ciphers : view.smtpd_tls_ciphers, exclusions, securityLevel }, lists);
    if ('trouble' in ciphers) return `${ciphers.trouble}: disabling TLS support`;
    this.#ciphers = ciphers.list;
    const digest = digestNamed(view.smtpd_tls_fingerprint_digest);
    if (digest === undefined) return `Digest algorithm "${view.smtpd_tls_fingerprint_digest}" not found: disabling TLS support`;
    return {
      service: this.#tools.row.service, protocols, ciphers: ciphers.list, securityLevel, digest, asksCertificate: wantsClients,
      options: libraryOptions(view.tls_ssl_options, view.tls_disable_workarounds, (text) => this.#tools.log.warning(text)),
      groups: groupList([view.tls_eecdh_auto_curves, view.tls_ffdhe_auto_groups], isKnownGroup), dhparam: this.#dhparam(),
      prefersOwnCiphers: view.tls_preempt_cipherlist, authorities: wantsClients ? this.#authorities() : [], depth: view.smtpd_tls_ccert_verifydepth,
      timeout: view.smtpd_starttls_timeout * 1000, sessionLifetime: 2 * this.#lifetime, tickets: this.#tickets.keys,
      chainsFor: this.#sni(context),
    };
  }

  #dhparam(): string {
    const file = this.#view.smtpd_tls_dh1024_param_file;
    if (file === '' || file === 'auto') return 'auto';
    try {
      return readFileSync(Buffer.from(file, 'latin1'), 'latin1');
    } catch (error) {
      this.#tools.log.warning(`error opening DH parameter file "${file}": ${(error as Error).message}: using compiled-in defaults`);
      return 'auto';
    }
  }

  #authorities(): string[] {
    const { smtpd_tls_CAfile: file, smtpd_tls_CApath: path, tls_append_default_CA: adds } = this.#view;
    if (file === '' && path === '') return [];
    try {
      return [...certificatesOf(file, path), ...(adds ? getCACertificates('system') : [])];
    } catch (error) {
      const what = [...(file === '' ? [] : [`CAfile="${file}"`]), ...(path === '' ? [] : [`CApath="${path}"`])].join(', ');
      this.#tools.log.info(`cannot load Certification Authority data, ${what}: disabling TLS support`);
      throw error;
    }
  }

  #sni(context: TableContext): TlsServerOptions['chainsFor'] {
    const list = this.#view.tls_server_sni_maps;
    if (list === '') return undefined;
    const maps = openMaps(list, context, 'tls_server_sni_maps', { fold: true, valueIsFile: true });
    return (name, peer) => chainsFor(maps, name, peer);
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

const textOf = (chains: readonly Chain[]): string => createHash('sha256').update(chains.map(({ key, certificates }) => key + certificates).join()).digest('hex');

function isForbidden(error: Error): boolean {
  return error instanceof ChainTrouble && error.lines.some((line) => line.includes('Permission denied'));
}

function linesOf(error: Error): readonly string[] {
  return error instanceof ChainTrouble ? error.lines : [`TLS library problem: ${error.message}: disabling TLS support`];
}

const unsupported: ReadonlySet<string> = new Set(['fingerprint', 'verify', 'secure']);

function levelOf(view: View, log: Log): TlsLevel {
  const text = view.smtpd_tls_security_level;
  const isWrapped = view.smtpd_tls_wrappermode;
  let isUsed = view.smtpd_use_tls;
  let isRequired = view.smtpd_enforce_tls;
  if (!isWrapped && text !== '') {
    const level = lowerAscii(text);
    if (unsupported.has(level)) log.warning(`smtpd_tls_security_level: unsupported TLS level "${text}", using "encrypt"`);
    else if (!['none', 'may', 'encrypt'].includes(level)) log.fatal(`Invalid TLS level "${text}"`);
    isRequired = level === 'encrypt' || unsupported.has(level);
    isUsed = level !== 'none';
  }
  isRequired ||= isWrapped;
  return { isUsed: isUsed || isRequired, isRequired, isWrapped, authOnly: view.smtpd_tls_auth_only || isRequired };
}

function keyFiles(view: View): KeyFiles {
  const rsa = lowerAscii(view.smtpd_tls_cert_file) === 'none' ? '' : view.smtpd_tls_cert_file;
  return {
    chainFiles: splitList(view.smtpd_tls_chain_files),
    single: [
      ['RSA', rsa, view.smtpd_tls_key_file], ['DSA', view.smtpd_tls_dcert_file, view.smtpd_tls_dkey_file],
      ['ECDSA', view.smtpd_tls_eccert_file, view.smtpd_tls_eckey_file],
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

/** The entry of a server name, or of the domains above it with a dot in front. */
async function chainsFor(maps: Maps, name: string, peer: Peer): Promise<readonly Chain[] | undefined> {
  if (!validHostname(name)) {
    peer.warning(`TLS SNI from ${lowerAscii(peer.label)} is invalid: ${name}`);
    return undefined;
  }
  try {
    for (let key: string | undefined = name; key !== undefined; key = above(key)) {
      const pem = await maps.find(key);
      if (pem !== undefined) return chainsInOrder([{ name: `SNI data for ${name}`, text: Buffer.from(pem, 'base64').toString('latin1') }], `SNI data for ${name}`, 'aborting TLS handshake');
    }
  } catch (error) {
    if (error instanceof ChainTrouble) for (const line of error.lines) peer.warning(line);
    else if (error instanceof TableTrouble) peer.warning(`tls_server_sni_maps: ${name} map lookup problem`);
    else throw error;
    throw new ServerNameTrouble(name);
  }
  peer.info(`TLS SNI ${name} from ${lowerAscii(peer.label)} not matched, using default chain`);
  return undefined;
}

function above(name: string): string | undefined {
  const dot = name.indexOf('.', 1);
  return dot < 0 ? undefined : name.slice(dot);
}
