import test from 'node:test';
import assert from 'node:assert/strict';
import type { Dns, DnsAnswer, DnsRecord, RecordType } from './dns.ts';
import { serviceError } from './dns.ts';
import { balance, domainAddresses, hostAddresses, orderServices, serviceAddresses } from './destination.ts';
import type { DestinationSettings, DestinationTools } from './destination.ts';
import { addressKey } from './address.ts';

type Zone = Readonly<Record<string, string | readonly string[]>>;

/** A name service from lines like `'MX example.org': ['10 a.example', '20 b.example']`; `'MX x': '!retry'` is trouble. */
function dnsOf(zone: Zone): Dns {
  const known = new Map(Object.entries(zone));
  return { lookup: (name, type) => answerOf(known.get(`${type} ${name}`), name, type) };
}

function answerOf(found: string | readonly string[] | undefined, name: string, type: RecordType): DnsAnswer {
  const none = { records: [], rcode: 'NXDOMAIN', secure: false, ttl: 0 } as const;
  if (found === undefined) return { ...none, status: 'not-found', reason: serviceError(name, type, 'none') };
  if (typeof found === 'string') return { ...none, status: found.slice(1) as DnsAnswer['status'], reason: `${found} ${name} ${type}` };
  return { status: 'ok', records: found.map((text) => recordOf(text, name, type)), reason: '', rcode: 'NOERROR', secure: false, ttl: 60 };
}

function recordOf(text: string, name: string, type: RecordType): DnsRecord {
  const base = { type, name, ttl: 60, data: text, preference: 0, weight: 0, port: 0 };
  const words = text.split(' ');
  if (type === 'MX') return { ...base, preference: Number(words[0]), data: words[1]! };
  if (type === 'SRV') return { ...base, preference: Number(words[0]), weight: Number(words[1]), port: Number(words[2]), data: words[3]! };
  return base;
}

const settings: DestinationSettings = {
  ipv4: true, ipv6: true, lookup: { dns: true, native: false }, preference: 'any', randomize: false, balance: true, addressLimit: 5,
  ignoreMxError: false, ignoreSrvError: false, allowSrvFallback: false, deferNoMxAddress: false, idnaTransitional: false,
};

function tools(zone: Zone, change: Partial<DestinationSettings> = {}, own: readonly string[] = [], random = (): number => 0): DestinationTools & { lines: string[] } {
  const lines: string[] = [];
  return {
    settings: { ...settings, ...change }, dns: dnsOf(zone), own: new Set(own.map(addressKey)), random, lines,
    native: async (host) => (host === 'native.example' ? { addresses: ['192.0.2.99'] } : { addresses: [], trouble: { kind: 'no name', text: 'Name or service not known' } }),
    log: { info: (text) => lines.push(text), warning: (text) => lines.push(`warning: ${text}`) },
  };
}

const zone: Zone = {
  'MX example.org': ['20 b.example', '10 a.example', '20 c.example'],
  'A a.example': ['192.0.2.1', '192.0.2.2'], 'AAAA a.example': ['2001:db8::1'],
  'A b.example': ['192.0.2.3'], 'A c.example': ['192.0.2.4'], 'AAAA c.example': ['2001:db8::4'],
};
const list = ({ addresses }: { addresses: readonly { host: string; address: string }[] }): string => addresses.map(({ host, address }) => `${host}[${address}]`).join(' ');

for (const [name, change, want] of [
  ['by preference', { addressLimit: 0 }, 'a.example[192.0.2.1] a.example[192.0.2.2] a.example[2001:db8::1] b.example[192.0.2.3] c.example[192.0.2.4] c.example[2001:db8::4]'],
  ['IPv6 first among equals', { preference: 'ipv6', addressLimit: 0 }, 'a.example[2001:db8::1] a.example[192.0.2.1] a.example[192.0.2.2] c.example[2001:db8::4] b.example[192.0.2.3] c.example[192.0.2.4]'],
  ['IPv4 only', { ipv6: false }, 'a.example[192.0.2.1] a.example[192.0.2.2] b.example[192.0.2.3] c.example[192.0.2.4]'],
  ['IPv6 only', { ipv4: false }, 'a.example[2001:db8::1] c.example[2001:db8::4]'],
] as const) test(`MX: ${name}`, async () => {
  assert.equal(list(await domainAddresses('example.org', true, tools(zone, change))), want);
});

test('MX: equals in random order, and so their addresses', async () => {
  const orders = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    let state = seed;
    const random = (): number => ((state = (state * 1103515245 + 12345) % 2147483648) / 2147483648);
    const found = await domainAddresses('example.org', true, tools(zone, { randomize: true, addressLimit: 0 }, [], random));
    assert.deepEqual(found.addresses.map(({ preference }) => preference), [10, 10, 10, 20, 20, 20]);
    orders.add(list(found));
  }
  assert.ok(orders.size > 10);
});

for (const [name, extra, change, own, want] of [
  ['no such domain', {}, {}, [], '5.4.4 Host or domain name not found. Name service error for name=example.net type=AAAA: Host not found'],
  ['no answer about MX', { 'MX example.net': '!retry' }, {}, [], '4.4.3 !retry example.net MX'],
  ['no answer about MX is ignored', { 'MX example.net': '!retry', 'A example.net': ['192.0.2.9'] }, { ignoreMxError: true }, [], 'example.net[192.0.2.9]'],
  ['null MX', { 'MX example.net': '!null-mx' }, {}, [], '5.1.0 !null-mx example.net MX'],
  ['null MX is never ignored', { 'MX example.net': '!null-mx', 'A example.net': ['192.0.2.9'] }, { ignoreMxError: true }, [], '5.1.0 !null-mx example.net MX'],
  ['bad MX', { 'MX example.net': '!invalid' }, {}, [], '5.4.4 !invalid example.net MX'],
  ['no MX: the address', { 'A example.net': ['192.0.2.9'] }, {}, [], 'example.net[192.0.2.9]'],
  ['MX without address', { 'MX example.net': ['0 x.example'] }, {}, [], '5.4.4 Host or domain name not found. Name service error for name=x.example type=AAAA: Host not found'],
  ['MX without address, deferred', { 'MX example.net': ['0 x.example'] }, { deferNoMxAddress: true }, [], '4.4.4 Host or domain name not found. Name service error for name=x.example type=AAAA: Host not found'],
  ['one MX unknown, one silent', { 'MX example.net': ['0 y.example', '1 x.example'], 'A y.example': '!retry' }, {}, [], '4.4.4 Host or domain name not found. Name service error for name=x.example type=AAAA: Host not found'],
  ['an MX that cannot be found does not matter beside another', { 'MX example.net': ['0 x.example', '1 b.example'] }, {}, [], 'b.example[192.0.2.3]'],
  ['numeric MX', { 'MX example.net': ['0 192.0.2.7'] }, {}, [], '192.0.2.7[192.0.2.7]'],
  ['ourselves: the better ones stay', { 'MX example.net': ['5 b.example', '10 a.example', '20 c.example'] }, {}, ['192.0.2.2'], 'b.example[192.0.2.3]'],
  ['ourselves are the best', { 'MX example.net': ['10 a.example', '20 c.example'] }, {}, ['2001:DB8:0:0::1'], '5.4.6 mail for example.net loops back to myself'],
  ['ourselves are the best that can be found', { 'MX example.net': ['5 x.example', '10 a.example'] }, {}, ['192.0.2.2'], '4.4.4 unable to find primary relay for example.net'],
  ['ourselves without MX', { 'A example.net': ['192.0.2.2'] }, {}, ['192.0.2.2'], '5.4.6 mail for example.net loops back to myself'],
] as const) test(`domain: ${name}`, async () => {
  const found = await domainAddresses('example.net', true, tools({ ...zone, ...extra }, change, own));
  assert.equal(found.why ? `${found.why.status} ${found.why.reason}` : list(found), want);
});

test('no loop is looked for on other ports', async () => {
  assert.equal(list(await hostAddresses('b.example', false, tools(zone, {}, ['192.0.2.3']))), 'b.example[192.0.2.3]');
});

test('a host that exists and has no address, by native lookup: the status that Postfix gives it on Linux', async () => {
  const found = await hostAddresses('empty.example', true, {
    ...tools({}, { lookup: { dns: false, native: true } }),
    native: async () => ({ addresses: [], trouble: { kind: 'no data', text: 'No address associated with hostname' } }),
  });
  assert.deepEqual(found.why, { status: '5.3.0', reason: 'unable to look up host empty.example: No address associated with hostname' });
});

test('native lookup after DNS, and its words', async () => {
  const change = { lookup: { dns: true, native: true } };
  assert.equal(list(await hostAddresses('native.example', true, tools({}, change))), 'native.example[192.0.2.99]');
  const found = await hostAddresses('other.example', true, tools({}, change));
  assert.deepEqual(found.why, { status: '5.4.4', reason: 'unable to look up host other.example: Name or service not known' });
});

test('a domain in another script is asked for in ASCII', async () => {
  const name = Buffer.from('bücher.example', 'utf8').toString('latin1');
  assert.equal(list(await domainAddresses(name, true, tools({ 'A xn--bcher-kva.example': ['192.0.2.1'] }))), 'xn--bcher-kva.example[192.0.2.1]');
});

for (const [v4, v6, limit, first, want] of [
  [3, 3, 5, 4, [3, 2]], [3, 3, 5, 6, [2, 3]], [1, 9, 5, 6, [1, 4]], [9, 1, 5, 4, [4, 1]], [2, 2, 5, 4, [2, 2]], [9, 0, 5, 4, [9, 0]], [4, 4, 4, 4, [2, 2]],
] as const) test(`balance: ${v4} IPv4 and ${v6} IPv6 within ${limit}, first IPv${first}`, () => {
  const make = (family: 4 | 6, count: number): { host: string; address: string; family: 4 | 6; preference: number; port: number }[] =>
    Array.from({ length: count }, (_, number) => ({ host: 'h', address: `${family}-${number}`, family, preference: 0, port: 0 }));
  const all = first === 4 ? [...make(4, v4), ...make(6, v6)] : [...make(6, v6), ...make(4, v4)];
  const kept = balance(all, tools({}, { addressLimit: limit }));
  assert.deepEqual([kept.filter(({ family }) => family === 4).length, kept.filter(({ family }) => family === 6).length], want);
});

test('SRV: by priority, port from the record; a fallback when allowed', async () => {
  const srv = { ...zone, 'SRV _submission._tcp.example.org': ['20 0 26 b.example', '10 0 2525 a.example'] };
  const found = await serviceAddresses('example.org', 'submission', true, true, tools(srv, { ipv6: false }));
  assert.deepEqual(found.addresses.map(({ address, port }) => `${address}:${port}`), ['192.0.2.1:2525', '192.0.2.2:2525', '192.0.2.3:26']);
  const none = await serviceAddresses('example.org', 'smtp', true, true, tools(zone));
  assert.equal(none.why?.status, '5.4.4');
  const fallen = tools(zone, { allowSrvFallback: true, ipv6: false });
  assert.equal((await serviceAddresses('example.org', 'smtp', true, true, fallen)).addresses.length, 4);
  assert.match(fallen.lines[0]!, /^skipping SRV lookup for _smtp\._tcp\.example\.org: Host or domain name not found/);
});

test('SRV: weights decide among equals', () => {
  const record = (data: string, weight: number): DnsRecord => ({ type: 'SRV', name: 'x', ttl: 1, data, preference: 0, weight, port: 1 });
  const first = (random: () => number): string => orderServices([record('light', 1), record('heavy', 99)], random)[0]!.data;
  let state = 7;
  const random = (): number => ((state = (state * 1103515245 + 12345) % 2147483648) / 2147483648);
  const heavy = Array.from({ length: 200 }, () => first(random)).filter((name) => name === 'heavy').length;
  assert.ok(heavy > 170, String(heavy));
});
