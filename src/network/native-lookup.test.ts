/** Numbers are addresses before any file or server is asked, as getaddrinfo(3) of the C library has it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Dns } from './dns.ts';
import { HostsFile } from './hosts-file.ts';
import { lookupNative } from './native-lookup.ts';
import { realTicker } from './testing.ts';

const noName = { status: 'not-found', rcode: 'NXDOMAIN', records: [] };
const dns = { lookup: async () => noName } as unknown as Dns;

const cases: readonly (readonly [host: string, address: string | undefined])[] = [
  ['192.0.2.1', '192.0.2.1'], ['10.1', '10.0.0.1'], ['1.2.3', '1.2.0.3'], ['1.2.515', '1.2.2.3'], ['0x7f.1', '127.0.0.1'], ['0X7F000001', '127.0.0.1'],
  ['2130706433', '127.0.0.1'], ['0177.0.0.1', '127.0.0.1'], ['0', '0.0.0.0'], ['4294967295', '255.255.255.255'],
  ['4294967296', undefined], ['256.1', undefined], ['1.2.3.256', undefined], ['1.2.65536', undefined], ['08.1', undefined], ['1.2.3.4.5', undefined],
  ['1.', undefined], ['.1', undefined], ['0x', undefined], ['1.a', undefined], ['', undefined],
];

for (const [host, address] of cases) {
  test(`${JSON.stringify(host)} is ${address ?? 'a name'}`, async () => {
    const { addresses } = await lookupNative(host, new HostsFile('/nonexistent', realTicker), dns);
    assert.deepEqual(addresses, address === undefined ? [] : [address]);
  });
}
