import assert from 'node:assert/strict';
import type net from 'node:net';
import test from 'node:test';
import type { Dns, DnsAnswer, RecordType } from '../../network/dns.ts';
import type { HostsFile } from '../../network/hosts-file.ts';
import { HandTicker } from '../../network/testing.ts';
import { isPending } from '../../text/maybe.ts';
import { ClientNames } from './client-name.ts';

type Told = Readonly<Record<string, Partial<DnsAnswer> & { data?: string }>>;

function bench(told: Told, hosts: Readonly<Record<string, string>> = {}) {
  const asked: string[] = [];
  const ticker = new HandTicker();
  const dns: Dns = {
    lookup(name: string, type: RecordType): DnsAnswer {
      asked.push(`${name} ${type}`);
      const found = told[`${name} ${type}`];
      const none: DnsAnswer = { status: 'not-found', records: [], reason: '', rcode: 'NXDOMAIN', secure: false, ttl: 60 };
      if (found === undefined) return none;
      const record = { type, name, ttl: found.ttl ?? 60, data: found.data ?? '', preference: 0, weight: 0, port: 0 };
      return { ...none, status: 'ok', rcode: 'NOERROR', ...found, records: found.data === undefined ? [] : [record] };
    },
  };
  const table = {
    nameOf: (address: string) => hosts[address],
    addresses: (name: string) => Object.keys(hosts).filter((address) => hosts[address] === name),
  } as unknown as HostsFile;
  const warnings: string[] = [];
  return { asked, ticker, warnings, names: new ClientNames({ dns, hosts: table, ticker, enabled: true, warn: (text) => warnings.push(text) }) };
}

const from = (remoteAddress: string | undefined): net.Socket => ({ remoteAddress, remotePort: 4711, localAddress: '::ffff:192.0.2.9', localPort: 25 }) as unknown as net.Socket;
const told = { '1.2.0.192.in-addr.arpa PTR': { data: 'a.example.org' }, 'a.example.org A': { data: '192.0.2.1' } };

for (const [name, address, answers, want] of [
  ['a name that leads back', '192.0.2.1', told, 'a.example.org[192.0.2.1] ok ok'],
  ['an IPv4 address in IPv6 clothes', '::ffff:192.0.2.1', told, 'a.example.org[192.0.2.1] ok ok'],
  ['a name that leads elsewhere', '192.0.2.1', { ...told, 'a.example.org A': { data: '192.0.2.2' } }, 'unknown[192.0.2.1] permanent ok'],
  ['a name that is none', '192.0.2.1', { '1.2.0.192.in-addr.arpa PTR': { data: 'a b' } }, 'unknown[192.0.2.1] permanent permanent'],
  ['no name', '192.0.2.1', {}, 'unknown[192.0.2.1] permanent permanent'],
  ['no answer', '192.0.2.1', { '1.2.0.192.in-addr.arpa PTR': { status: 'retry' } }, 'unknown[192.0.2.1] temporary temporary'],
  ['an IPv6 address in another form', '2001:DB8:0:0::1', {}, 'unknown[2001:db8::1] permanent permanent'],
  ['a client that is gone', undefined, told, 'unknown[unknown] permanent permanent'],
] as const) {
  test(`a client with ${name}`, async () => {
    const { label, nameStatus, reverseStatus, serverAddress, serverPort, port } = await bench(answers as Told).names.describe(from(address));
    assert.equal(`${label} ${nameStatus} ${reverseStatus}`, want);
    assert.deepEqual([serverAddress, serverPort, port], ['192.0.2.9', '25', '4711']);
  });
}

for (const [name, back, want] of [
  ['leads back', { data: '192.0.2.1' }, []],
  ['leads elsewhere', { data: '192.0.2.2' }, ['hostname a.example.org does not resolve to address 192.0.2.1']],
  ['leads nowhere', {}, ['hostname a.example.org does not resolve to address 192.0.2.1: Name or service not known']],
] as const) {
  test(`the log hears of a name that ${name}`, async () => {
    const { names, warnings } = bench({ ...told, 'a.example.org A': { ...(Object.keys(back).length === 0 ? { status: 'not-found' as const, rcode: 'NXDOMAIN' } : {}), ...back } });
    await names.describe(from('192.0.2.1'));
    assert.deepEqual(warnings, want);
  });
}

test('where the listener is bound to one address nobody asks the socket for it', async () => {
  const { serverAddress, serverPort } = await bench({}).names.describe(from('192.0.2.1'), { address: '192.0.2.8', port: 2525 });
  assert.deepEqual([serverAddress, serverPort], ['192.0.2.8', '2525']);
});

for (const [name, answers, hosts, milliseconds, again] of [
  ['for a few seconds', told, {}, 4999, false],
  ['not for long', told, {}, 5000, true],
  ['not beyond the time of the name service', { ...told, '1.2.0.192.in-addr.arpa PTR': { data: 'a.example.org', ttl: 2 } }, {}, 2000, true],
  ['not when the name service does not answer', { '1.2.0.192.in-addr.arpa PTR': { status: 'retry' } }, {}, 1, true],
  ['when the hosts file has it', {}, { '192.0.2.1': 'a.example.org' }, 4999, false],
] as const) {
  test(`a name is remembered ${name}`, async () => {
    const { names, ticker, asked } = bench(answers as Told, hosts);
    const first = await names.describe(from('192.0.2.1'));
    const before = asked.length;
    await ticker.pass(milliseconds);
    const second = names.describe(from('192.0.2.1'));
    assert.equal(isPending(second), again);
    assert.deepEqual(await second, first);
    assert.equal(asked.length > before, again && before > 0);
  });
}
