import assert from 'node:assert/strict';
import test from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import { ears } from '../../delivery/testing.ts';
import type { Tools } from '../../server/daemon.ts';
import { tableContext } from '../../tables/table.ts';
import type { Client } from './access/state.ts';
import { clientCounts, network } from './client-counts.ts';

const client = { name: 'host.example.org', address: '192.0.2.1', label: 'host.example.org[192.0.2.1]' } as Client;

/** Anvil answers `number` to everything, or is down. */
function bench(settings: Readonly<Record<string, string>>, number: number | undefined) {
  const asked: string[] = [];
  const { log, lines } = ears();
  const answer = (name: string) => ({ client: who }: { client: string }) => {
    asked.push(`${name} ${who}`);
    if (number === undefined) throw new ServiceTrouble('private/anvil', 'connection refused');
    return { count: number, rate: number };
  };
  const calls = Object.fromEntries(['connect', 'disconnect', 'message', 'recipient', 'auth'].map((name) => [name, answer(name)]));
  const config = new Configuration('/nowhere', new Map(), Object.entries({ myhostname: 'mx.example.org', mynetworks: '127.0.0.0/8', ...settings }));
  const tools = { config, log, row: { service: 'smtp' }, services: { connect: () => calls } } as unknown as Tools;
  return { counts: clientCounts(tools, tableContext(config, log)), log, lines, asked };
}

const said = (refusal: { code: number; status?: string; text: unknown } | undefined): string | undefined =>
  (refusal === undefined ? undefined : `${refusal.code} ${refusal.status} ${String(refusal.text)}`);

for (const [name, settings, number, event, want, warning] of [
  ['as many connections as may be', {}, 50, 'connected', undefined, undefined],
  ['one connection too many', {}, 51, 'connected', '421 4.7.0 mx.example.org Error: too many connections from 192.0.2.1',
    'warning: Connection concurrency limit exceeded: 51 from host.example.org[192.0.2.1] for service smtp'],
  ['too many connections in a time unit', { smtpd_client_connection_count_limit: '0', smtpd_client_connection_rate_limit: '3' }, 4, 'connected',
    '421 4.7.0 mx.example.org Error: too many connections from 192.0.2.1', 'warning: Connection rate limit exceeded: 4 from host.example.org[192.0.2.1] for service smtp'],
  ['too much mail', { smtpd_client_message_rate_limit: '3' }, 4, 'message', '450 4.7.1 Error: too much mail from 192.0.2.1',
    'warning: Message delivery request rate limit exceeded: 4 from host.example.org[192.0.2.1] for service smtp'],
  ['too many logins', { smtpd_client_auth_rate_limit: '3' }, 4, 'auth', '450 4.7.1 Error: too many AUTH commands from 192.0.2.1',
    'warning: AUTH command rate limit exceeded: 4 from host.example.org[192.0.2.1] for service smtp'],
  ['as many logins as may be', { smtpd_client_auth_rate_limit: '3' }, 3, 'auth', undefined, undefined],
  ['too many recipients', { smtpd_client_recipient_rate_limit: '3' }, 4, 'recipient', '450 4.7.1 Error: too many recipients from 192.0.2.1',
    'warning: Recipient address rate limit exceeded: 4 from host.example.org[192.0.2.1] for service smtp'],
  ['mail without a limit', {}, 9, 'message', undefined, undefined],
] as const) {
  test(`limits: ${name}`, async () => {
    const { counts, log, lines, asked } = bench(settings, number);
    const one = counts(client, log);
    const first = await one.connected();
    const refusal = event === 'connected' ? first : await one[event]();
    one.gone();
    assert.equal(said(refusal), want);
    assert.deepEqual(lines, warning === undefined ? [] : [warning]);
    assert.deepEqual([asked[0], asked.at(-1)], ['connect smtp:192.0.2.1', 'disconnect smtp:192.0.2.1']);
  });
}

for (const [name, settings, address] of [
  ['a client of mynetworks', {}, '127.0.0.1'],
  ['a client on the list of exceptions', { smtpd_client_event_limit_exceptions: 'host.example.org' }, '192.0.2.1'],
  ['no limits at all', { smtpd_client_connection_count_limit: '0' }, '192.0.2.1'],
] as const) {
  test(`not counted: ${name}`, async () => {
    const { counts, log, asked } = bench(settings, 1000);
    const one = counts({ ...client, address }, log);
    assert.deepEqual([await one.connected(), await one.message(), await one.recipient()], [undefined, undefined, undefined]);
    one.gone();
    assert.deepEqual(asked, []);
  });
}

test('without anvil there are no limits, and mail goes on', async () => {
  const { counts, log, lines } = bench({}, undefined);
  assert.equal(await counts(client, log).connected(), undefined);
  assert.deepEqual(lines, ['warning: private/anvil: connection refused -- client limits are not enforced']);
});

test('a list of exceptions that cannot be asked exempts nobody', async () => {
  const { counts, log, lines, asked } = bench({ smtpd_client_event_limit_exceptions: 'texthash:/nonexistent/table' }, 51);
  const one = counts(client, log);
  assert.equal(said(await one.connected()), '421 4.7.0 mx.example.org Error: too many connections from 192.0.2.1');
  one.gone();
  assert.deepEqual(asked, ['connect smtp:192.0.2.1', 'disconnect smtp:192.0.2.1']);
  assert.ok(lines.some((line) => /^warning: smtpd_client_event_limit_exceptions: texthash:\/nonexistent\/table: /.test(line)), lines.join('\n'));
});

test('a client that is gone before its count is known does not stay counted', async () => {
  const { counts, log, asked } = bench({}, 1);
  const one = counts(client, log);
  const answer = one.connected();
  one.gone();
  assert.equal(await answer, undefined);
  assert.deepEqual(asked, ['connect smtp:192.0.2.1', 'disconnect smtp:192.0.2.1']);
});

for (const [address, prefix4, prefix6, want] of [
  ['192.0.2.77', 32, 84, '192.0.2.77'],
  ['192.0.2.77', 24, 84, '192.0.2.0/24'],
  ['192.0.2.77', 25, 84, '192.0.2.0/25'],
  ['192.0.2.200', 25, 84, '192.0.2.128/25'],
  ['192.0.2.77', 0, 84, '0.0.0.0/0'],
  ['2001:db8:1:2:3:f444:5:6', 32, 84, '2001:db8:1:2:3:f000::/84'],
  ['2001:db8::1', 32, 128, '2001:db8::1'],
] as const) {
  test(`network of ${address} /${prefix4} /${prefix6}`, () => assert.equal(network(address, { prefix4, prefix6 }), want));
}

test('who speaks for others is not counted', async () => {
  const { counts, log, asked } = bench({ smtpd_authorized_xclient_hosts: '192.0.2.1', smtpd_client_message_rate_limit: '1' }, 1000);
  const one = counts(client, log);
  assert.deepEqual([await one.connected(), await one.message()], [undefined, undefined]);
  one.gone();
  assert.deepEqual(asked, []);
});
