/**
 * dnsblog(8): asks DNS lists about clients for postscreen(8), and logs what they say.
 *
 * A list that gives no answer says nothing about the client; the log is told. Lists that answer for everything are not believed.
 */
import { serveDnsblog, type DnsblogCalls } from '../../ipc/dnsblog.ts';
import { ipv6Digits } from '../../network/address.ts';
import type { DnsAnswer } from '../../network/dns.ts';
import { ListHealth, type HealthSources } from '../../network/list-health.ts';
import { Resolver } from '../../network/resolver.ts';
import type { Daemon, Service, Session, Tools } from '../../server/daemon.ts';

const parameters = ['dnsblog_reply_delay', 'resolver_configuration'] as const;

export const daemon: Daemon = {
  card: {
    name: 'dnsblog',
    summary: 'asks DNS lists about clients',
    group: 'network in',
    calls: [],
    privileges: { user: 'mail_owner', network: true, writes: [] },
    row: 'dnsblog   unix  -       -       n       -       0       dnsblog',
    standards: ['RFC 5782'],
  },
  open: (tools) => new Dnsblog(tools),
};

/** Lists whose health is remembered: whoever asks for others names them in main.cf first. */
const listsKnown = 1000;

class Dnsblog implements Service {
  readonly calls: DnsblogCalls;
  readonly #tools: Tools;
  readonly #sources: HealthSources;
  readonly #delay: number;
  readonly #health = new Map<string, ListHealth>();

  constructor(tools: Tools) {
    const view = tools.config.view(parameters);
    const { clock, log } = tools;
    this.#tools = tools;
    this.#delay = view.dnsblog_reply_delay * 1000;
    this.#sources = {
      dns: new Resolver({ ticker: clock, warn: (text) => log.warning(text), file: view.resolver_configuration }),
      monotonic: () => clock.monotonic(),
      warn: (text) => log.warning(text),
    };
    this.calls = { query: async (question) => ({ ...question, ...(await this.#query(question.rbl_domain, question.client_address)) }) };
  }

  client({ socket, log }: Session): Promise<void> {
    return serveDnsblog(socket, this.calls, log);
  }

  async #query(domain: string, address: string): Promise<{ rbl_addr: string; ttl: number }> {
    const { log, clock } = this.#tools;
    const query = reversed(address);
    const answer = await this.#sources.dns.lookup(`${query}.${domain}`, 'A');
    const found = await this.#found(answer, domain, query);
    for (const listed of found) log.info(`addr ${address} listed by domain ${domain} as ${listed}`);
    if (answer.status !== 'ok' && answer.status !== 'not-found') log.warning(`dnsblog_query: lookup error for DNS query ${query}.${domain}: ${answer.reason}`);
    if (this.#delay > 0) await new Promise<void>((resolve) => { clock.after(this.#delay, resolve); });
    return { rbl_addr: found.join(' '), ttl: ttlOf(answer) };
  }

  async #found({ status, records }: DnsAnswer, domain: string, query: string): Promise<string[]> {
    if (status !== 'ok') return [];
    return (await this.#healthOf(domain).isDead(domain, query, this.#sources)) ? [] : records.map(({ data }) => data);
  }

  #healthOf(domain: string): ListHealth {
    const known = this.#health.get(domain) ?? new ListHealth();
    if (this.#health.size >= listsKnown) this.#health.clear();
    this.#health.set(domain, known);
    return known;
  }
}

/** 192.0.2.1 is 1.2.0.192; an IPv6 address goes digit by digit. RFC 5782 section 2. */
function reversed(address: string): string {
  return address.includes(':') ? [...ipv6Digits(address)].reverse().join('.') : address.split('.').reverse().join('.');
}

/** How long it holds, in seconds; -1: nobody said. */
function ttlOf({ status, records, ttl }: DnsAnswer): number {
  if (status === 'ok') return Math.min(...records.map((record) => record.ttl));
  return status === 'not-found' && ttl > 0 ? ttl : -1;
}
