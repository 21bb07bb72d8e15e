import test from 'node:test';
import assert from 'node:assert/strict';
import { Resolver } from './resolver.ts';
import type { ResolverOptions } from './resolver.ts';
import { parseResolvConf } from './resolv-conf.ts';
import { reverseName } from './dns.ts';
import { HandTicker, authentic, fakeNameServer, realTicker, truncated } from './testing.ts';
import type { Script } from './testing.ts';

const soa = { name: 'example.org', type: 'SOA', ttl: 60, data: { mname: 'ns', rname: 'root', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 30 } };
const a = (name: string, data: string, ttl = 60): object => ({ name, type: 'A', class: 'IN', ttl, data });
const mx = (exchange: string, preference = 10): object => ({ name: 'example.org', type: 'MX', class: 'IN', ttl: 60, data: { preference, exchange } });

const script: Script = ({ name, type }, over) => {
  const key = `${type} ${name.toLowerCase()}`;
  const answers: Record<string, object[]> = {
    'A a.example.org': [a('a.example.org', '192.0.2.1'), a('a.example.org', '192.0.2.2', 5)],
    'A alias.example.org': [{ name: 'alias.example.org', type: 'CNAME', ttl: 7, data: 'A.example.ORG' }, a('a.example.org', '192.0.2.1')],
    'A far.example.org': [{ name: 'far.example.org', type: 'CNAME', ttl: 60, data: 'a.example.org' }],
    'A loop.example.org': [{ name: 'loop.example.org', type: 'CNAME', ttl: 60, data: 'pool.example.org' }],
    'A pool.example.org': [{ name: 'pool.example.org', type: 'CNAME', ttl: 60, data: 'loop.example.org' }],
    'MX example.org': [mx('b.example.org', 20), mx('a.example.org')],
    'MX null.example.org': [{ name: 'null.example.org', type: 'MX', ttl: 60, data: { preference: 0, exchange: '.' } }],
    'MX odd.example.org': [{ name: 'odd.example.org', type: 'MX', ttl: 60, data: { preference: 0, exchange: 'a b.example.org' } }],
    'MX half.example.org': [{ name: 'half.example.org', type: 'MX', ttl: 60, data: { preference: 0, exchange: '-x' } }, { name: 'half.example.org', type: 'MX', ttl: 60, data: { preference: 5, exchange: 'ok.example.org' } }],
    'TXT t.example.org': [{ name: 't.example.org', type: 'TXT', ttl: 60, data: [Buffer.from('one '), Buffer.from('t\x01wo')] }],
    'A stray.example.org': [a('other.example.org', '192.0.2.66')],
    'A zero.example.org': [a('zero.example.org', '192.0.2.1', 0)],
    'A many.example.org': Array.from({ length: 40 }, (_, number) => a('many.example.org', `192.0.2.${number}`)),
  };
  if (key === 'A big.example.org') return over === 'udp' ? { flags: truncated } : { answers: [a('big.example.org', '192.0.2.5')] as never };
  if (key === 'A fail.example.org') return { rcode: 'SERVFAIL' };
  if (key === 'A refused.example.org') return { rcode: 'REFUSED' };
  if (key === 'A bad.example.org') return { rcode: 'FORMERR' };
  if (key === 'A silent.example.org') return undefined;
  if (key === 'A secure.example.org') return { flags: authentic, answers: [a('secure.example.org', '192.0.2.1')] as never };
  const found = answers[key];
  if (found) return { answers: found as never };
  const exists = Object.keys(answers).some((other) => other.endsWith(` ${name}`));
  return { rcode: exists ? 'NOERROR' : 'NXDOMAIN', authorities: [soa] as never };
};

async function withServer(use: (resolver: Resolver, asked: string[], warnings: string[]) => Promise<void>, change: Partial<ResolverOptions> = {}): Promise<void> {
  const ticker = new HandTicker();
  await using server = await fakeNameServer(script, () => ticker.pass(5000));
  const warnings: string[] = [];
  const configuration = { servers: [{ address: '127.0.0.1', port: server.port }], timeout: 5, attempts: 1, rotate: false, trustAd: false };
  await use(new Resolver({ ticker, warn: (text) => warnings.push(text), configuration, ...change }), server.asked, warnings);
}

const none = 'Host or domain name not found. Name service error for name=';
for (const [name, type, want] of [
  ['a.example.org', 'A', 'ok 192.0.2.1 192.0.2.2 ttl=5'],
  ['A.EXAMPLE.org', 'A', 'ok 192.0.2.1 192.0.2.2 ttl=5'],
  ['alias.example.org', 'A', 'ok 192.0.2.1 ttl=7'],
  ['far.example.org', 'A', 'ok 192.0.2.1 192.0.2.2 ttl=5'],
  ['example.org', 'MX', 'ok b.example.org a.example.org ttl=60'],
  ['t.example.org', 'TXT', 'ok one t wo ttl=60'],
  ['big.example.org', 'A', 'ok 192.0.2.5 ttl=60'],
  ['half.example.org', 'MX', 'ok ok.example.org ttl=60'],
  ['null.example.org', 'MX', 'null-mx Domain null.example.org does not accept mail (nullMX)'],
  ['odd.example.org', 'MX', 'invalid Name service error for name=odd.example.org type=MX: Malformed or unexpected name server reply'],
  ['stray.example.org', 'A', 'retry Name service error for name=stray.example.org type=A: Malformed or unexpected name server reply'],
  ['nothere.example.org', 'A', `not-found ${none}nothere.example.org type=A: Host not found`],
  ['a.example.org', 'MX', `not-found ${none}a.example.org type=MX: Host found but no data record of requested type`],
  ['fail.example.org', 'A', `retry ${none}fail.example.org type=A: Host not found, try again`],
  ['refused.example.org', 'A', `retry ${none}refused.example.org type=A: Host not found, try again`],
  ['silent.example.org', 'A', `retry ${none}silent.example.org type=A: Host not found, try again`],
  ['bad.example.org', 'A', `fail ${none}bad.example.org type=A: Non-recoverable error`],
  ['loop.example.org', 'A', 'not-found Name server loop for loop.example.org'],
  ['192.0.2.1', 'A', 'not-found Name service error for 192.0.2.1: invalid host or domain name'],
  ['a..b', 'A', 'not-found Name service error for a..b: invalid host or domain name'],
] as const) test(`lookup: ${type} ${name}`, async () => {
  await withServer(async (resolver) => {
    const answer = await resolver.lookup(name, type);
    const text = answer.status === 'ok' ? `ok ${answer.records.map(({ data }) => data).join(' ')} ttl=${answer.ttl}` : `${answer.status} ${answer.reason}`;
    assert.equal(text, want);
  });
});

test('AD is believed from this machine', async () => {
  await withServer(async (resolver) => {
    assert.equal((await resolver.lookup('secure.example.org', 'A')).secure, true);
    assert.equal((await resolver.lookup('a.example.org', 'A')).secure, false);
  });
});

test('answers are kept as long as they say, whether there is something or not; trouble is not', async () => {
  let now = 0;
  await withServer(async (resolver, asked) => {
    const count = async (name: string): Promise<number> => {
      await resolver.lookup(name, 'A');
      return asked.length;
    };
    assert.deepEqual([await count('a.example.org'), await count('a.example.org')], [1, 1]);
    assert.deepEqual([await count('none.example.org'), await count('none.example.org')], [2, 2]);
    now += 4999;
    assert.equal(await count('a.example.org'), 2);
    now += 2;
    assert.equal(await count('a.example.org'), 3);
    now += 25_000;
    assert.equal(await count('none.example.org'), 4);
    assert.deepEqual([await count('fail.example.org'), await count('fail.example.org')], [5, 6]);
    assert.deepEqual([await count('zero.example.org'), await count('zero.example.org')], [7, 8]);
  }, { ticker: { monotonic: () => now, after: realTicker.after } });
});

test('bounds: answers kept, records taken, equal questions at once are one', async () => {
  await withServer(async (resolver, asked, warnings) => {
    const [one, other] = await Promise.all([resolver.lookup('many.example.org', 'A'), resolver.lookup('many.example.org', 'A')]);
    assert.equal(asked.filter((line) => line.startsWith('udp')).length, 1);
    assert.equal(one, other);
    assert.equal(one.records.length, 30);
    assert.deepEqual(warnings, ['DNS record count limit (30) exceeded -- dropping excess record(s) after qname=many.example.org qtype=A']);
    await resolver.lookup('a.example.org', 'A');
    await resolver.lookup('t.example.org', 'TXT');
    const before = asked.length;
    await resolver.lookup('many.example.org', 'A');
    assert.equal(asked.length, before + 1);
  }, { cacheLimit: 2, recordLimit: 30, queryLimit: 1 });
});

test('a record that is not a host name is left out with a warning', async () => {
  await withServer(async (resolver, _asked, warnings) => {
    await resolver.lookup('half.example.org', 'MX');
    assert.deepEqual(warnings, ['malformed domain name in resource data of MX record for half.example.org: -x']);
  });
});

test('a server that does not answer, or cannot, is passed over', async () => {
  const ticker = new HandTicker();
  await using broken = await fakeNameServer(() => ({ rcode: 'SERVFAIL' }));
  await using junk = await fakeNameServer(() => Buffer.from('this is no packet'), () => ticker.pass(30_000));
  await using good = await fakeNameServer(script);
  const servers = [broken, junk, good].map(({ port }) => ({ address: '127.0.0.1', port }));
  const resolver = new Resolver({
    warn: () => {}, ticker, configuration: { servers, timeout: 5, attempts: 1, rotate: false, trustAd: false },
  });
  assert.equal((await resolver.lookup('a.example.org', 'A')).status, 'ok');
  assert.deepEqual([broken.asked.length, junk.asked.length, good.asked.length], [1, 1, 1]);
});

test('an answer with another id or to another question is not the answer', async () => {
  await using liar = await fakeNameServer(({ name }, _over, query) => ({ id: (query.id! + 1) & 0xffff, answers: [a(name, '192.0.2.66')] as never }));
  const ticker = new HandTicker();
  const configuration = { servers: [{ address: '127.0.0.1', port: liar.port }], timeout: 5, attempts: 1, rotate: false, trustAd: false };
  const resolver = new Resolver({ ticker, warn: () => {}, configuration });
  const answer = resolver.lookup('a.example.org', 'A');
  while (liar.asked.length === 0) await new Promise((resolve) => { setImmediate(resolve); });
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => { setImmediate(resolve); });
  ticker.pass(5000);
  assert.equal((await answer).status, 'retry');
});

for (const [text, want] of [
  ['', ['127.0.0.1:53', 5, 2]],
  ['nameserver 192.0.2.1\nnameserver 2001:db8::1\n', ['192.0.2.1:53 2001:db8::1:53', 5, 2]],
  ['# x\nnameserver 127.0.0.1:5300 ; y\nnameserver [::1]:5301\n', ['127.0.0.1:5300 ::1:5301', 5, 2]],
  ['nameserver x\nnameserver 1.2.3.4:99999\nnameserver 1.1.1.1\n', ['1.1.1.1:53', 5, 2]],
  ['nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4\n', ['1.1.1.1:53 1.1.1.2:53 1.1.1.3:53', 5, 2]],
  ['options timeout:1 attempts:3 rotate\noptions trust-ad\n', ['127.0.0.1:53', 1, 3]],
  ['options timeout:99 attempts:99\n', ['127.0.0.1:53', 30, 5]],
] as const) test(`resolv.conf: ${JSON.stringify(text)}`, () => {
  const { servers, timeout, attempts } = parseResolvConf(text);
  assert.deepEqual([servers.map(({ address, port }) => `${address}:${port}`).join(' '), timeout, attempts], want);
});

for (const [address, want] of [
  ['192.0.2.1', '1.2.0.192.in-addr.arpa'],
  ['2001:db8::1', '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa'],
  ['::ffff:192.0.2.1', '1.0.2.0.0.0.0.c.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa'],
] as const) test(`reverse name of ${address}`, () => assert.equal(reverseName(address), want));
