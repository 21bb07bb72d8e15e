/**
 * Milters of an SMTP session (smtpd_milters, smtpd_milter_maps): which ones a client has, what they are told of it, and what their
 * verdicts mean for replies and log. Their connections last as long as the session; the content of a message is shown to them by
 * cleanup, through `inspection`.
 *
 * A list that cannot be had (a table that does not answer, a mistake in its value) refuses mail for now.
 */
import { cleanupFlag } from '../../ipc/cleanup.ts';
import { quote821Local } from '../../message/address.ts';
import { MilterChain, type ClientFacts } from '../../network/milter-chain.ts';
import { replyOf, type FilterVerdict } from '../../protocol/milter/reply.ts';
import type { ContentInspection } from '../../protocol/milter/inspection.ts';
import type { MilterSettings } from '../../protocol/milter/settings.ts';
import { renderReply, reply } from '../../protocol/smtp-server/reply.ts';
import type { Reply, Verdict } from '../../protocol/smtp-server/steps.ts';
import type { Tools } from '../../server/daemon.ts';
import { openMilters, type MilterNeeds, type Milters } from '../../server/milters.ts';
import { openMaps } from '../../tables/maps.ts';
import { TableTrouble, type TableContext } from '../../tables/table.ts';
import { sameIgnoringCase } from '../../text/ascii.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import type { Resolved } from './access/resolver.ts';
import type { AccessState, Client } from './access/state.ts';
import { whatsUp } from './log-lines.ts';

export const milterListParameters = ['smtpd_milters', 'smtpd_milter_maps', 'receive_override_options', 'myhostname'] as const;

/** Milters of a service. */
export interface MilterDesk {
  readonly milters: Milters;
  readonly hostname: string;
  /** Those of a client; none: undefined. `trouble`: they cannot be known. */
  find(client: Client): MaybePromise<readonly MilterSettings[] | 'trouble' | undefined>;
  resolve(sender: string, recipient: string): MaybePromise<Resolved>;
}

export interface DeskNeeds {
  readonly tools: Tools;
  readonly context: TableContext;
  readonly native: MilterNeeds['native'];
  readonly resolve: MilterDesk['resolve'];
  /** receive_override_options, as flags. */
  readonly withoutFlags: number;
}

/** Undefined: no client has any. */
export function openMilterDesk({ tools, context, native, resolve, withoutFlags }: DeskNeeds): MilterDesk | undefined {
  const { config, log, clock } = tools;
  const view = config.view(milterListParameters);
  const maps = openMaps(view.smtpd_milter_maps, context, 'smtpd_milter_maps');
  if ((withoutFlags & cleanupFlag.milter) !== 0 || (maps.isEmpty && view.smtpd_milters === '')) return undefined;
  const milters = openMilters({ config, log, clock, native });
  const listOf = (text: string): readonly MilterSettings[] | undefined => (text === '' || sameIgnoringCase(text, 'DISABLE') ? undefined : milters.list(text));
  let usual: readonly MilterSettings[] | undefined;
  try {
    usual = listOf(view.smtpd_milters);
  } catch (error) {
    log.fatal(`milter service syntax error: ${(error as Error).message}`);
  }
  const own = (text: string | undefined): readonly MilterSettings[] | undefined => (text === undefined ? usual : listOf(text));
  const trouble = (error: unknown): 'trouble' => {
    log.warning(error instanceof TableTrouble ? `smtpd_milter_maps: ${error.message}` : `milter service syntax error: ${(error as Error).message}`);
    return 'trouble';
  };
  const find: MilterDesk['find'] = (client) => {
    try {
      const found = maps.isEmpty ? undefined : maps.find(client.address);
      return isPending(found) ? found.then(own).catch(trouble) : own(found);
    } catch (error) {
      return trouble(error);
    }
  };
  return { milters, hostname: view.myhostname, resolve, find };
}

const badList = '451 4.3.5 Server configuration problem - try again later';
const shutDown = '421 4.7.0 Server closing connection';

export class SessionMilters {
  readonly #desk: MilterDesk;
  readonly #state: AccessState;
  readonly #connections: () => number | undefined;
  #chain: MilterChain | undefined;
  /** The client's list cannot be had. */
  #isBroken = false;
  /** The text that refuses the recipient at hand. */
  #refusal: string | undefined;
  #wantsAbort = false;
  #isOver = false;

  /** `connections`: how many the client has now, if that is known. */
  constructor(desk: MilterDesk, state: AccessState, connections: () => number | undefined) {
    this.#desk = desk;
    this.#state = state;
    this.#connections = connections;
  }

  /** Before the greeting. Undefined: greet as usual. */
  connect(): MaybePromise<Verdict | undefined> {
    return chain(this.#desk.find(this.#state.client), (found) => {
      this.#isBroken = found === 'trouble';
      if (found === undefined || found === 'trouble' || this.#isOver) return undefined;
      const { rules, surroundings } = this.#desk.milters;
      this.#chain = new MilterChain(found, rules, surroundings, (name) => this.#value(name));
      return this.#chain.connect(factsOf(this.#state.client)).then((verdict) => this.#greeting(this.#judge(verdict)));
    });
  }

  /** Another client speaks from now on (XCLIENT): there will be new connections for it. */
  restart(): void {
    this.#chain?.quit();
    this.#chain = undefined;
    this.#wantsAbort = false;
  }

  /** A hard refusal stands instead of the greeting, but the session goes on: what is refused for good is refused at MAIL again. */
  #greeting(refusal: Reply | undefined): Verdict | undefined {
    const { hostname } = this.#desk;
    if (refusal === undefined) return undefined;
    if (refusal.code >= 500) return { accept: true, reply: reply(554, undefined, `${hostname} ESMTP not accepting connections`) };
    return refusal.code === 421 ? { accept: true, reply: reply(421, undefined, `${hostname} Service unavailable - try again later`) } : undefined;
  }

  /** Undefined: as usual. After a hard refusal EHLO is answered, with next to nothing in it. */
  hello(name: string, again: boolean): MaybePromise<Verdict | undefined> {
    return chain(this.#ask((milters) => milters.hello(name)), (refusal) => {
      // A second greeting begins the session anew, for filters too.
      if (again) this.#chain?.abort();
      if (refusal?.code === 421) return { accept: false, reply: refusal };
      return refusal !== undefined && refusal.code >= 500 ? { accept: true, bare: true } : undefined;
    });
  }

  /** MAIL: `words` as the client wrote them, the address first. */
  mail(words: readonly string[]): MaybePromise<Reply | undefined> {
    if (this.#chain !== undefined && !this.#state.effects.discard) this.#wantsAbort = true;
    return this.#ask((milters) => milters.mail(words));
  }

  /** RCPT, also one that is refused: then there is nothing to hear. */
  rcpt(words: readonly string[], refused: Reply | undefined): MaybePromise<Reply | undefined> {
    if (refused === undefined) return this.#ask((milters) => milters.rcpt(words));
    if (this.#chain === undefined || this.#state.effects.discard) return undefined;
    this.#refusal = renderReply(refused).slice(4, -2);
    return chain(this.#chain.rcpt(words, true), () => (this.#refusal = undefined));
  }

  data(): MaybePromise<Reply | undefined> {
    return this.#ask((milters) => milters.data());
  }

  /** A command that nobody knows. Only a temporary refusal goes before our own words. */
  unknown(line: string): MaybePromise<Reply | undefined> {
    return chain(this.#chain?.unknown(line), (verdict) => (verdict?.startsWith('4') ? replyOf(verdict) : undefined));
  }

  /** What filters have said for good stands before VRFY, ETRN, AUTH and STARTTLS too. */
  other(): Reply | undefined {
    const verdict = this.#isBroken ? badList : this.#chain?.lasting;
    return verdict !== undefined && /^[45]/.test(verdict) ? replyOf(verdict) : undefined;
  }

  /** How cleanup shows the message; undefined: nobody wants to see it. */
  inspection(): ContentInspection | undefined {
    if (this.#chain === undefined || this.#state.effects.discard || !this.#chain.isActive) return undefined;
    return this.#chain.inspection((name) => (contentMacros.has(name) ? this.#value(name) : undefined));
  }

  /** Does this client have milters? */
  get isChained(): boolean {
    return this.#chain !== undefined;
  }

  /** The transaction is over. */
  abort(): void {
    if (!this.#wantsAbort) return;
    this.#wantsAbort = false;
    this.#chain?.abort();
  }

  /** The client is gone. */
  quit(): void {
    this.#isOver = true;
    if (this.#state.helo !== undefined) this.#chain?.abort();
    this.#chain?.quit();
  }

  #ask(tell: (milters: MilterChain) => MaybePromise<FilterVerdict>): MaybePromise<Reply | undefined> {
    if (this.#isBroken) return this.#judge(badList);
    if (this.#chain === undefined || this.#state.effects.discard) return undefined;
    const verdict = tell(this.#chain);
    return isPending(verdict) ? verdict.then((late) => this.#judge(late)) : this.#judge(verdict);
  }

  /** What a verdict does to the message, and what the client hears of it; undefined: nothing. */
  #judge(verdict: FilterVerdict): Reply | undefined {
    if (verdict === undefined || this.#isOver) return undefined;
    const { effects } = this.#state;
    if (verdict.startsWith('H')) {
      if (!effects.hold) this.#log('milter-hold', verdict.slice(1) || 'milter triggers HOLD action');
      effects.hold = true;
      return undefined;
    }
    if (verdict.startsWith('D')) {
      if (!effects.discard) this.#log('milter-discard', 'milter triggers DISCARD action');
      effects.discard = true;
      return undefined;
    }
    const text = verdict.startsWith('S') ? shutDown : verdict;
    this.#log('milter-reject', text);
    return replyOf(text) ?? reply(421, '4.3.5', 'Server configuration error');
  }

  #log(what: string, text: string): void {
    this.#state.log.info(whatsUp(what, this.#state, text));
  }

  #value(name: string): MaybePromise<string | undefined> {
    const constant = this.#desk.milters.constants.get(name);
    if (constant !== undefined) return constant;
    const own = values.get(name);
    if (own !== undefined) return own(this.#state);
    if (name === '{client_connections}') return String(this.#connections() ?? 0);
    const route = routes.get(name);
    return route === undefined ? undefined : this.#routed(route);
  }

  #routed({ of, part }: Route): MaybePromise<string | undefined> {
    const { sender, recipient } = this.#state;
    const address = of === 'sender' ? sender : recipient;
    if (address === undefined) return undefined;
    if (address === '' && part === 'address') return '';
    if (of === 'recipient' && this.#refusal !== undefined) return refusedPart(this.#refusal, part);
    try {
      const found = of === 'sender' ? this.#desk.resolve(recipient ?? '', address) : this.#desk.resolve(sender ?? '', address);
      return isPending(found) ? found.then((late) => routedPart(late, part), noRoute) : routedPart(found, part);
    } catch (error) {
      return noRoute(error);
    }
  }
}

function factsOf({ name, address, port }: Client): ClientFacts {
  const family = address === 'unknown' ? 'unknown' : address.includes(':') ? 'inet6' : 'inet';
  return { name, address, port: /^[0-9]{1,5}$/.test(port) ? Math.min(Number(port), 65_535) : 0, family };
}

type Part = 'address' | 'host' | 'mailer';
interface Route { readonly of: 'sender' | 'recipient'; readonly part: Part }

const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['{mail_addr}', { of: 'sender', part: 'address' }], ['{mail_host}', { of: 'sender', part: 'host' }], ['{mail_mailer}', { of: 'sender', part: 'mailer' }],
  ['{rcpt_addr}', { of: 'recipient', part: 'address' }], ['{rcpt_host}', { of: 'recipient', part: 'host' }], ['{rcpt_mailer}', { of: 'recipient', part: 'mailer' }],
]);

function routedPart({ recipient, nexthop, transport }: Resolved, part: Part): string {
  if (part === 'host') return nexthop;
  if (part === 'mailer') return transport;
  return recipient === '' ? '' : quote821Local(recipient);
}

/** `5.7.1 <user@example.com>: Relay access denied`: the status stands for the host, the text behind the address for the address. */
function refusedPart(refusal: string, part: Part): string | undefined {
  if (part === 'mailer') return 'error';
  const [status = '', , ...words] = refusal.split(' ');
  return part === 'host' ? status : words.length > 0 ? words.join(' ') : undefined;
}

/** A table that does not answer costs filters a macro, not the client its session. */
function noRoute(error: unknown): undefined {
  if (!(error instanceof TableTrouble)) throw error;
  return undefined;
}

type Value = (state: AccessState) => string | undefined;

/** Macros by the name they have in Sendmail. Those without a value now are left out. */
const values: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['{_}', ({ client }) => `${client.reverseName} [${client.address}]${sameIgnoringCase(client.name, client.reverseName) ? '' : ' (may be forged)'}`],
  ['{i}', ({ queueId }) => queueId],
  ['{client_addr}', ({ client }) => client.literal],
  ['{client_name}', ({ client }) => client.name],
  ['{client_port}', ({ client }) => (client.port === 'unknown' ? '0' : client.port)],
  ['{client_ptr}', ({ client }) => client.reverseName],
  ['{client_resolve}', ({ client }) => resolution(client)],
  ['{daemon_addr}', ({ client }) => client.serverAddress],
  ['{daemon_port}', ({ client }) => client.serverPort],
  ['{tls_version}', ({ tls }) => tls?.protocol],
  ['{cipher}', ({ tls }) => tls?.cipher],
  ['{cipher_bits}', ({ tls }) => tls && String(tls.bits)],
  ['{tls_sni}', ({ tls }) => tls?.sni || undefined],
  ['{cert_subject}', ({ tls }) => (tls?.clientTrusted ? tls.subject : undefined)],
  ['{cert_issuer}', ({ tls }) => (tls?.clientTrusted ? tls.issuer : undefined)],
  ['{auth_type}', ({ sasl }) => sasl?.method],
  ['{auth_authen}', ({ sasl }) => sasl?.username],
  ['{auth_author}', ({ sasl }) => sasl?.sender],
]);

function resolution({ name, nameStatus, reverseStatus }: Client): string {
  if (nameStatus === 'ok') return 'OK';
  if (nameStatus === 'temporary') return 'TEMP';
  return name === 'unknown' && reverseStatus === 'ok' ? 'FORGED' : 'FAIL';
}

/** What Postfix's cleanup knows when it shows a message. */
const contentMacros: ReadonlySet<string> = new Set([
  '{daemon_name}', '{v}', '{j}', '{_}', '{client_addr}', '{client_name}', '{client_port}', '{client_ptr}', '{daemon_addr}', '{daemon_port}', '{i}', '{auth_type}',
  '{auth_authen}', '{auth_author}',
]);
