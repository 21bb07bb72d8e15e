/**
 * Handshakes on sockets that clients opened in plain text, with contexts that are made once per set of keys and kept.
 *
 * `handshake` never rejects: the answer is the encrypted socket and what is known of it, or the lines that the log gets. The plaintext
 * socket belongs to the encrypted one from then on; ending either ends both. Keys can be exchanged at any time: handshakes under way go
 * on with the old ones.
 */
import type net from 'node:net';
import type tls from 'node:tls';
import { nodeTls } from '../host/node-tls.ts';
import { constants as systemConstants } from 'node:os';
import { createHash, constants } from 'node:crypto';
import { errnoText } from '../host/libc.ts';
import { nodeCiphers } from './tls-ciphers.ts';
import type { Chain } from './tls-chains.ts';
import { factsOf, sessionId, type KeyKind, type TlsFacts } from './tls-facts.ts';
import { libraryProblems } from './tls-log.ts';
import type { ProtocolRange } from './tls-protocols.ts';
import type { SessionCache } from './tls-session-cache.ts';
import type { TicketKeys } from './tls-tickets.ts';

export interface TlsServerOptions {
  /** The master.cf service: sessions of one are not resumed at another. */
  readonly service: string;
  readonly protocols: ProtocolRange;
  /** See libraryOptions(). */
  readonly options: number;
  /** See cipherList(). */
  readonly ciphers: string;
  readonly securityLevel: number;
  readonly groups: string;
  /** PEM, or 'auto'. */
  readonly dhparam: string;
  readonly prefersOwnCiphers: boolean;
  readonly asksCertificate: boolean;
  /** PEM; whoever is not vouched for by one of these is not trusted. */
  readonly authorities: readonly string[];
  readonly depth: number;
  readonly digest: string;
  /** Milliseconds of silence that end a handshake. */
  readonly timeout: number;
  /** Seconds for which a session may be resumed; 0: never. */
  readonly sessionLifetime: number;
  /** Sessions are resumed by tickets. */
  readonly hasTickets: boolean;
  readonly tickets: TicketKeys;
  /** For clients that know no tickets; undefined: their sessions are not resumed. */
  readonly sessions?: SessionCache | undefined;
  /** Chains for a server name that a client asks for; undefined: the usual ones. Rejects to end the handshake. */
  readonly chainsFor?: ((name: string, peer: Peer) => Promise<readonly Chain[] | undefined>) | undefined;
}

/** Who is at the other end of a handshake, and who logs it. */
export interface Peer {
  readonly label: string;
  info(text: string): void;
  warning(text: string): void;
}

export type Handshake =
  | { readonly socket: tls.TLSSocket; readonly facts: TlsFacts; /** It was a session of ours that was resumed, not a ticket. */ readonly wasKept: boolean }
  /** What to say after `SSL_accept error from CLIENT: `, and lines about the library's troubles. */
  | { readonly trouble: string; readonly problems: readonly string[] };

interface Pending {
  readonly peer: Peer;
  readonly wantsDetails: boolean;
  sni: string;
  keys: readonly KeyKind[];
  resolve(result: Handshake): void;
}

/** node:tls knows which socket an encrypted one was made of, and does not say so in its types. */
interface Wrapped { readonly _parent?: net.Socket }
interface SharedContext { readonly _sharedCreds?: { readonly context: object } }

/** Contexts for server names that are kept: who asks for others pays for making them. */
const keptNames = 100;

export class TlsServer {
  readonly #options: TlsServerOptions;
  readonly #server: tls.Server;
  readonly #pending = new WeakMap<net.Socket, Pending>();
  readonly #named = new Map<string, { readonly context: tls.SecureContext; readonly keys: readonly KeyKind[] }>();
  #keys: readonly KeyKind[];

  /** Throws what OpenSSL has against keys, ciphers or groups. */
  constructor(options: TlsServerOptions, chains: readonly Chain[]) {
    this.#options = options;
    this.#keys = chains.map(({ kind }) => kind);
    const { asksCertificate, timeout, chainsFor } = options;
    this.#server = new (nodeTls().Server)({
      ...contextOptions(options, chains), requestCert: asksCertificate, rejectUnauthorized: false, handshakeTimeout: timeout,
      ...(chainsFor === undefined ? {} : { SNICallback: this.#sniCallback() }),
    } as tls.TlsOptions);
    this.#attachTickets();
    if (options.sessions !== undefined) this.#keepSessions(options.sessions);
    this.#server.on('secureConnection', (socket) => this.#finished(socket));
    this.#server.on('tlsClientError', (error, socket) => this.#failed(error, socket));
  }

  /** Use these keys from now on. Throws, and changes nothing, when OpenSSL does not take them. */
  exchange(chains: readonly Chain[]): void {
    const options = contextOptions(this.#options, chains);
    nodeTls().createSecureContext(options);
    this.#server.setSecureContext(options);
    this.#keys = chains.map(({ kind }) => kind);
    this.#named.clear();
    this.#attachTickets();
  }

  handshake(socket: net.Socket, peer: Peer, wantsDetails: boolean): Promise<Handshake> {
    if (socket.destroyed) return Promise.resolve(lost);
    return new Promise((resolve) => {
      this.#pending.set(socket, { peer, wantsDetails, sni: '', keys: this.#keys, resolve });
      // Who hangs up in a handshake is gone: node:tls takes this over from the socket.
      socket.allowHalfOpen = false;
      this.#server.emit('connection', socket);
    });
  }

  /** End this handshake, unless it is over. */
  abandon(socket: net.Socket): void {
    if (this.#pending.has(socket)) socket.destroy();
  }

  #attachTickets(): void {
    const shared = (this.#server as unknown as SharedContext)._sharedCreds;
    if (shared !== undefined && this.#options.hasTickets) this.#options.tickets.attach(shared.context);
  }

  #keepSessions(sessions: SessionCache): void {
    this.#server.on('newSession', (id: Buffer, session: Buffer, done: () => void) => {
      sessions.save(id, session);
      done();
    });
    this.#server.on('resumeSession', (id: Buffer, done: (error: Error | null, session: Buffer | null) => void) => done(null, sessions.recall(id) ?? null));
  }

  #wasKept(socket: tls.TLSSocket, { reused, protocol }: TlsFacts): boolean {
    const { sessions } = this.#options;
    const id = reused && sessions !== undefined && protocol !== 'TLSv1.3' ? sessionId(socket.getSession()) : undefined;
    return id !== undefined && sessions!.recall(id) !== undefined;
  }

  #take(socket: tls.TLSSocket): Pending | undefined {
    const parent = (socket as unknown as Wrapped)._parent;
    const pending = parent === undefined ? undefined : this.#pending.get(parent);
    if (pending !== undefined) this.#pending.delete(parent!);
    return pending;
  }

  #finished(socket: tls.TLSSocket): void {
    const pending = this.#take(socket);
    if (pending === undefined) return void socket.destroy();
    socket.on('error', ignore);
    // From now on a client may close its side and still hear our replies.
    socket.allowHalfOpen = true;
    const { digest, depth } = this.#options;
    try {
      const facts = factsOf(socket, { digest, depth, keys: pending.keys, wantsDetails: pending.wantsDetails, sni: pending.sni });
      pending.resolve({ socket, facts, wasKept: this.#wasKept(socket, facts) });
    } catch (error) {
      socket.destroy();
      pending.resolve({ trouble: 'lost connection', problems: [(error as Error).message] });
    }
  }

  #failed(error: Error, socket: tls.TLSSocket): void {
    const pending = this.#take(socket);
    socket.on('error', ignore);
    socket.destroy();
    pending?.resolve(troubleOf(error));
  }

  #sniCallback() {
    const find = (name: string, socket: Wrapped): Promise<tls.SecureContext | undefined> => this.#contextFor(name, socket);
    return function named(this: Wrapped, name: string, done: (error: Error | null, context?: tls.SecureContext) => void): void {
      find(name, this).then((context) => done(null, context), (error: Error) => done(error));
    };
  }

  async #contextFor(name: string, socket: Wrapped): Promise<tls.SecureContext | undefined> {
    const pending = socket._parent === undefined ? undefined : this.#pending.get(socket._parent);
    if (pending === undefined) return undefined;
    const chains = await this.#options.chainsFor!(name, pending.peer);
    pending.sni = name;
    if (chains === undefined) return undefined;
    // The text of the keys is the name of the context: an entry that changes makes a new one.
    const key = createHash('sha256').update(chains.map(({ key: text, certificates }) => text + certificates).join()).digest('hex');
    const known = this.#named.get(key) ?? this.#makeNamed(key, chains);
    pending.keys = known.keys;
    return known.context;
  }

  #makeNamed(key: string, chains: readonly Chain[]) {
    const made = { context: nodeTls().createSecureContext(contextOptions(this.#options, chains)), keys: chains.map(({ kind }) => kind) };
    if (this.#named.size >= keptNames) this.#named.clear();
    this.#named.set(key, made);
    return made;
  }
}

function ignore(): void {}

const lost: Handshake = { trouble: 'lost connection', problems: [] };

/** Sessions of one service, by a name that fits: OpenSSL takes 32 bytes. */
function sessionContext(service: string): string {
  return createHash('sha256').update(`TLS serverid\0${service}\0`).digest('hex').slice(0, 32);
}

function contextOptions(options: TlsServerOptions, chains: readonly Chain[]): tls.SecureContextOptions {
  const { protocols, ciphers, securityLevel, groups, dhparam, prefersOwnCiphers, authorities, service, sessionLifetime, hasTickets } = options;
  const noTickets = hasTickets ? 0 : constants.SSL_OP_NO_TICKET;
  return {
    cert: chains.map(({ certificates }) => certificates), key: chains.map(({ key }) => key), ca: [...authorities],
    minVersion: protocols.minVersion, maxVersion: protocols.maxVersion, secureOptions: (options.options | protocols.excluded | noTickets) >>> 0,
    ciphers: nodeCiphers(ciphers, securityLevel), ecdhCurve: groups, dhparam, honorCipherOrder: prefersOwnCiphers,
    sessionIdContext: sessionContext(service), ...(sessionLifetime > 0 ? { sessionTimeout: sessionLifetime } : {}),
  };
}

function troubleOf(error: NodeJS.ErrnoException): Handshake {
  const { code = '', syscall, errno } = error;
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return { trouble: errnoText(systemConstants.errno.ETIMEDOUT), problems: [] };
  if (syscall !== undefined && errno !== undefined) return { trouble: errnoText(Math.abs(errno)), problems: [] };
  if (code === 'ECONNRESET') return lost;
  if (code.startsWith('ERR_SSL') || error.message.includes(':error:')) return { trouble: '-1', problems: libraryProblems(error) };
  return { trouble: '-1', problems: error instanceof ServerNameTrouble ? [] : libraryProblems(error) };
}

/** A server name's chains could not be had; the log knows why. */
export class ServerNameTrouble extends Error {}

/** Is this a group that the library has? */
export function isKnownGroup(name: string): boolean {
  try {
    nodeTls().createSecureContext({ ca: [], ecdhCurve: name });
    return true;
  } catch {
    return false;
  }
}
