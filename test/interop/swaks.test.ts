/** swaks(1) of Debian as a client: TLS, AUTH, XCLIENT and the PROXY protocol, in every combination, and what the log says of the client. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Dovecot, noDovecot } from '../dovecot.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { missing } from '../real-programs.ts';
import { fileURLToPath } from 'node:url';
import { runCommand } from './log-readers-scene.ts';

const swaks = '/usr/bin/swaks';
const skip = missing(swaks) || noDovecot;
const ports = { plain: 0, proxied: 0, wrapped: 0 };
let dovecot: Dovecot;
let system: Instance;

before(async () => {
  if (skip) return;
  dovecot = await Dovecot.start({ users: { joe: 'secret' } });
  for (const name of ['plain', 'proxied', 'wrapped'] as const) ports[name] = await freePort();
  system = await Instance.create({
    masterCf: `127.0.0.1:${ports.plain} inet n - n - - smtpd
127.0.0.1:${ports.proxied} inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
127.0.0.1:${ports.wrapped} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
${masterRows('cleanup qmgr rewrite bounce defer trace error retry discard anvil tlsmgr')}
`,
    mainCf: `
mydestination = home.test
local_recipient_maps =
mynetworks = 192.0.2.200
smtpd_peername_lookup = no
smtpd_client_restrictions = permit_sasl_authenticated
local_transport = discard
default_transport = discard
smtpd_tls_chain_files = ${fileURLToPath(new URL('../dialogues/tls.pem', import.meta.url))}
smtpd_tls_security_level = may
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:${dovecot.port}
smtpd_authorized_xclient_hosts = 127.0.0.1, 203.0.113.7
`,
  });
  await system.start();
});

after(async () => {
  if (skip) return;
  await system.stop();
  await dovecot.stop();
});

const proxy = (version: string): string[] => [
  '--proxy-version', version, '--proxy-family', version === '1' ? 'TCP4' : 'AF_INET', '--proxy-source', '203.0.113.7', '--proxy-source-port', '4711',
  '--proxy-dest', '127.0.0.1', '--proxy-dest-port', '25', ...(version === '1' ? [] : ['--proxy-protocol', 'STREAM', '--proxy-command', 'PROXY']),
];
const xclient = ['--xclient-name', 'far.client.test', '--xclient-addr', '198.51.100.9'];

/** The client of the last message: what smtpd noted. */
async function clientOf(before: number): Promise<string> {
  const line = await eventually('the client is in the log', () => system.lines(/smtpd\[[0-9]+\]: \w+: client=/)[before]);
  return line.replace(/^.*?: client=/, '');
}

const tlsWays: readonly (readonly [string, readonly string[]])[] = [['plain', []], ['STARTTLS', ['--tls']], ['wrapper mode', ['--tls-on-connect']]];
let turn = 0;

for (const [way, tls] of tlsWays) for (const login of [false, true]) for (const speaks of [false, true]) for (const upstream of ['', '1', '2']) {
  if (way === 'wrapper mode' && upstream !== '') continue;
  const title = [way, ...(login ? ['AUTH'] : []), ...(speaks ? ['XCLIENT'] : []), ...(upstream === '' ? [] : [`PROXY ${upstream}`])].join(', ');
  test(`swaks: ${title}`, { skip }, async () => {
    const port = way === 'wrapper mode' ? ports.wrapped : upstream === '' ? ports.plain : ports.proxied;
    const seen = system.lines(/smtpd\[[0-9]+\]: \w+: client=/).length;
    const to = login ? `far${++turn}@elsewhere.test` : `joe${++turn}@home.test`;
    const { status, out } = await runCommand(swaks, [
      '--server', '127.0.0.1', '--port', String(port), '--ehlo', 'client.test', '--from', 'ann@client.test', '--to', to, ...tls,
      ...(login ? ['--auth', 'PLAIN', '--auth-user', 'joe', '--auth-password', 'secret'] : []), ...(speaks ? xclient : []), ...(upstream === '' ? [] : proxy(upstream)),
    ], { PATH: '/usr/bin:/bin', HOME: system.directory });
    assert.equal(status, 0, out);
    assert.equal(/=== TLS started/.test(out), way !== 'plain');
    const client = speaks ? 'far.client.test[198.51.100.9]' : upstream === '' ? 'unknown[127.0.0.1]' : 'unknown[203.0.113.7]';
    assert.equal(await clientOf(seen), `${client}${login ? ', sasl_method=PLAIN, sasl_username=joe' : ''}`);
    await eventually('it was delivered', () => system.lines(new RegExp(`: to=<${to.replaceAll('.', '\\.')}>.* status=sent`))[0]);
  });
}

test('swaks without a PROXY header where one is due', { skip }, async () => {
  const { status } = await runCommand(swaks, ['--server', '127.0.0.1', '--port', String(ports.proxied), '--from', 'a@b.test', '--to', 'joe@home.test', '--timeout', '10s'], { PATH: '/usr/bin:/bin', HOME: system.directory });
  assert.notEqual(status, 0);
});
