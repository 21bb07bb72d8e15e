import assert from 'node:assert/strict';
import test from 'node:test';
import type { TableContext } from '../../tables/table.ts';
import { placeOf } from './proxy-filter.ts';

const context = { parameter: (name: string) => (name === 'known_tcp_ports' ? 'lmtp=24, smtp=25' : '/var/spool/postfix') } as unknown as TableContext;
const fatal = (text: string): never => { throw new Error(`fatal: ${text}`); };

const places: readonly (readonly [name: string, where: object])[] = [
  ['127.0.0.1:10025', { host: '127.0.0.1', port: 10025 }], ['inet:filter.test:10025', { host: 'filter.test', port: 10025 }], ['[::1]:10025', { host: '::1', port: 10025 }],
  ['INET:127.0.0.1:smtp', { host: '127.0.0.1', port: 25 }], [':10025', { host: 'localhost', port: 10025 }], ['10025', { host: 'localhost', port: 10025 }],
  ['unix:private/filter', { path: 'private/filter' }], ['unix:/run/filter', { path: '/run/filter' }],
];
for (const [name, where] of places) test(`smtpd_proxy_filter = ${name}`, () => assert.deepEqual(placeOf(name, context, fatal), where));

test('a port that is none', () => assert.throws(() => placeOf('127.0.0.1:no-such-service', context, fatal), /fatal: bad service name in "127\.0\.0\.1:no-such-service": no-such-service/));
