import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import { ears } from '../../delivery/testing.ts';
import { systemClock } from '../../server/clock.ts';
import type { Session, Tools } from '../../server/daemon.ts';
import { tableContext } from '../../tables/table.ts';
import { unknownClient } from './other-client.ts';
import { openUpstreamProxy, turnAway, type WhoIsThere } from './upstream-proxy.ts';

const header = 'PROXY TCP4 203.0.113.1 198.51.100.2 40000 25\r\n';

/** What a client that says `pieces` and then waits or hangs up is taken for, and what is left to read. */
async function met(settings: Readonly<Record<string, string>>, pieces: readonly string[], hangsUp = false) {
  const { log, lines } = ears();
  const config = new Configuration('/nowhere', new Map(), Object.entries({ smtpd_upstream_proxy_protocol: 'haproxy', mynetworks: '127.0.0.0/8', ...settings }));
  const ask = openUpstreamProxy({ config, log, clock: systemClock } as Tools, tableContext(config, log))!;
  const server = net.createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  client.on('error', () => undefined);
  const socket = await new Promise<net.Socket>((resolve) => { server.once('connection', resolve); });
  const answer = ask({ socket, log } as Session);
  for (const piece of pieces) await new Promise((resolve) => client.write(piece, 'latin1', resolve));
  if (hangsUp) client.end();
  const who: WhoIsThere = await answer;
  const rest = who === 'none' ? '' : String(socket.read() ?? '');
  client.destroy();
  socket.destroy();
  server.close();
  return { who, rest, lines };
}

const proxied = { kind: 'proxied', client: { address: '203.0.113.1', family: 'IPv4', port: '40000' }, server: { address: '198.51.100.2', family: 'IPv4', port: '25' } };

test('a header, and what is behind it', async () => assert.deepEqual(await met({}, [`${header}EHLO`]), { who: proxied, rest: 'EHLO', lines: [] }));

test('a header in pieces', async () => assert.deepEqual(await met({}, [...header]), { who: proxied, rest: '', lines: [] }));

test('the proxy itself', async () => assert.deepEqual(await met({}, ['\r\n\r\n\0\r\nQUIT\n\x20\0\0\0NOOP']), { who: 'direct', rest: 'NOOP', lines: [] }));

test('no header', async () =>
  assert.deepEqual(await met({}, ['EHLO \x01\r\n']), { who: 'none', rest: '', lines: ['warning: haproxy read: unrecognized protocol header: EHLO \\001\\r\\n'] }));

test('nothing', async () => assert.deepEqual(await met({}, [], true), { who: 'none', rest: '', lines: ['warning: haproxy read: EOF'] }));

test('half of a header', async () =>
  assert.deepEqual(await met({}, ['PROXY TC'], true), { who: 'none', rest: '', lines: ['warning: haproxy read: missing protocol header terminator: PROXY TC'] }));

test('from elsewhere no header is expected', async () =>
  assert.equal((await met({ smtpd_upstream_proxy_networks: '192.0.2.0/24' }, [])).who, 'direct'));

test('from the proxy it is', async () =>
  assert.deepEqual((await met({ smtpd_upstream_proxy_networks: '127.0.0.1' }, [header])).who, proxied));

test('another protocol is a mistake of the operator', () => {
  const { log, lines } = ears();
  const config = new Configuration('/nowhere', new Map(), [['smtpd_upstream_proxy_protocol', 'socks']]);
  assert.throws(() => openUpstreamProxy({ config, log, clock: systemClock } as Tools, tableContext(config, log)));
  assert.deepEqual(lines, ['fatal: unsupported smtpd_upstream_proxy_protocol value: socks']);
});

test('who is not known is told to come again', async () => {
  const { log, lines } = ears();
  const server = net.createServer((socket) => void turnAway({ socket, log } as Session, 'mx.test', unknownClient(false)));
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  let heard = '';
  client.on('data', (bytes) => { heard += bytes.toString('latin1'); });
  await new Promise((resolve) => client.once('close', resolve));
  server.close();
  assert.equal(heard, '421 4.3.0 mx.test Server local error\r\n');
  assert.deepEqual(lines, ['connect from unknown[unknown]', 'disconnect from unknown[unknown] commands=0/0']);
});
