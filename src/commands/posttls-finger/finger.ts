/** The course of posttls-finger(1): look up, connect, greet, STARTTLS, judge, and once more with the session that was kept. */
import { createHash, type X509Certificate } from 'node:crypto';
import type net from 'node:net';
import type tls from 'node:tls';
import type { Configuration } from '../../config/configuration.ts';
import { connectInet, connectUnix } from '../../network/connect.ts';
import { x509Error } from '../../network/dane.ts';
import { cipherList } from '../../network/tls-ciphers.ts';
import { protocolRange, type ProtocolRange } from '../../network/tls-protocols.ts';
import type { Reply } from '../../protocol/smtp-client/reply.ts';
import { lowerAscii } from '../../text/ascii.ts';
import { processTicker } from '../host-lookup.ts';
import { printChain, Report } from './report.ts';
import { Chat, textOf } from './chat.ts';
import type { Credentials } from './credentials.ts';
import { endStream, shakeHands, traceLimit } from './handshake.ts';
import { level, mustMatch } from '../../network/tls-levels.ts';
import { logs } from './levels.ts';
import type { FingerOptions } from './options.ts';
import { findPlaces, WatchedDns, type MxFacts, type Place } from './places.ts';
import { Policies, type Policy } from './policy.ts';
import { SessionMemory } from './session-memory.ts';
import { TraceFile } from './trace-file.ts';
import type { TraceFacts } from './trace.ts';
import { judge, type Verdict } from '../../network/tls-verdict.ts';

export interface FingerTools {
  readonly options: FingerOptions;
  readonly config: Configuration;
  /** None: no TLS. */
  readonly credentials: Credentials | undefined;
  readonly voice: { info(text: string): void; warning(text: string): void; fatal(text: string): never };
  /** To standard output, as it is. */
  readonly print: (text: string) => void;
}

/** A server that was reached, and what is known about it beforehand. */
interface Server extends Policy {
  readonly socket: net.Socket;
  /** name[address]:port */
  readonly peer: string;
  readonly address: string;
  readonly addressPort: string;
  readonly hostname: string;
  readonly nexthop: string;
}

/** What is made of a session when it stands. */
interface Standing {
  readonly level: number;
  readonly mustFail: boolean;
  /** Of the session. */
  readonly id: string;
  readonly credentials: Credentials;
  readonly log: number;
}

export class Finger {
  readonly #tools: FingerTools;
  readonly #dns: WatchedDns;
  readonly #trace: TraceFile;
  #pass = 1;
  #log: number;
  #places: { readonly nexthop: string; readonly list: readonly Place[]; readonly mx: MxFacts | undefined } | undefined;
  #reconnect: number;
  #reconnectsLeft: number;
  readonly #policies: Policies;
  readonly #memory: SessionMemory;

  constructor(tools: FingerTools) {
    this.#tools = tools;
    this.#dns = new WatchedDns(tools.voice);
    this.#policies = new Policies(tools.options, tools.credentials, this.#dns, tools.voice);
    this.#memory = new SessionMemory(tools.options.reconnect >= 0, tools.voice);
    this.#trace = new TraceFile(tools.voice);
    this.#log = tools.options.log;
    this.#reconnect = tools.options.reconnect;
    this.#reconnectsLeft = tools.options.reconnects;
  }

  async run(): Promise<void> {
    while (await this.#once() && this.#reconnect > 0) {
      this.#tools.voice.info(`Reconnecting after ${this.#reconnect} seconds`);
      this.#pass++;
      await new Promise<void>((resolve) => { processTicker.after(this.#reconnect * 1000, resolve); });
    }
  }

  /** True: all went well as far as speaking to a server is concerned. */
  async #once(): Promise<boolean> {
    const { voice, options } = this.#tools;
    const server = await this.#connect();
    if (server === undefined) return false;
    if (this.#pass === 1 && options.chat) voice.info(`Connected to ${server.peer}`);
    const good = await this.#talk(server);
    server.socket.destroy();
    if (good && this.#reconnect > 0) this.#decide();
    return good;
  }

  #decide(): void {
    const { voice } = this.#tools;
    if (this.#memory.saved === 0) voice.info('Server declined session caching. Done reconnecting.');
    else if (this.#memory.hits > 0 && (this.#log & logs.cache) !== 0) voice.info('Found a previously used server.  Done reconnecting.');
    else if (this.#reconnectsLeft-- <= 0) voice.info('Maximum reconnect count reached.');
    else return;
    this.#reconnect = 0;
  }

  async #connect(): Promise<Server | undefined> {
    const { options, voice, config } = this.#tools;
    const text = options.smtp ? options.destination : options.destination.replace(/^inet:/, '');
    if (!options.smtp && text.startsWith('unix:')) return this.#connectUnix(text.slice(5));
    if (this.#places === undefined) {
      const found = await findPlaces(text, options, config, this.#dns, voice);
      if ('trouble' in found) return voice.fatal(found.trouble);
      if (found.places.length === 0) return void voice.info(`Destination address lookup failed: ${found.why}`);
      this.#places = { nexthop: found.nexthop, list: found.places, mx: found.mx };
    }
    for (const place of this.#places.list) {
      const server = await this.#connectTo(place, text);
      if (server === undefined) continue;
      this.#places = { ...this.#places, list: [place] }; // for when we come back
      return server;
    }
    return undefined;
  }

  async #connectUnix(path: string): Promise<Server | undefined> {
    const { config, voice, options } = this.#tools;
    const name = config.get('myhostname');
    const connected = path.length > longestPath ? undefined : await connectUnix(path, this.#patience);
    if (connected !== undefined && 'socket' in connected)
      return { socket: connected.socket, peer: `${name}[${path}]`, address: path, addressPort: path, hostname: name, nexthop: name, ...this.#policies.plain(true) };
    const why = connected === undefined ? `unix-domain name too long: ${path}` : `connect to ${name}[${path}]: ${connected.trouble.text}`;
    return void voice.info(`Failed to establish session to ${options.destination}: ${why}`);
  }

  get #patience(): { ticker: typeof processTicker; timeout: number } {
    return { ticker: processTicker, timeout: Math.max(this.#tools.options.connectTimeout, 0) };
  }

  async #connectTo(place: Place, text: string): Promise<Server | undefined> {
    const { name, address, port } = place;
    const policy = await this.#policies.of(place, this.#places?.mx);
    if (policy === undefined) return this.#failed(text, place, `TLSA lookup error for ${name}:${port}`);
    const connected = await connectInet(address, port, this.#patience);
    if (!('socket' in connected)) return this.#failed(text, place, `connect to ${name}[${address}]:${port}: ${connected.trouble.text}`);
    const { socket } = connected;
    return { socket, peer: `${name}[${address}]:${port}`, address, addressPort: `[${address}]:${port}`, hostname: name, nexthop: this.#places!.nexthop, ...policy };
  }

  #failed(text: string, { name, port }: Place, why: string): undefined {
    this.#tools.voice.info(`Failed to establish session to ${text} via ${name}:${port}: ${why}`);
  }

  async #talk(server: Server): Promise<boolean> {
    const { options, config, voice, credentials } = this.#tools;
    const chat = new Chat(processTicker, config.get('line_length_limit'), (line) => { if (options.chat) voice.info(line); }, (text) => voice.warning(text));
    chat.attach(server.socket);
    let helo = '';
    let offered = options.wrapper;
    if (!options.wrapper) {
      const ehlo = await this.#greeting(chat) ? await this.#ehlo(chat) : undefined;
      if (ehlo === undefined) return false;
      const words = textOf(ehlo).split('\n').map((line) => line.split(/[ \t=]/).find((word) => word !== '') ?? '');
      helo = words[0] ?? '';
      offered = words.some((word) => lowerAscii(word) === 'starttls');
    }
    if (!offered || credentials === undefined) return this.#quit(chat);
    return this.#startTls(chat, server, helo, credentials);
  }

  async #greeting(chat: Chat): Promise<boolean> {
    const { voice, options } = this.#tools;
    const reply = await chat.hear(options.connectTimeout, true);
    if (typeof reply === 'string') voice.info(`${reply} while reading server greeting`);
    else if (!positive(reply)) voice.info(`SMTP service not available: ${reply.code} ${textOf(reply)}`);
    return typeof reply !== 'string' && positive(reply);
  }

  async #ehlo(chat: Chat): Promise<Reply | undefined> {
    const { voice, options, config } = this.#tools;
    const word = options.smtp ? 'EHLO' : 'LHLO';
    chat.say(`${word} ${config.get('myhostname')}`, this.#pass === 1);
    const reply = await chat.hear(options.timeout, this.#pass === 1);
    if (typeof reply === 'string') return void voice.info(`${reply} while sending ${word}`);
    if (!positive(reply)) return void voice.info(`${word} rejected: ${reply.code} ${textOf(reply)}`);
    return reply;
  }

  async #quit(chat: Chat): Promise<boolean> {
    chat.say('QUIT', true);
    const reply = await chat.hear(this.#tools.options.timeout, true);
    if (typeof reply === 'string') this.#tools.voice.warning(`${reply} while sending QUIT command`);
    return true;
  }

  async #startTls(chat: Chat, server: Server, helo: string, credentials: Credentials): Promise<boolean> {
    const { options, voice } = this.#tools;
    if (!options.wrapper) {
      chat.say('STARTTLS', this.#pass === 1);
      const reply = await chat.hear(options.timeout, this.#pass === 1);
      if (typeof reply === 'string') return voice.fatal(`${reply} while sending STARTTLS`);
      if (!positive(reply)) {
        voice.info(`STARTTLS rejected: ${reply.code} ${textOf(reply)}`);
        return false;
      }
    }
    chat.detach();
    const log = this.#tools.options.log | (mustMatch(server.level) ? logs.untrusted : 0);
    if ((log & logs.verbose) !== 0) voice.info(`setting up TLS connection to ${server.peer}`);
    const range = protocolRange(options.protocols);
    if (range === undefined) voice.warning(`${server.peer}: Invalid TLS protocol list "${options.protocols}": aborting TLS session`);
    const ciphers = range && this.#ciphers(server, log);
    if (range === undefined || ciphers === undefined) return false;
    return this.#encrypt(chat, server, helo, credentials, range, ciphers, log);
  }

  #ciphers({ peer, level: chosen }: Server, log: number): string | undefined {
    const { options, config, voice } = this.#tools;
    const lists = { high: config.get('tls_high_cipherlist'), medium: config.get('tls_medium_cipherlist'), none: config.get('tls_null_cipherlist') };
    const made = cipherList({ grade: options.grade, exclusions: [mustMatch(chosen) ? 'aNULL' : 'eNULL'], securityLevel: 0 }, lists);
    if ('trouble' in made) return void voice.warning(`${peer}: ${made.trouble}`);
    if ((log & logs.verbose) !== 0) voice.info(`${peer}: TLS cipher list "${made.list}"`);
    return made.list;
  }

  async #encrypt(chat: Chat, server: Server, helo: string, credentials: Credentials, range: ProtocolRange, ciphers: string, log: number): Promise<boolean> {
    const { options, voice } = this.#tools;
    const usable = this.#policies.usable(server, server.peer, credentials);
    const sni = server.base ?? (options.sni === 'hostname' ? server.hostname : options.sni === 'nexthop' ? server.nexthop : options.sni || undefined);
    if (sni !== undefined && (log & logs.debug) !== 0) voice.info(`${server.peer}: SNI hostname: ${sni}`);
    const id = `${server.addressPort}&${serverDigest(helo, ciphers, options, sni)}`;
    const made = await shakeHands(server.peer, {
      socket: server.socket, credentials, range, ciphers, securityLevel: mustMatch(server.level) ? 1 : 0, sni, session: this.#memory.recall(id, log), timeout: options.timeout, ticker: processTicker,
      onSession: (session) => this.#memory.save(id, session, log),
    });
    if ('lines' in made) {
      for (const line of made.lines) if (line.startsWith('warning: ')) voice.warning(line.slice(9)); else voice.info(line);
      return false;
    }
    try {
      return await this.#encrypted(chat, server, made.stream, made.trace, { ...usable, id, credentials, log });
    } finally {
      await endStream(made.stream);
      if ((options.log & logs.trace) !== 0) this.#trace.write(server.address, made.caught.text(traceLimit));
      made.caught.release();
    }
  }

  async #encrypted(chat: Chat, server: Server, stream: tls.TLSSocket, trace: TraceFacts, state: Standing): Promise<boolean> {
    const { options, voice, print } = this.#tools;
    const reused = stream.isSessionReused();
    const before = reused ? this.#memory.known.get(state.id) : undefined;
    const chain = before?.chain ?? (trace.chain.length === 0 ? chainOf(stream) : trace.chain);
    const verdict = before?.verdict ?? judgeStream(server, stream, chain, state);
    this.#memory.known.set(state.id, { chain, verdict });
    const report = new Report(voice, server.peer, state.log, state.credentials.digest, state.level);
    report.certificates(verdict, chain, reused);
    report.summary(stream, trace, verdict, chain, reused);
    chat.attach(stream);
    if (options.wrapper && !await this.#greeting(chat)) return false;
    if (this.#pass === 1) {
      await this.#ehlo(chat);
      if (chain.length === 0) voice.info('Server is anonymous');
      else if (options.chain) print(printChain(chain, state.credentials.digest));
      this.#log |= logs.cache;
    }
    return this.#quit(chat);
  }
}

function positive({ code }: Reply): boolean {
  return code >= 200 && code < 300;
}

/** A session is good for this server with these wishes only. */
function serverDigest(helo: string, ciphers: string, { protocols, sni, grade }: FingerOptions, name: string | undefined): string {
  return createHash('sha256').update([helo, protocols, ciphers, grade, sni, name ?? ''].join('\0')).digest('hex').toUpperCase();
}

function judgeStream(server: Server, stream: tls.TLSSocket, chain: readonly X509Certificate[], { level: chosen, mustFail, credentials: { digest, daneDigests } }: Standing): Verdict {
  if (mustFail) return { trusted: false, matched: false, error: { number: x509Error.unspecified, depth: 0 } };
  const error = stream.authorizationError as unknown;
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : String(error);
  const { match, nexthop, hostname, records } = server;
  return judge({
    level: chosen, chain, pkixError: stream.authorized ? undefined : code, match, nexthop, hostname, records: chosen === level.encrypt ? [] : records, digest, daneDigests, now: new Date(),
  });
}

const chainLimit = 100;
/** Of a UNIX-domain socket. */
const longestPath = 107;

/** By Node's own reckoning, which is all there is where nothing was sent. */
function chainOf(stream: tls.TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let each = stream.getPeerX509Certificate(); each !== undefined && chain.length < chainLimit; each = each.issuerCertificate) chain.push(each);
  return chain;
}
