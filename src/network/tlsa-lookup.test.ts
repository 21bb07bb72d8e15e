import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Dns, DnsAnswer, RecordType, TlsaData } from './dns.ts';
import { lookupTlsa, type TlsaHost } from './tlsa-lookup.ts';

const nothing: DnsAnswer = { status: 'not-found', records: [], reason: 'Host not found', rcode: 'NXDOMAIN', secure: true, ttl: 0 };
const tlsa = (usage: number, matchingType = 1): TlsaData => ({ usage, selector: 1, matchingType, certificate: Buffer.alloc(32, usage) });

/** Questions as `TLSA name`, answered or not. */
class Zone implements Dns {
  readonly asked: string[] = [];
  readonly #answers: ReadonlyMap<string, Partial<DnsAnswer>>;

  constructor(answers: { readonly [question: string]: Partial<DnsAnswer> }) {
    this.#answers = new Map(Object.entries(answers));
  }

  lookup(name: string, type: RecordType): DnsAnswer {
    this.asked.push(`${type} ${name}`);
    return { ...nothing, ...this.#answers.get(`${type} ${name}`) };
  }
}

function records(name: string, secure: boolean, ...data: readonly TlsaData[]): Partial<DnsAnswer> {
  return { status: 'ok', secure, records: data.map((each) => ({ type: 'TLSA', name, ttl: 60, data: '', preference: 0, weight: 0, port: 0, tlsa: each })) };
}

const plain: TlsaHost = { name: 'mx.example.test', canonical: 'mx.example.test', secure: true };
const alias: TlsaHost = { name: 'alias.example.test', canonical: 'mx.example.test', secure: true };
const at = '_25._tcp.mx.example.test';
const atAlias = '_25._tcp.alias.example.test';

const cases: readonly (readonly [
  title: string, host: TlsaHost, force: boolean, answers: { readonly [question: string]: Partial<DnsAnswer> }, want: string, asked: readonly string[], warnings?: readonly string[],
])[] = [
  ['found', plain, false, { [`TLSA ${at}`]: records(at, true, tlsa(3)) }, 'found mx.example.test 3', [`TLSA ${at}`]],
  ['none', plain, false, {}, 'none', [`TLSA ${at}`]],
  ['not vouched for', plain, false, { [`TLSA ${at}`]: records(at, false, tlsa(3)) }, 'none', [`TLSA ${at}`]],
  ['a host that is not vouched for is not asked about', { ...plain, secure: false }, false, { [`TLSA ${at}`]: records(at, true, tlsa(3)) }, 'none', []],
  ['unless that is wanted', { ...plain, secure: false }, true, { [`TLSA ${at}`]: records(at, true, tlsa(3)) }, 'found mx.example.test 3', [`TLSA ${at}`]],
  ['nobody knows', plain, false, { [`TLSA ${at}`]: { status: 'retry', reason: 'try again' } }, 'error', [`TLSA ${at}`], ['DANE TLSA lookup problem: try again']],
  ['of no use', plain, false, { [`TLSA ${at}`]: records(at, true, tlsa(1), tlsa(0), tlsa(3, 255)) }, 'unusable', [`TLSA ${at}`], [
    `${at} unsupported TLSA certificate usage: 1 1 1 ${'01'.repeat(32)}`, `${at} unsupported TLSA certificate usage: 0 1 1 ${'00'.repeat(32)}`,
    `${at} reserved private-use matching type: 3 1 255 ${'03'.repeat(32)}`,
  ]],
  ['of an alias: that which it stands for', alias, false, { [`TLSA ${at}`]: records(at, true, tlsa(2)), [`TLSA ${atAlias}`]: records(atAlias, true, tlsa(3)) }, 'found mx.example.test 2', [`TLSA ${at}`]],
  ['else its own', alias, false, { [`TLSA ${atAlias}`]: records(atAlias, true, tlsa(3)) }, 'found alias.example.test 3', [`TLSA ${at}`, `TLSA ${atAlias}`]],
  ['an alias into a zone without signatures', { ...alias, secure: false }, false, { 'CNAME alias.example.test': { status: 'ok', secure: true }, [`TLSA ${atAlias}`]: records(atAlias, true, tlsa(3)) },
    'found alias.example.test 3', ['CNAME alias.example.test', `TLSA ${atAlias}`]],
  ['an alias of a zone without signatures', { ...alias, secure: false }, false, { 'CNAME alias.example.test': { status: 'ok', secure: false } }, 'none', ['CNAME alias.example.test']],
  ['an alias no more', { ...alias, secure: false }, false, {}, 'error', ['CNAME alias.example.test'], ['DNSSEC status lookup error for alias.example.test: no longer a CNAME']],
];

for (const [title, host, force, answers, want, asked, warnings = []] of cases) {
  test(title, async () => {
    const dns = new Zone(answers);
    const said: string[] = [];
    const found = await lookupTlsa(host, 25, { dns, force, warn: (text) => said.push(text) });
    assert.equal(found.kind === 'found' ? `found ${found.base} ${found.records.map(({ usage }) => usage).join(' ')}` : found.kind, want);
    assert.deepEqual(dns.asked, asked);
    assert.deepEqual(said, warnings);
  });
}
