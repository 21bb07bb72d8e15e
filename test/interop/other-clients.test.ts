/**
 * Clients that speak for others, as swaks speaks for them: XCLIENT, and the PROXY protocol in both versions, with and without TLS.
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { makePair, noOpenssl } from '../tls-scene.ts';

const noSwaks = spawnSync('swaks', ['--version']).error === undefined ? false : 'swaks is not installed';
const skip = noOpenssl || noSwaks;

const ports = { plain: 0, proxied: 0, wrapped: 0, mixed: 0 };
let folder: string;
let instance: Instance;

before(async () => {
  if (skip) return;
  folder = mkdtempSync(`${tmpdir()}/postern-others-`);
  chmodSync(folder, 0o755);
  const pair = makePair(folder, 'host.example.test', 'rsa');
  for (const name of ['plain', 'proxied', 'wrapped', 'mixed'] as const) ports[name] = await freePort();
  const proxy = '-o smtpd_upstream_proxy_protocol=haproxy';
  instance = await Instance.create({
    masterCf: `127.0.0.1:${ports.plain} inet n - n - - smtpd -o smtpd_authorized_xclient_hosts=127.0.0.1
127.0.0.1:${ports.proxied} inet n - n - - smtpd ${proxy}
127.0.0.1:${ports.wrapped} inet n - n - - smtpd ${proxy} -o smtpd_tls_wrappermode=yes
127.0.0.1:${ports.mixed} inet n - n - - smtpd ${proxy} -o smtpd_upstream_proxy_networks=127.0.0.2
${masterRows('cleanup qmgr rewrite bounce defer trace error retry discard anvil tlsmgr')}
`,
    mainCf: `
mydestination = box.test
mynetworks = 192.0.2.0/24
local_recipient_maps =
local_transport = discard:
default_transport = discard:
inet_protocols = all
smtpd_peername_lookup = no
smtpd_client_port_logging = yes
smtpd_tls_security_level = may
smtpd_tls_cert_file = ${pair.certificate}
smtpd_tls_key_file = ${pair.key}
`,
  });
  await instance.start();
});

after(async () => {
  if (skip) return;
  await instance.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Run { readonly status: number; readonly output: string }

function swaks(port: number, ...args: string[]): Promise<Run> {
  const usual = ['--server', '127.0.0.1', '--port', String(port), '--from', 'ann@example.test', '--to', 'bob@elsewhere.test', '--timeout', '15'];
  return new Promise((resolve) => {
    execFile('swaks', [...usual, ...args], { timeout: 20_000, encoding: 'latin1' }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr });
    });
  });
}

const friend = ['--proxy-source', '192.0.2.77', '--proxy-source-port', '4711', '--proxy-dest', '198.51.100.1', '--proxy-dest-port', '25'];
const stranger = ['--proxy-source', '203.0.113.77', '--proxy-source-port', '4711', '--proxy-dest', '198.51.100.1', '--proxy-dest-port', '25'];
const v1 = ['--proxy-version', '1', '--proxy-family', 'TCP4'];
const v2 = ['--proxy-version', '2', '--proxy-family', 'AF_INET', '--proxy-protocol', 'STREAM'];

for (const [title, port, args, status, client] of [
  ['XCLIENT for a friend', 'plain', ['--xclient-addr', '192.0.2.77', '--xclient-name', 'friend.test', '--xclient-port', '4711'], 0, 'friend.test[192.0.2.77]:4711'],
  ['XCLIENT for a stranger', 'plain', ['--xclient-addr', '203.0.113.77', '--xclient-name', '[UNAVAILABLE]', '--xclient-port', '4711'], 24, 'unknown[203.0.113.77]:4711'],
  ['XCLIENT with IPv6', 'plain', ['--xclient-addr', 'IPV6:2001:db8::77', '--xclient-port', '4711'], 24, 'unknown[2001:db8::77]:4711'],
  ['XCLIENT with a login', 'plain', ['--xclient', 'ADDR=203.0.113.78 PORT=4711 LOGIN=ann'], 0, 'unknown[203.0.113.78]:4711, sasl_method=XCLIENT, sasl_username=ann'],
  ['version 1 for a friend', 'proxied', [...v1, ...friend], 0, 'unknown[192.0.2.77]:4711'],
  ['version 1 for a stranger', 'proxied', [...v1, ...stranger], 24, 'unknown[203.0.113.77]:4711'],
  ['version 2 for a friend', 'proxied', [...v2, ...friend], 0, 'unknown[192.0.2.77]:4711'],
  ['version 2, and STARTTLS', 'proxied', [...v2, ...friend, '--tls'], 0, 'unknown[192.0.2.77]:4711'],
  ['version 1 before TLS', 'wrapped', [...v1, ...friend, '--tls-on-connect'], 0, 'unknown[192.0.2.77]:4711'],
  ['version 2 before TLS', 'wrapped', [...v2, ...stranger, '--tls-on-connect'], 24, 'unknown[203.0.113.77]:4711'],
  ['a port with and without a proxy: with', 'mixed', [...v1, ...friend, '--local-interface', '127.0.0.2'], 0, 'unknown[192.0.2.77]:4711'],
] as const) {
  test(`swaks: ${title}`, { skip }, async () => {
    const run = await swaks(ports[port], ...args);
    assert.equal(run.status, status, run.output);
    const line = status === 0 ? `client=${client}` : `reject: RCPT from ${client}: 4`;
    assert.ok(await eventually(line, () => instance.lines(new RegExp(line.replace(/[[\].]/g, '\\$&'))).length > 0));
  });
}

/** A connection whose first packet is the header and what TLS says first, as when a busy proxy sends both at once. */
function behindHeader(port: number, header: string): Duplex {
  const raw = net.connect(port, '127.0.0.1');
  let first = true;
  const duplex = new Duplex({
    read() { raw.resume(); },
    write(chunk: Buffer, _encoding, done) {
      raw.write(first ? Buffer.concat([Buffer.from(header, 'latin1'), chunk]) : chunk, () => done());
      first = false;
    },
    final(done) { raw.end(() => done()); },
  });
  raw.on('data', (chunk) => duplex.push(chunk)).on('end', () => duplex.push(null)).on('error', () => duplex.destroy());
  return duplex;
}

test('the header and the beginning of TLS in one packet', { skip }, async () => {
  const secured = tls.connect({ socket: behindHeader(ports.wrapped, 'PROXY TCP4 203.0.113.99 198.51.100.1 4711 465\r\n'), rejectUnauthorized: false });
  const greeting = await new Promise<string>((resolve, reject) => secured.once('data', (bytes) => resolve(String(bytes))).once('error', reject));
  assert.match(greeting, /^220 host\.example\.test /);
  secured.end('QUIT\r\n');
  assert.ok(await eventually('its log line', () => instance.lines(/disconnect from unknown\[203\.0\.113\.99\]:4711/).length > 0));
});

test('swaks: a port with and without a proxy: without', { skip }, async () => {
  const run = await swaks(ports.mixed, '--to', 'joe@box.test');
  assert.equal(run.status, 0, run.output);
  const lying = await swaks(ports.mixed, ...v1, ...friend);
  assert.notEqual(lying.status, 0, 'what a client says of itself counts for nothing');
});

test('swaks: strangers may not', { skip }, async () => {
  const run = await swaks(ports.mixed, '--xclient-addr', '192.0.2.77');
  assert.notEqual(run.status, 0);
  assert.match(run.output, /Host did not advertise XCLIENT/);
});
