/**
 * One gateway with everything in front of it that people put there, all real and from Debian: postscreen with a DNS list behind unbound, postgrey
 * and policyd-spf (by spawn) as policy services, OpenDKIM, OpenDMARC and rspamd as filters, Dovecot for logins, PostSRSd behind tcp tables; port 25
 * and the submission services as Postfix's master.cf has them; swaks and openssl s_client as clients, each from an address of its own.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { storeFor } from '../../src/queue/file-store.ts';
import { Dovecot, noDovecot } from '../dovecot.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { runCommand, type Said } from '../interop/log-readers-scene.ts';
import { masterRows } from '../master-rows.ts';
import { missing, RealPrograms } from '../real-programs.ts';

const skip = noDovecot || missing('/usr/sbin/unbound', '/usr/sbin/postgrey', '/usr/bin/policyd-spf', '/usr/sbin/opendkim', '/usr/sbin/opendmarc', '/usr/bin/rspamd',
  '/usr/sbin/postsrsd', '/usr/bin/swaks', '/usr/bin/openssl');
const names = ['smtp', 'submission', 'submissions', 'unbound', 'postgrey', 'sign', 'verify', 'dmarc', 'rspamd', 'forward', 'reverse'] as const;
const ports = new Map<string, number>();
const port = (name: (typeof names)[number]): number => ports.get(name)!;
const pem = fileURLToPath(new URL('../dialogues/tls.pem', import.meta.url));

let programs: RealPrograms;
let dovecot: Dovecot;
let system: Instance;

async function startUnbound(directory: string): Promise<void> {
  writeFileSync(`${directory}/unbound.conf`, `server:
  interface: 127.0.0.1@${port('unbound')}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "${directory}"
  pidfile: "${directory}/unbound.pid"
  use-syslog: no
  logfile: "${directory}/unbound.log"
  module-config: "iterator"
  local-zone: "list.test." static
  local-data: "9.66.0.127.list.test. 60 IN A 127.0.0.2"
  local-data: '9.66.0.127.list.test. 60 IN TXT "seen sending junk"'
  local-zone: "." static
remote-control:
  control-enable: no
`);
  await programs.start(port('unbound'), '/usr/sbin/unbound', '-d', '-c', `${directory}/unbound.conf`);
  writeFileSync(`${directory}/resolv.conf`, `nameserver 127.0.0.1:${port('unbound')}\noptions timeout:1 attempts:1\n`);
}

async function startFilters(directory: string): Promise<void> {
  execFileSync('openssl', ['genrsa', '-out', `${directory}/key`, '2048'], { stdio: 'ignore' });
  chmodSync(`${directory}/key`, 0o600);
  writeFileSync(`${directory}/hosts`, '127.0.0.0/8\n');
  writeFileSync(`${directory}/none`, '192.0.2.1\n');
  writeFileSync(`${directory}/no-keys`, '');
  const common = 'Syslog no\nBackground no\nRequireSafeKeys no\n';
  writeFileSync(`${directory}/sign.conf`, `${common}Mode s\nSocket inet:${port('sign')}@127.0.0.1\nDomain home.test\nSelector sel\nKeyFile ${directory}/key\nInternalHosts ${directory}/hosts\nPidFile ${directory}/pid1\n`);
  writeFileSync(`${directory}/verify.conf`, `${common}Mode v\nSocket inet:${port('verify')}@127.0.0.1\nTestPublicKeys ${directory}/no-keys\nInternalHosts ${directory}/none\nAlwaysAddARHeader yes\nAuthservID mx.home.test\nPidFile ${directory}/pid2\n`);
  writeFileSync(`${directory}/dmarc.conf`, `Socket inet:${port('dmarc')}@127.0.0.1\nAuthservID mx.home.test\nTrustedAuthservIDs mx.home.test\nSyslog no\nPidFile ${directory}/pid3\nIgnoreHosts ${directory}/none\nIgnoreAuthenticatedClients no\nSoftwareHeader yes\nDNSTimeout 1\n`);
  mkdirSync(`${directory}/db`);
  writeFileSync(`${directory}/tld`, 'test\ncom\norg\n');
  writeFileSync(`${directory}/rspamd.conf`, `options { pidfile = "${directory}/pid4"; filters = ""; dns { nameserver = ["127.0.0.1:${port('unbound')}"]; timeout = 0.1s; retransmits = 0; }
  tempdir = "${directory}"; url_tld = "${directory}/tld"; hs_cache_dir = "${directory}/db"; control_socket = "${directory}/control"; }
logging { type = "file"; filename = "${directory}/rspamd.log"; level = "info"; }
metric "default" { actions { reject = 15; add_header = 6; greylist = 4; } }
worker "rspamd_proxy" { bind_socket = "127.0.0.1:${port('rspamd')}"; milter = yes; timeout = 20s; count = 1; upstream "local" { default = yes; self_scan = yes; } max_retries = 1; }
`);
  await Promise.all([
    programs.start(port('sign'), '/usr/sbin/opendkim', '-f', '-x', `${directory}/sign.conf`),
    programs.start(port('verify'), '/usr/sbin/opendkim', '-f', '-x', `${directory}/verify.conf`),
    programs.start(port('dmarc'), '/usr/sbin/opendmarc', '-f', '-c', `${directory}/dmarc.conf`),
    programs.start(port('rspamd'), '/usr/bin/rspamd', '-f', '--insecure', '-c', `${directory}/rspamd.conf`),
  ]);
}

async function startPolicies(directory: string): Promise<void> {
  writeFileSync(`${directory}/spf.conf`, 'debugLevel = 1\nTestOnly = 1\nskip_addresses = 127.0.0.0/8\n');
  writeFileSync(`${directory}/secret`, 'a secret of this test\n');
  mkdirSync(`${directory}/grey`);
  await Promise.all([
    programs.start(port('postgrey'), '/usr/sbin/postgrey', `--inet=127.0.0.1:${port('postgrey')}`, `--dbdir=${directory}/grey`, '--delay=1', '--user=root', '--group=root', '--greylist-text=come again'),
    programs.start(port('reverse'), '/usr/sbin/postsrsd', `-s${directory}/secret`, '-dhome.test', `-f${port('forward')}`, `-r${port('reverse')}`, '-l127.0.0.1', '-4'),
  ]);
}

const submission = (service: string, tls: string): string => `127.0.0.1:${port(service as 'submission')} inet n - n - - smtpd
  -o syslog_name=postfix/${service}
  -o smtpd_forbid_unauth_pipelining=no
  -o ${tls}
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_auth_only=yes
  -o local_header_rewrite_clients=static:all
  -o smtpd_hide_client_session=yes
  -o smtpd_reject_unlisted_recipient=no
  -o smtpd_client_restrictions=
  -o smtpd_helo_restrictions=
  -o smtpd_sender_restrictions=reject_sender_login_mismatch
  -o smtpd_relay_restrictions=
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
  -o smtpd_milters=inet:127.0.0.1:${port('sign')}
  -o milter_macro_daemon_name=ORIGINATING
`;

before(async () => {
  if (skip) return;
  for (const name of names) ports.set(name, await freePort());
  programs = new RealPrograms('whole-gateway');
  const { directory } = programs;
  await startUnbound(directory);
  await Promise.all([startFilters(directory), startPolicies(directory)]);
  dovecot = await Dovecot.start({ users: { 'joe@home.test': 'secret' } });
  system = await Instance.create({
    masterCf: `127.0.0.1:${port('smtp')} inet n - n - 1 postscreen
screened pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
policyd-spf unix - n n - 0 spawn user=nobody argv=/usr/bin/policyd-spf ${directory}/spf.conf
${submission('submission', 'smtpd_tls_security_level=encrypt')}${submission('submissions', 'smtpd_tls_wrappermode=yes')}${masterRows('pickup cleanup qmgr rewrite bounce defer trace verify error retry discard local anvil tlsmgr proxymap')}
`,
    mainCf: `
myhostname = mx.home.test
mydestination = home.test
local_recipient_maps = inline:{ joe=yes }
mynetworks = 192.0.2.0/24
inet_protocols = ipv4
alias_maps =
default_transport = discard
local_transport = discard
smtpd_peername_lookup = no
smtpd_service_name = screened
resolver_configuration = ${directory}/resolv.conf
postscreen_access_list = permit_mynetworks
postscreen_greet_wait = 1s
postscreen_greet_action = enforce
postscreen_dnsbl_sites = list.test
postscreen_dnsbl_action = enforce
smtpd_tls_chain_files = ${pem}
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:${dovecot.port}
smtpd_sasl_authenticated_header = yes
smtpd_sender_login_maps = inline:{ joe@home.test=joe@home.test }
smtpd_helo_required = yes
smtpd_recipient_restrictions = reject_non_fqdn_sender, reject_unauth_destination, check_policy_service { unix:private/policyd-spf, timeout=20s }, check_policy_service inet:127.0.0.1:${port('postgrey')}
smtpd_data_restrictions = reject_unauth_pipelining
smtpd_end_of_data_restrictions = check_sender_access static:HOLD
policyd-spf_time_limit = 3600
smtpd_milters = inet:127.0.0.1:${port('verify')}, inet:127.0.0.1:${port('dmarc')}, inet:127.0.0.1:${port('rspamd')}
sender_canonical_maps = tcp:127.0.0.1:${port('forward')}
sender_canonical_classes = envelope_sender
recipient_canonical_maps = tcp:127.0.0.1:${port('reverse')}
recipient_canonical_classes = envelope_recipient, header_recipient
`,
  });
  await system.start();
});

after(async () => {
  if (skip) return;
  await system.stop();
  await dovecot.stop();
  await programs.stop();
});

const body = (subject: string, text = 'hello'): string => `From: Ann <ann@elsewhere.test>\\nTo: joe@home.test\\nSubject: ${subject}\\nDate: Thu, 1 Jan 2026 00:00:00 +0000\\nMessage-ID: <${subject}@elsewhere.test>\\n\\n${text}\\n`;

/** swaks from one of our addresses to one of our services. */
function swaks(service: 'smtp' | 'submission' | 'submissions', from: string, ...more: readonly string[]): Promise<Said> {
  return runCommand('/usr/bin/swaks', ['--server', '127.0.0.1', '--port', String(port(service)), '--local-interface', from, '--ehlo', 'client.elsewhere.test', '--timeout', '30s', ...more],
    { PATH: '/usr/bin:/bin', HOME: programs.directory });
}

const stranger = ['--from', 'ann@elsewhere.test', '--to', 'joe@home.test'];

/** The message on hold, which is taken out: its content, and all of its file. */
async function held(): Promise<{ content: string; file: string }> {
  const store = storeFor({ hash_queue_names: 'deferred, defer', hash_queue_depth: 1, enable_long_queue_ids: false }, `${system.directory}/queue`);
  const entry = await eventually('the message is on hold', () => [...store.list('hold')][0]);
  const path = execFileSync('find', [`${system.directory}/queue/hold`, '-name', entry.queueId], { encoding: 'latin1' }).trim();
  const file = readFileSync(path, 'latin1');
  const reader = store.open('hold', entry.queueId);
  let content = '';
  for await (const chunk of reader.content({ lineEnd: '\n' })) content += chunk.toString('latin1');
  reader.close();
  store.remove(entry.queueId, 'hold');
  return { content, file };
}

test('a listed client is told so by postscreen, and never meets smtpd', { skip }, async () => {
  const { status, out } = await swaks('smtp', '127.0.66.9', ...stranger);
  assert.equal(status, 24, out);
  assert.match(out, /<\*\* 550 5\.7\.1 Service unavailable; client \[127\.0\.66\.9\] blocked using list\.test/);
  assert.ok(system.lines(/postscreen\[[0-9]+\]: NOQUEUE: reject: RCPT from \[127\.0\.66\.9\]:[0-9]+: 550 5\.7\.1 /).length === 1);
  assert.equal(system.lines(/smtpd\[[0-9]+\]: connect from \S*\[127\.0\.66\.9\]/).length, 0);
});

test('a stranger: greylisted, then over TLS through all policies and filters, with a sender to which reports come back', { skip }, async () => {
  const first = await swaks('smtp', '127.0.66.2', ...stranger, '--tls');
  assert.equal(first.status, 24, first.out);
  assert.match(first.out, /450 4\.2\.0 <joe@home\.test>: Recipient address rejected: come again/);
  const { out } = await eventually('greylisting is over', async () => {
    const turn = await swaks('smtp', '127.0.66.2', ...stranger, '--tls', '--data', body('letter'));
    return turn.status === 0 ? turn : undefined;
  });
  assert.match(out, /=== TLS started with cipher TLSv1\.3/);
  assert.match(out, /250 2\.0\.0 Ok: queued as/);
  const { content, file } = await held();
  assert.match(file, /SRS0=[^=]+=[^=]+=elsewhere\.test=ann@home\.test/);
  assert.match(content, /^Received: from client\.elsewhere\.test \(unknown \[127\.0\.66\.2\]\)\n\t\(using TLSv1\.3 with cipher/m);
  assert.match(content, /^X-Comment: SPF (?:check N\/A for local connections|skipped for whitelisted relay)/m);
  assert.match(content, /^X-Greylist: delayed [0-9]+ seconds by postgrey/m);
  assert.match(content, /^Authentication-Results: mx\.home\.test;\s+dkim=none/m);
  assert.match(content, /^DMARC-Filter: OpenDMARC Filter|^Authentication-Results: mx\.home\.test; dmarc=/m);
  assert.match(content, /^Subject: letter$/m);
  assert.ok(system.lines(/postscreen\[[0-9]+\]: PASS NEW \[127\.0\.66\.2\]/).length === 1);
});

test('junk is refused by rspamd at its end', { skip }, async () => {
  const junk = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X';
  const { status, out } = await swaks('smtp', '127.0.66.2', ...stranger, '--data', body('junk', junk));
  assert.equal(status, 26, out + readFileSync(`${programs.directory}/rspamd.log`, 'latin1').slice(-2000));
  assert.match(out, /<\*\* 554 5\.7\.1 Gtube pattern/);
});

test('a stranger relays nothing', { skip }, async () => {
  const { status, out } = await swaks('smtp', '127.0.66.2', '--from', 'ann@elsewhere.test', '--to', 'bob@far.test');
  assert.equal(status, 24, out);
  assert.match(out, /454 4\.7\.1 <bob@far\.test>: Relay access denied|554 5\.7\.1 <bob@far\.test>: Relay access denied/);
});

for (const [service, tls] of [['submission', '--tls'], ['submissions', '--tls-on-connect']] as const) {
  const joe = ['--from', 'joe@home.test', '--to', 'bob@far.test', tls];
  const login = ['--auth', 'PLAIN', '--auth-user', 'joe@home.test', '--auth-password', 'secret'];
  test(`${service}: who has logged in relays; the message is signed, and does not tell where he sits`, { skip }, async () => {
    const { status, out } = await swaks(service, '127.0.66.5', ...joe, ...login, '--data', 'From: joe@home.test\\nTo: bob@far.test\\nSubject: mine\\n\\nhello\\n');
    assert.equal(status, 0, out);
    const { content } = await held();
    assert.match(content, /^DKIM-Signature: v=1; a=rsa-sha256; .*d=home\.test; s=sel;/m);
    assert.match(content, /^Received: by mx\.home\.test \(Postfix\) /m);
    assert.match(content, /^Message-I[Dd]: /m);
    assert.doesNotMatch(content, /127\.0\.66\.5|client\.elsewhere\.test/);
    assert.ok(system.lines(new RegExp(`postfix/${service}/smtpd\\[[0-9]+\\]: \\w+: client=unknown\\[127\\.0\\.66\\.5\\], sasl_method=PLAIN, sasl_username=joe@home\\.test`)).length === 1, system.log());
  });

  test(`${service}: nothing without a login, nor with another's address, nor in plain text`, { skip }, async () => {
    const anonymous = await swaks(service, '127.0.66.5', ...joe);
    assert.equal(anonymous.status, 24, anonymous.out);
    assert.match(anonymous.out, /5\.7\.1 <bob@far\.test>: (?:Recipient address rejected: Access denied|Relay access denied)|553 5\.7\.1 <joe@home\.test>: Sender address rejected: not logged in/);
    const forged = await swaks(service, '127.0.66.5', ...joe, ...login, '--from', 'boss@home.test');
    assert.match(forged.out, /553 5\.7\.1 <boss@home\.test>: Sender address rejected: not owned by user joe@home\.test|554 5\.7\.1/);
    assert.notEqual(forged.status, 0);
    const wrong = await swaks(service, '127.0.66.5', ...joe, ...login, '--auth-password', 'wrong');
    assert.equal(wrong.status, 28, wrong.out);
    if (service === 'submission') assert.match((await swaks(service, '127.0.66.5', '--from', 'joe@home.test', '--to', 'bob@far.test')).out, /530 5\.7\.0 Must issue a STARTTLS command first/);
  });
}

test('openssl s_client sees one certificate at all services, behind postscreen too', { skip }, async () => {
  for (const service of ['smtp', 'submission', 'submissions'] as const) {
    const starttls = service === 'submissions' ? [] : ['-starttls', 'smtp'];
    const { out, said } = await runCommand('/usr/bin/openssl', ['s_client', '-connect', `127.0.0.1:${port(service)}`, ...starttls, '-crlf', '-ign_eof', '-servername', 'mx.home.test'], { PATH: '/usr/bin:/bin' }, 'QUIT\n');
    assert.match(out + said, /New, TLSv1\.3, Cipher is TLS_/, service);
    assert.match(out, /221 2\.0\.0 Bye/, service);
  }
});

test('nothing of this was trouble', { skip }, () => {
  const expected = /SASL PLAIN authentication failed|hostname .* does not resolve/;
  assert.deepEqual(system.lines(/warning|error:|fatal|panic/).filter((line) => !expected.test(line)), []);
});
