/**
 * Who we are to a server that offers AUTH: name and password, or token, by destination, server and sender, and the strongest mechanism that
 * the settings allow there.
 *
 * A password never leaves for a server that the tables do not name, nor by a mechanism that the security options of the connection
 * at hand (clear, TLS, TLS with a certificate that fits) forbid. A table that cannot be asked defers the mail. What a server has refused is
 * remembered in the table smtp_sasl_auth_cache_name, as SHA-1, so that it is not tried again for each message.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Delivery } from '../../delivery/agent.ts';
import type { Log } from '../../log/log.ts';
import { dsnValid } from '../../message/dsn.ts';
import { chooseMechanism } from '../../protocol/sasl-client/choose.ts';
import type { Credentials } from '../../protocol/sasl-client/mechanism.ts';
import type { NamedLogin } from '../../protocol/smtp-client/log-in.ts';
import type { Failure, Peer } from '../../protocol/smtp-client/steps.ts';
import { addressTableSearch, findAddress } from '../../tables/mail-address-find.ts';
import type { AddressRules } from '../../tables/mail-address-find.ts';
import type { Maps } from '../../tables/maps.ts';
import { TableTrouble } from '../../tables/table.ts';
import type { LookupTable } from '../../tables/table.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import type { Program } from './settings.ts';
import type { TokenSource } from './token-source.ts';

/** Bits of protocol/sasl/security-options.ts, by what protects the connection. */
export interface SecurityByChannel {
  readonly clear: number;
  readonly tls: number;
  readonly verified: number;
}

export interface SaslSettings {
  readonly passwordMaps: string;
  readonly delimiter: string;
  readonly bySender: boolean;
  readonly mechanismFilter: string;
  readonly security: SecurityByChannel;
  readonly cacheName: string;
  readonly cacheSeconds: number;
  readonly softBounce: boolean;
  /** send_cyrus_sasl_authzid */
  readonly saysWhom: boolean;
  readonly tokenMaps: string;
  readonly tokenTimeLimit: number;
}

export interface LoginTools {
  readonly program: Program;
  readonly settings: SaslSettings;
  readonly passwords: Maps;
  readonly rules: AddressRules;
  /** smtp_sasl_mechanism_filter; undefined: every mechanism will do. */
  readonly filter: ((mechanism: string) => MaybePromise<boolean>) | undefined;
  readonly cache: LookupTable | undefined;
  readonly tokens: TokenSource | undefined;
  readonly clock: { now(): number };
}

/** For whose mail, and to where. */
export interface LoginCase {
  readonly queueId: string;
  readonly sender: string;
  /** As it was written, with brackets and port. */
  readonly destination: string;
  readonly peer: Peer;
  readonly port: number;
  readonly log: Log;
}

/** `destination`: as it was written. */
export function loginCase({ request: { queueId, sender }, log }: Delivery, destination: string, peer: Peer): LoginCase {
  const { nameAddress, nameAddressPort } = peer;
  const port = nameAddressPort === nameAddress ? 0 : Number(nameAddressPort.slice(nameAddress.length + 1));
  return { queueId, sender, destination, peer, port, log };
}

type NamedCredentials = { readonly username: string; readonly password: string };

/** Why a login is not even tried: a text of ours, or a whole failure. */
export type NoLogin = { readonly why: string | Failure };

export class Logins {
  private readonly tools: LoginTools;

  constructor(tools: LoginTools) {
    this.tools = tools;
  }

  /** A connection for one of them is not for the others: a part of the names under which connections are kept. */
  sharing({ sender, destination }: { sender: string; destination: string }): string {
    return `${this.tools.settings.bySender ? sender : ''}\n${destination}`;
  }

  /** Is there a password for this server? Then mail does not go there as a stranger's because TLS failed. Rejects with TableTrouble. */
  has(whose: LoginCase): MaybePromise<boolean> {
    return chain(this.credentials(whose), (found) => found !== undefined);
  }

  /** What to do where a server offers these mechanisms. Undefined: nothing. Never rejects. */
  async find(offered: readonly string[], channel: keyof SecurityByChannel, whose: LoginCase): Promise<NamedLogin | NoLogin | undefined> {
    try {
      const mechanisms = await this.fit(offered, whose);
      const credentials = await this.credentials(whose);
      return credentials && await this.login(mechanisms, channel, credentials, whose);
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
      whose.log.warning(`${whose.queueId}: ${this.tools.passwords.title} lookup error`);
      return { why: whole('4.3.0', `local data error while talking to ${whose.peer.nameAddress}`) };
    }
  }

  private async login(mechanisms: readonly string[], channel: keyof SecurityByChannel, credentials: NamedCredentials, whose: LoginCase): Promise<NamedLogin | NoLogin> {
    const { nameAddress, host } = whose.peer;
    if (mechanisms.length === 0) {
      const reason = `SASL authentication failed: server ${nameAddress} offered no compatible authentication mechanisms for this type of connection security`;
      return { why: whole('4.7.0', reason) };
    }
    const refused = await this.refusedBefore(credentials, whose);
    if (refused) return { why: refused };
    const shown = await this.shown(credentials);
    if ('trouble' in shown) return { why: shown.trouble };
    const mechanism = chooseMechanism(mechanisms, shown, this.tools.settings.security[channel]);
    if (!mechanism) {
      // The words of libsasl2, which people look for.
      whose.log.warning('SASL authentication failure: No worthy mechs found');
      return { why: 'no mechanism available' };
    }
    const context = { service: this.tools.program, host, port: whose.port, nonce: () => randomBytes(18).toString('base64'), saysWhom: this.tools.settings.saysWhom };
    return { mechanism: mechanism.name, login: mechanism.login(shown, context) };
  }

  // Who has a token shows that and never the password, and the other way round.
  private async shown(credentials: NamedCredentials): Promise<Credentials | { readonly trouble: string }> {
    const token = await this.tools.tokens?.find(credentials.username);
    if (token === undefined) return credentials;
    return 'trouble' in token ? token : { username: credentials.username, token: token.text };
  }

  private async fit(offered: readonly string[], { peer, log }: LoginCase): Promise<readonly string[]> {
    const { filter } = this.tools;
    const fitting: string[] = [];
    for (const mechanism of offered) if (filter === undefined || await filter(mechanism)) fitting.push(mechanism);
    if (offered.length === 0) log.warning(`${peer.nameAddressPort} offered null AUTH mechanism list`);
    else if (fitting.length === 0) log.warning(`${peer.nameAddressPort} offered no supported AUTH mechanisms: '${offered.join(' ')}'`);
    return fitting;
  }

  private credentials({ sender, peer, destination }: LoginCase): MaybePromise<NamedCredentials | undefined> {
    const { settings, passwords, rules, program } = this.tools;
    const bySender = program === 'smtp' && settings.bySender && sender !== '' ? findAddress(passwords, sender, addressTableSearch, rules) : undefined;
    const value = chain(bySender, (match) => match?.value
      ?? chain(passwords.find(peer.host), (byHost) => byHost ?? passwords.find(destination)));
    return chain(value, (text) => (text === undefined ? undefined : split(text, settings.delimiter)));
  }

  // ---- what was refused before

  private async refusedBefore({ username, password }: NamedCredentials, { peer, log }: LoginCase): Promise<Failure | undefined> {
    const { cache, settings, clock } = this.tools;
    if (cache === undefined) return undefined;
    const key = cacheKey(peer.host, username);
    try {
      const entry = await cache.find(key);
      if (entry === undefined) return undefined;
      const match = /^([0-9]+);([^;]+);([^;]+);([^\n]+)/.exec(entry);
      const [, time = '', hash, status = '', text = ''] = match ?? [];
      if (!match || dsnValid(status) !== status.length) log.warning(`bad smtp_sasl_auth_cache entry: ${entry.slice(0, 100)}`);
      else if (Number(time) + settings.cacheSeconds >= Math.floor(clock.now() / 1000) && hash === hashed(password)) {
        const reason = `SASL [CACHED] authentication failed; server ${peer.host} said: ${text}`;
        return { ...whole(settings.softBounce ? status.replace(/^5/, '4') : status, reason), remoteMta: peer.host, diagnostic: text };
      }
      await cache.remove?.(key);
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
      log.warning(`SASL auth failure map ${cache.name}: lookup failed for ${key}`);
    }
    return undefined;
  }

  /** The server said no to the login it was given. Never rejects. */
  async refused({ code, status, text }: { readonly code: number; readonly status: string; readonly text: string }, whose: LoginCase): Promise<void> {
    const { cache, tokens, clock } = this.tools;
    try {
      const credentials = await this.credentials(whose);
      if (credentials === undefined) return;
      // A token has its time: there may be a better one already.
      if (tokens?.forget(credentials.username) || cache?.update === undefined || code !== 535) return;
      const { username, password } = credentials;
      const value = `${Math.floor(clock.now() / 1000)};${hashed(password)};${status};${text.replaceAll('\n', '?')}`;
      await cache.update(cacheKey(whose.peer.host, username), value);
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
      whose.log.warning(`SASL auth failure map: ${error.message}`);
    }
  }
}

const cacheKey = (host: string, username: string): string => `${host};${username}`;

/** As Postfix stores it, so that both can use one table. */
function hashed(password: string): string {
  return createHash('sha1').update(Buffer.from(password, 'latin1')).digest('base64');
}

/** The delimiter may stand in the password, not in the name. */
function split(text: string, delimiter: string): NamedCredentials {
  const at = text.indexOf(delimiter);
  return at < 0 ? { username: text, password: '' } : { username: text.slice(0, at), password: text.slice(at + delimiter.length) };
}

function whole(status: string, reason: string): Failure {
  return { status, reason, remoteMta: '', diagnostic: '', scope: 'site', softUntilLast: false };
}
