import test from 'node:test';
import assert from 'node:assert/strict';
import { nexthopList, parseNexthop } from './nexthop.ts';

const ports = new Map([['smtp', 25], ['submission', 587]]);
const port = (service: string): number | undefined => ports.get(service) ?? (/^[0-9]+$/.test(service) ? Number(service) : undefined);

for (const [text, want] of [
  ['example.org', 'example.org false smtp 25'],
  ['example.org:2525', 'example.org false 2525 2525'],
  ['example.org:submission', 'example.org false submission 587'],
  ['example.org:', 'example.org false smtp 25'],
  ['[mx.example.org]', 'mx.example.org true smtp 25'],
  ['[mx.example.org]:26', 'mx.example.org true 26 26'],
  ['[mx.example.org]:', 'mx.example.org true smtp 25'],
  ['[192.0.2.1]', '192.0.2.1 true smtp 25'],
  ['[2001:db8::1]:25', '2001:db8::1 true 25 25'],
  ['[ipv6:2001:db8::1]', '2001:db8::1 true smtp 25'],
  ['192.0.2.1', '192.0.2.1 false smtp 25'],
  ['[mx', 'missing "]" in server description: [mx'],
  ['[mx]x', 'garbage after "]" in server description: [mx]x'],
  ['[ipv6:1]', 'malformed IPv6 address in server description: [ipv6:1]'],
  [':25', 'missing host information in server description: :25'],
  ['a b', 'valid hostname or network address required in server description: a b'],
  ['mx:25x', 'garbage after numerical service in server description: mx:25x'],
  ['mx:0', 'bad network port: 0 for destination: mx:0'],
  ['mx:70000', 'bad network port: 70000 for destination: mx:70000'],
  ['mx:nosuch', 'unknown service: nosuch/tcp'],
] as const) test(`nexthop: ${text}`, () => {
  const parsed = parseNexthop(text, 'smtp', port);
  assert.equal('trouble' in parsed ? parsed.trouble : `${parsed.host} ${parsed.literal} ${parsed.service} ${parsed.port}`, want);
});

test('a list of destinations', () => {
  assert.deepEqual(nexthopList('a.example, [b.example]:26\tc'), ['a.example', '[b.example]:26', 'c']);
});
