/** smtp(8) logs in: which password goes where, which never goes, and what becomes of the mail when a login fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench } from '../../delivery/testing.ts';
import { requestFlag } from '../../ipc/deliver.ts';
import type { DeliveryRequest } from '../../ipc/deliver.ts';
import type { Service } from '../../server/daemon.ts';
import { FakeServer } from './fake-server.ts';
import type { Script } from './fake-server.ts';
import { Logins } from './login.ts';
import type { LoginCase } from './login.ts';
import { openMaps } from '../../tables/maps.ts';
import { daemon } from './smtp.ts';

type Agent = Parameters<Bench['deliver']>[0] & Service;

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');
const plain = (user: string, password: string): string => `AUTH PLAIN ${base64(`\0${user}\0${password}`)}`;
const ehlo = (mechanisms: string, more = ''): string => `250-server.example\r\n250-PIPELINING\r\n${more}250 AUTH ${mechanisms}`;
const offer = (mechanisms: string, replies: Readonly<Record<string, string>> = {}): Script =>
  ({ replies: { EHLO: ehlo(mechanisms), 'AUTH PLAIN': '235 2.7.0 ok', 'AUTH LOGIN': '235 2.7.0 ok', ...replies } });
const hosts = '127.0.0.1 one.example two.example\n';

async function stage(script: Script, main: string, use: (stage: { bench: Bench; agent: Agent; fake: FakeServer; deliver(to: string, request?: Partial<DeliveryRequest>): Promise<string[]> }) => Promise<void>): Promise<void> {
  const fake = await FakeServer.listen(script);
  const port = String(fake.port);
  const bench = new Bench({
    row: 'smtp unix - - n - - smtp',
    main: `resolver_hosts_file = DIR/hosts\nsmtp_dns_support_level = disabled\nsmtp_tls_security_level = none\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_security_options = noanonymous\n${main.replaceAll('PORT', port)}`,
  });
  bench.file('hosts', hosts);
  const agent = await daemon.open(bench.tools as never) as Agent;
  const deliver = async (to: string, request: Partial<DeliveryRequest> = {}): Promise<string[]> => {
    const { lines } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: to.replaceAll('PORT', port), ...request } });
    return lines.map((line) => line.replaceAll(`:${port}`, ':25').replace(/^AB\d+: to=.* dsn=/, 'dsn='));
  };
  try {
    await use({ bench, agent, fake, deliver });
  } finally {
    await agent.drain?.(true);
    bench.remove();
    await fake.close();
  }
}

const sent = 'dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as FAKE)';
const maps = (...entries: string[]): string => `smtp_sasl_password_maps = inline:{ ${entries.map((entry) => `{${entry}}`).join(', ')} }\n`;

for (const [what, main, request, want] of [
  ['by destination, as it is written', maps('[one.example]:PORT=joe:se:cret'), {}, plain('joe', 'se:cret')],
  ['by server', maps('one.example=joe:secret'), {}, plain('joe', 'secret')],
  ['the server before the destination', maps('one.example=joe:host', '[one.example]:PORT=joe:destination'), {}, plain('joe', 'host')],
  ['not by sender without leave', maps('ann@example.com=ann:secret', 'one.example=joe:secret'), {}, plain('joe', 'secret')],
  ['by sender', `smtp_sender_dependent_authentication = yes\n${maps('ann@example.com=ann:secret', 'one.example=joe:secret')}`, {}, plain('ann', 'secret')],
  ['by the sender without extension', `smtp_sender_dependent_authentication = yes\nrecipient_delimiter = +\n${maps('ann@example.com=ann:secret')}`, { sender: 'ann+x@example.com' }, plain('ann', 'secret')],
  ["by the sender's domain", `smtp_sender_dependent_authentication = yes\n${maps('@example.com=all:secret')}`, {}, plain('all', 'secret')],
  ['the null sender is nobody', `smtp_sender_dependent_authentication = yes\n${maps('@example.com=all:secret', 'one.example=joe:secret')}`, { sender: '' }, plain('joe', 'secret')],
  ['another delimiter', `smtp_sasl_password_result_delimiter = |\n${maps('one.example=dom:joe|secret')}`, {}, plain('dom:joe', 'secret')],
  ['no password at all', maps('one.example=joe'), {}, plain('joe', '')],
] as const) test(`whose password: ${what}`, async () => {
  await stage(offer('PLAIN LOGIN'), main, async ({ fake, deliver }) => {
    assert.deepEqual(await deliver('[one.example]:PORT', { sender: 'ann@example.com', ...request }), [sent]);
    assert.deepEqual(fake.commands.filter((line) => line.startsWith('AUTH')), [want]);
  });
});

for (const [what, script, main] of [
  ['a server that is not in the table', offer('PLAIN'), maps('two.example=joe:secret')],
  ['a server that does not offer AUTH', {}, maps('one.example=joe:secret')],
  ['AUTH that is ignored', offer('PLAIN'), `smtp_discard_ehlo_keywords = auth, silent-discard\n${maps('one.example=joe:secret')}`],
] as const) test(`mail goes as a stranger's to ${what}`, async () => {
  await stage(script, main, async ({ fake, deliver }) => {
    assert.deepEqual(await deliver('[one.example]:PORT'), [sent]);
    assert.ok(!fake.commands.some((line) => line.startsWith('AUTH')));
  });
});

const worthless = 'warning: SASL authentication failure: No worthy mechs found';
const none = 'dsn=4.7.0, status=deferred (SASL authentication failed; cannot authenticate to server one.example[127.0.0.1]: no mechanism available)';
const incompatible = 'dsn=4.7.0, status=deferred (SASL authentication failed: server one.example[127.0.0.1] offered no compatible authentication mechanisms for this type of connection security)';
for (const [what, script, main, want] of [
  ['the password would be readable', offer('PLAIN LOGIN'), 'smtp_sasl_security_options = noplaintext, noanonymous\n', [worthless, none]],
  ['no mechanism that we know', offer('GSSAPI NTLM'), '', [worthless, none]],
  ['the filter leaves none', offer('PLAIN'), 'smtp_sasl_mechanism_filter = !plain, static:all\n', ["warning: one.example[127.0.0.1]:25 offered no supported AUTH mechanisms: 'PLAIN'", incompatible]],
  ['an empty offer', offer(''), '', ['warning: one.example[127.0.0.1]:25 offered null AUTH mechanism list', incompatible]],
  ['the password is for certificates that fit', offer('PLAIN'), 'smtp_sasl_security_options = noplaintext\nsmtp_sasl_tls_verified_security_options = noanonymous\n', [worthless, none]],
  ['refused', offer('PLAIN', { 'AUTH PLAIN': '535 5.7.8 no' }), '', ['dsn=4.7.8, status=deferred (SASL authentication failed; server one.example[127.0.0.1] said: 535 5.7.8 no)']],
  ['refused for good', offer('PLAIN', { 'AUTH PLAIN': '535 5.7.8 no' }), 'smtp_sasl_auth_soft_bounce = no\n', ['dsn=5.7.8, status=bounced (SASL authentication failed; server one.example[127.0.0.1] said: 535 5.7.8 no)']],
  ['hung up', offer('PLAIN', { 'AUTH PLAIN': 'CLOSE' }), '', ['dsn=4.4.2, status=deferred (lost connection with one.example[127.0.0.1] while performing the EHLO handshake)']],
  ['a table out of order', offer('PLAIN'), 'smtp_sasl_password_maps = fail:broken\n',
    ['warning: fail:broken lookup error for "one.example"', 'warning: AB1: smtp_sasl_password_maps lookup error', 'dsn=4.3.0, status=deferred (local data error while talking to one.example[127.0.0.1])']],
] as const) test(`no login, no mail: ${what}`, async () => {
  await stage(script, `${maps('one.example=joe:secret')}${main}`, async ({ fake, deliver }) => {
    assert.deepEqual(await deliver('[one.example]:PORT'), want);
    assert.ok(!fake.commands.some((line) => line.startsWith('MAIL')));
    assert.ok(want.some((line) => line.includes('said: 535') || line.includes('lost')) || !fake.commands.some((line) => line.startsWith('AUTH')), 'nothing was shown');
  });
});

test('TLS is on: its own options count, and after it the offer is a new one', async () => {
  const script = offer('PLAIN', { EHLO: ehlo('LOGIN PLAIN', '250-STARTTLS\r\n'), STARTTLS: '220 go' });
  const main = `${maps('one.example=joe:secret')}smtp_tls_security_level = may\nsmtp_sasl_security_options = noplaintext\nsmtp_sasl_tls_security_options = noanonymous\n`;
  await stage(script, main, async ({ fake, deliver }) => {
    assert.match((await deliver('[one.example]:PORT')).at(-1)!, /status=sent/);
    assert.deepEqual(fake.commands.slice(0, 4), ['EHLO host.example.org', 'STARTTLS', 'EHLO host.example.org', plain('joe', 'secret')]);
  });
});

test('TLS fails: mail for a server where we log in does not go there in the clear', async () => {
  const script = { ...offer('PLAIN', { EHLO: ehlo('PLAIN', '250-STARTTLS\r\n'), STARTTLS: '220 go' }), brokenTls: true };
  const main = 'smtp_tls_security_level = may\n';
  // TLS alone is tried for a while first.
  const times = { incomingArrival: 1_800_000_000, activeArrival: 1_800_001_000, agentHandoff: 1_800_001_000, connectionDone: 0, deliveryDone: 0 };
  await stage(script, main + maps('one.example=joe:secret'), async ({ fake, deliver }) => {
    assert.match((await deliver('[one.example]:PORT', { times })).at(-1)!, /dsn=4\.7\.5, status=deferred/);
    assert.ok(!fake.commands.some((line) => /^(?:AUTH|MAIL)/.test(line)));
    // To one where we are strangers it does.
    assert.match((await deliver('[two.example]:PORT', { times })).at(-1)!, /status=sent/);
  });
});

const kept = requestFlag.success | requestFlag.connectionLoad | requestFlag.connectionStore;
for (const [what, main, requests, logins] of [
  ['the same sender, the same server', 'smtp_sender_dependent_authentication = yes\n', [['one', 'a'], ['one', 'a']], ['a']],
  ['another sender', 'smtp_sender_dependent_authentication = yes\n', [['one', 'a'], ['one', 'b']], ['a', 'b']],
  ['another sender of no meaning', '', [['one', 'a'], ['one', 'b']], ['all']],
  ['another name of the same address', '', [['one', 'a'], ['two', 'a']], ['all', 'two']],
] as const) test(`a connection that has logged in is kept for ${what}`, async () => {
  await stage(offer('PLAIN'), `${main}${maps('a@example.com=a:x', 'b@example.com=b:x', 'one.example=all:x', 'two.example=two:x')}`, async ({ fake, deliver }) => {
    for (const [host, sender] of requests) assert.match((await deliver(`[${host}.example]:PORT`, { sender: `${sender}@example.com`, flags: kept })).at(-1)!, /status=sent/);
    assert.deepEqual(fake.commands.filter((line) => line.startsWith('AUTH')), logins.map((user) => plain(user, 'x')));
  });
});

test('AUTH=<> for those who want it', async () => {
  await stage(offer('PLAIN'), `${maps('one.example=joe:secret')}smtp_send_dummy_mail_auth = yes\n`, async ({ fake, deliver }) => {
    await deliver('[one.example]:PORT');
    assert.ok(fake.commands.includes('MAIL FROM:<sender@example.com> AUTH=<>'));
  });
});

test('a token goes in place of the password; a refused one is asked for anew', async () => {
  const token = (text: string): string => `AUTH XOAUTH2 ${base64(`user=joe\x01auth=Bearer ${text}\x01\x01`)}`;
  const script = offer('PLAIN XOAUTH2', { [token('old')]: '334 e30=', [token('new')]: '235 ok' });
  await stage({ ...script, replies: { ...script.replies, '': '535 5.7.8 expired', QUIT: '221 bye' } }, `${maps('one.example=joe:never')}smtp_sasl_token_maps = inline:{ {joe=file:DIR/token} }\n`, async ({ bench, fake, deliver }) => {
    bench.file('token', 'old\n');
    assert.match((await deliver('[one.example]:PORT')).at(-1)!, /dsn=4\.7\.8, status=deferred .*535 5\.7\.8 expired/);
    bench.file('token', '{"access_token": "new"}');
    assert.deepEqual(await deliver('[one.example]:PORT'), [sent]);
    assert.ok(!fake.commands.join().includes(base64('\0joe\0never').slice(4, -4)));
    bench.file('token', '');
    const lines = await deliver('[one.example]:PORT');
    assert.match(lines.at(-1)!, /dsn=4\.7\.0, status=deferred \(SASL authentication failed; cannot authenticate to server one\.example\[127\.0\.0\.1\]: no token for joe\)/);
  });
});

for (const [what, main, problem] of [
  ['no passwords', 'smtp_sasl_password_maps =\n', /specify a password table via the `smtp_sasl_password_maps' configuration parameter/],
  ['unknown options', `${maps('a=b')}smtp_sasl_tls_security_options = noplain\n`, /unknown smtp_sasl_tls_security_options value "noplain"/],
  ['another implementation', `${maps('a=b')}smtp_sasl_type = dovecot\n`, /smtp_sasl_type: value "dovecot" cannot be used here/],
  ['a cache that everybody writes', `${maps('a=b')}smtp_sasl_auth_cache_name = lmdb:/tmp/x\n`, /must start with "proxy:"/],
] as const) test(`a configuration that cannot be: ${what}`, async () => {
  await stage(offer('PLAIN'), main, async ({ fake, deliver }) => {
    const lines = await deliver('[one.example]:PORT');
    assert.match(lines.join('\n'), problem);
    assert.match(lines.at(-1)!, /dsn=4\.3\.5, status=deferred/);
    assert.equal(fake.connections, 0);
  });
});

test('what a server has refused is not tried again, until the password is another or time has passed', async () => {
  const entries = new Map<string, string>();
  const log: string[] = [];
  const clock = { time: 1_800_000_000, now: () => clock.time * 1000 };
  const cache = {
    type: 'proxy', name: 'lmdb:/cache', fixed: true, owner: { trusted: true, uid: 0 }, changed: () => false, close: () => undefined,
    find: (key: string) => entries.get(key), update: (key: string, value: string) => void entries.set(key, value), remove: (key: string) => entries.delete(key),
  };
  const logins = (password: string, softBounce = true): Logins => new Logins({
    program: 'smtp', clock, cache, filter: undefined, tokens: undefined,
    settings: { passwordMaps: '', delimiter: ':', bySender: false, mechanismFilter: '', security: { clear: 0, tls: 0, verified: 0 }, cacheName: '', cacheSeconds: 100, softBounce, saysWhom: false, tokenMaps: '', tokenTimeLimit: 1 },
    passwords: openMaps(`inline:{ {mx.example=joe:${password}} }`, { parameter: () => 'no', warn: () => undefined }, 'smtp_sasl_password_maps'),
    rules: { recipientDelimiter: '', myorigin: 'example.org', isLocal: () => false },
  });
  const whose: LoginCase = {
    queueId: 'AB1', sender: '', destination: 'example.org', port: 25,
    peer: { host: 'mx.example', address: '192.0.2.1', nameAddress: 'mx.example[192.0.2.1]', nameAddressPort: 'mx.example[192.0.2.1]:25' },
    log: { warning: (text: string) => log.push(text) } as never,
  };
  const outcome = async (all: Logins): Promise<unknown> => {
    const found = await all.find(['PLAIN'], 'clear', whose);
    return found && 'why' in found && typeof found.why === 'object' ? `${found.why.status} ${found.why.reason}` : 'goes on';
  };
  const cached = 'SASL [CACHED] authentication failed; server mx.example said: 535 5.7.8 no?535 never';
  assert.equal(await outcome(logins('secret')), 'goes on');
  await logins('secret').refused({ code: 454, status: '4.7.0', text: '454 later' }, whose);
  assert.equal(entries.size, 0);
  await logins('secret').refused({ code: 535, status: '5.7.8', text: '535 5.7.8 no\n535 never' }, whose);
  assert.deepEqual([...entries], [['mx.example;joe', '1800000000;5en6G6MezRroT3XKqkdPOmY/BfQ=;5.7.8;535 5.7.8 no?535 never']]);
  assert.equal(await outcome(logins('secret')), `4.7.8 ${cached}`);
  assert.equal(await outcome(logins('secret', false)), `5.7.8 ${cached}`);
  assert.equal(await outcome(logins('other')), 'goes on');
  assert.equal(entries.size, 0);
  await logins('secret').refused({ code: 535, status: '5.7.8', text: '535 no' }, whose);
  clock.time += 101;
  assert.equal(await outcome(logins('secret')), 'goes on');
  entries.set('mx.example;joe', 'nonsense');
  assert.equal(await outcome(logins('secret')), 'goes on');
  assert.deepEqual([log, entries.size], [['bad smtp_sasl_auth_cache entry: nonsense'], 0]);
});
