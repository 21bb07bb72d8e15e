/**
 * Our stub resolver: asks the servers of resolv.conf(5), remembers answers as long as they say, and tells apart that there
 * is nothing from that nobody answered. Its answers name trouble in Postfix's words.
 *
 * Never rejects. Bounded: answers kept, questions under way, aliases followed, records of one answer. Equal questions at the
 * same time are one. AD is believed from servers on this machine only, unless resolv.conf says `trust-ad`.
 */
import { readFileSync, statSync } from 'node:fs';
import { validHostaddr, validHostname } from '../text/hostname.ts';
import type { MaybePromise } from '../text/maybe.ts';
import type { Packet } from 'dns-packet';
import { serviceError } from './dns.ts';
import type { Dns, DnsAnswer, DnsRecord, RecordType } from './dns.ts';
import { negativeTtl, readAnswers } from './dns-answer.ts';
import { askServer } from './dns-transport.ts';
import { isLocalServer, parseResolvConf } from './resolv-conf.ts';
import type { NameServer, ResolverConfiguration } from './resolv-conf.ts';
import type { Ticker } from './ticker.ts';

export interface ResolverOptions {
  readonly ticker: Ticker;
  /** Told about records that cannot be used. */
  readonly warn: (text: string) => void;
  /** Path of a file in the format of resolv.conf; read again when it changes, kept when it vanishes. */
  readonly file?: string;
  /** Instead of a file. */
  readonly configuration?: ResolverConfiguration;
  /** Answers kept; 0: none. */
  readonly cacheLimit?: number;
  /** Questions under way; further ones wait. */
  readonly queryLimit?: number;
  /** Records taken from one answer. */
  readonly recordLimit?: number;
}

const usual = { file: '/etc/resolv.conf', cacheLimit: 10_000, queryLimit: 500, recordLimit: 100 } as const;
const aliasLimit = 10;
/** Longest time an answer is kept, in seconds, whatever it says (RFC 8767 section 4). */
const ttlLimit = 7 * 86400;
const negativeTtlLimit = 3 * 3600;
/** How often the file is looked at, in milliseconds. */
const fileInterval = 5000;

interface Kept {
  readonly answer: DnsAnswer;
  readonly until: number;
}

export class Resolver implements Dns {
  private readonly options: ResolverOptions;
  private readonly cache = new Map<string, Kept>();
  private readonly asked = new Map<string, Promise<DnsAnswer>>();
  private readonly waiting: (() => void)[] = [];
  private underWay = 0;
  private configuration: ResolverConfiguration;
  private fileStamp = '';
  private fileSeen = Number.NEGATIVE_INFINITY;
  private turn = 0;

  constructor(options: ResolverOptions) {
    this.options = options;
    this.configuration = options.configuration ?? parseResolvConf('');
    this.refresh();
  }

  /** Domains that complete short names; undefined: resolv.conf names none. */
  get search(): readonly string[] | undefined {
    this.refresh();
    return this.configuration.search;
  }

  lookup(name: string, type: RecordType): MaybePromise<DnsAnswer> {
    const refusal = refuse(name);
    if (refusal) return refusal;
    const key = `${type} ${name.toLowerCase()}`;
    const kept = this.recall(key);
    if (kept) return kept;
    let asked = this.asked.get(key);
    if (!asked) {
      asked = this.resolve(name, type).then((answer) => this.keep(key, answer));
      this.asked.set(key, asked);
    }
    return asked;
  }

  private recall(key: string): DnsAnswer | undefined {
    const kept = this.cache.get(key);
    if (!kept) return undefined;
    if (kept.until > this.options.ticker.monotonic()) return kept.answer;
    this.cache.delete(key);
    return undefined;
  }

  private keep(key: string, answer: DnsAnswer): DnsAnswer {
    this.asked.delete(key);
    const limit = this.options.cacheLimit ?? usual.cacheLimit;
    if (answer.ttl <= 0 || limit <= 0) return answer;
    // A Map is in the order of insertion: what goes first is the oldest.
    for (const oldest of this.cache.keys()) {
      if (this.cache.size < limit) break;
      this.cache.delete(oldest);
    }
    this.cache.set(key, { answer, until: this.options.ticker.monotonic() + answer.ttl * 1000 });
    return answer;
  }

  private async resolve(name: string, type: RecordType): Promise<DnsAnswer> {
    let asked = name;
    let ttl = ttlLimit;
    let secure = true;
    for (let count = 0; count < aliasLimit; count++) {
      const packet = await this.query(asked, type);
      const answer = this.judge(packet, asked, name, type);
      secure &&= packet?.flag_ad ?? false;
      if (!('alias' in answer)) return { ...answer, secure: secure && answer.secure, ttl: Math.min(answer.ttl, ttl) };
      ttl = Math.min(ttl, answer.ttl);
      asked = answer.alias;
    }
    this.options.warn(`dns_lookup: Name server loop for ${asked}`);
    return { ...nothing, reason: `Name server loop for ${asked}` };
  }

  private judge(packet: Packet | undefined, name: string, original: string, type: RecordType): DnsAnswer | { alias: string; ttl: number } {
    if (!packet) return { ...nothing, status: 'retry', reason: serviceError(name, type, 'again'), rcode: 'TIMEOUT' };
    const rcode = packet.rcode ?? 'NOERROR';
    if (rcode === 'NXDOMAIN' && !packet.answers?.some((record) => record.type === type))
      return { ...nothing, reason: serviceError(name, type, 'none'), rcode, ttl: keepable(packet) };
    if (rcode !== 'NOERROR' && rcode !== 'NXDOMAIN') return refused(name, type, rcode);
    const reading = readAnswers(packet, { name, type }, { limit: this.options.recordLimit ?? usual.recordLimit, warn: this.options.warn });
    switch (reading.kind) {
      case 'records': return found(reading.records, packet);
      case 'alias': return { alias: reading.name, ttl: reading.ttl };
      case 'none': return { ...nothing, reason: serviceError(name, type, 'noData'), rcode, ttl: keepable(packet) };
      case 'null-mx': return { ...nothing, status: 'null-mx', reason: `Domain ${name} does not accept mail (nullMX)`, rcode };
      case 'null-srv': return { ...nothing, status: 'null-srv', reason: `Domain ${name} does not support SRV requests`, rcode };
      default: return {
        ...nothing, rcode, status: reading.kind === 'invalid' ? 'invalid' : 'retry',
        reason: `Name service error for name=${original} type=${type}: Malformed or unexpected name server reply`,
      };
    }
  }

  /** The first packet that says something; undefined when no server does. */
  private async query(name: string, type: RecordType): Promise<Packet | undefined> {
    await this.admission();
    try {
      this.refresh();
      return await this.round(name, type);
    } finally {
      this.underWay--;
      this.waiting.shift()?.();
    }
  }

  private async admission(): Promise<void> {
    if (this.underWay >= (this.options.queryLimit ?? usual.queryLimit)) await new Promise<void>((resolve) => { this.waiting.push(resolve); });
    this.underWay++;
  }

  // Servers that say they cannot (SERVFAIL, REFUSED, NOTIMP) are passed over, as libc does; what the last one said is remembered.
  private async round(name: string, type: RecordType): Promise<Packet | undefined> {
    const { attempts, timeout, trustAd } = this.configuration;
    const servers = this.order();
    let refusal: Packet | undefined;
    for (let attempt = 0; attempt < attempts; attempt++) {
      for (const [index, server] of servers.entries()) {
        const seconds = Math.max(index === 0 ? timeout : (timeout * 2 ** index) / servers.length, 1);
        const packet = await askServer(server, { name, type }, seconds * 1000, this.options.ticker);
        if (packet && !passedOver.has(packet.rcode ?? '')) return { ...packet, flag_ad: packet.flag_ad === true && (trustAd || isLocalServer(server)) };
        refusal = packet ?? refusal;
      }
      if (refusal) break;
    }
    return refusal;
  }

  private order(): readonly NameServer[] {
    const { servers, rotate } = this.configuration;
    if (!rotate) return servers;
    const first = this.turn++ % servers.length;
    return [...servers.slice(first), ...servers.slice(0, first)];
  }

  private refresh(): void {
    const { configuration, file = usual.file, ticker } = this.options;
    if (configuration || ticker.monotonic() < this.fileSeen + fileInterval) return;
    this.fileSeen = ticker.monotonic();
    try {
      const { mtimeMs, size, ino } = statSync(file);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (stamp === this.fileStamp) return;
      this.configuration = parseResolvConf(readFileSync(file, 'latin1'));
      this.fileStamp = stamp;
    } catch { /* gone, or out of reach after chroot: what was read before still holds */ }
  }
}

const passedOver: ReadonlySet<string> = new Set(['SERVFAIL', 'NOTIMP', 'REFUSED']);

const nothing: DnsAnswer = { status: 'not-found', records: [], reason: '', rcode: 'NXDOMAIN', secure: false, ttl: 0 };

// Not every name is a question: some servers make up records for addresses, and some resolvers stumble over odd names.
function refuse(name: string): DnsAnswer | undefined {
  if (!validHostaddr(name) && (name === '.' || validHostname(name, true))) return undefined;
  return { ...nothing, reason: `Name service error for ${name}: invalid host or domain name` };
}

function refused(name: string, type: RecordType, rcode: string): DnsAnswer {
  const again = passedOver.has(rcode);
  return { ...nothing, status: again ? 'retry' : 'fail', reason: serviceError(name, type, again ? 'again' : 'fail'), rcode };
}

function found(records: readonly DnsRecord[], packet: Packet): DnsAnswer {
  const ttl = Math.min(ttlLimit, ...records.map((record) => record.ttl));
  return { status: 'ok', records, reason: '', rcode: 'NOERROR', secure: packet.flag_ad ?? false, ttl };
}

function keepable(packet: Packet): number {
  return Math.min(negativeTtl(packet), negativeTtlLimit);
}
