import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressesOfHost, inetProtocols, maskAddress, ownAddresses, ownNetworks } from './own-addresses.ts';
import { knownPorts, tcpPort } from './tcp-ports.ts';

for (const [address, length, network] of [
  ['192.0.2.77', 24, '192.0.2.0'], ['192.0.2.77', 32, '192.0.2.77'], ['10.1.2.3', 0, '0.0.0.0'], ['10.255.3.4', 9, '10.128.0.0'],
  ['2001:db8::42', 64, '2001:db8::'], ['fe80::ff:1', 10, 'fe80::'], ['2001:db8:ffff::', 33, '2001:db8:8000::'],
] as const) test(`network of ${address}/${length}`, () => assert.equal(maskAddress(address, length), network));

const own = [
  { address: '127.0.0.1', family: 4, prefix: 8 }, { address: '192.0.2.2', family: 4, prefix: 28 },
  { address: '::1', family: 6, prefix: 128 }, { address: '2001:db8::2', family: 6, prefix: 64 }, { address: '2001:db8::3', family: 6, prefix: 64 },
] as const;

for (const [style, networks] of [
  ['host', '127.0.0.1/32 192.0.2.2/32 [::1]/128 [2001:db8::2]/128 [2001:db8::3]/128'],
  ['subnet', '127.0.0.0/8 192.0.2.0/28 [::1]/128 [2001:db8::]/64'],
  ['class', '127.0.0.0/8 192.0.2.0/24 [::1]/128 [2001:db8::]/64'],
] as const) test(`mynetworks_style ${style}`, () => assert.equal(ownNetworks(style, own), networks));

test('a style that is none is refused, and so are two', () => {
  assert.throws(() => ownNetworks('all', own), /unknown mynetworks mask style value "all" in "all"/);
  assert.throws(() => ownNetworks('host, subnet', own), /bad mynetworks_style value: host, subnet; specify exactly one value/);
});

test('interfaces are chosen by name, address, or kind', () => {
  const ipv4 = { ipv4: true, ipv6: false };
  assert.deepEqual(ownAddresses('loopback-only', ipv4).map(({ address }) => address), ['127.0.0.1']);
  assert.deepEqual(ownAddresses('127.0.0.1, [127.0.0.1]', ipv4).map(({ address }) => address), ['127.0.0.1']);
  assert.deepEqual(ownAddresses('all', { ipv4: false, ipv6: false }), []);
  assert.throws(() => ownAddresses('203.0.113.9', ipv4), { message: 'parameter inet_interfaces: no local interface found for 203.0.113.9' });
  assert.throws(() => ownAddresses('no/name', ipv4), /config variable inet_interfaces: host not found: no\/name/);
  assert.deepEqual(addressesOfHost('[IPv6:::1]', { ipv4: true, ipv6: true }), ['::1']);
});

test('protocols', () => {
  assert.deepEqual(inetProtocols('ipv4'), { ipv4: true, ipv6: false });
  assert.equal(inetProtocols('all').ipv4, true);
});

test('ports have names', () => {
  assert.deepEqual([...knownPorts('a = b=1, c=2 d=x')], [['a', 1], ['b', 1], ['c', 2]]);
  assert.deepEqual(['submissions', 'smtps', '26', '70000', 'no-such-service'].map((name) => tcpPort(name)), [465, 465, 26, undefined, undefined]);
});
