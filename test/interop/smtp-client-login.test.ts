/**
 * Our SMTP client logs in at Debian's Postfix with Dovecot behind it: every mechanism, what is remembered of a refusal, and that mail which may
 * not show its password waits. Skipped where they are not installed or we are not root.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { Dovecot, noDovecot } from '../dovecot.ts';
import { eventually, freePort, indexedType, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { submit } from '../submit.ts';

const impossible = noDovecot || noDebianPostfix();
const mechanisms = ['PLAIN', 'LOGIN', 'CRAM-MD5', 'DIGEST-MD5', 'SCRAM-SHA-1', 'SCRAM-SHA-256'] as const;
const rows = masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry discard anvil proxymap');
const main = 'inet_protocols = ipv4\nmydestination =\nsmtpd_peername_lookup = no\nnotify_classes =\n';

let dovecot: Dovecot;
let server: DebianPostfix;
/** Mechanisms with a place for the name of whoever it is that we act for. */
const named = ['PLAIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256'];
let ours: Instance;
let port = 0;

before(async () => {
  if (impossible) return;
  dovecot = await Dovecot.start({ mechanisms: mechanisms.join(' ').toLowerCase(), users: { joe: 'secret', 'ann@sender.test': 'pass word,=\xe4' } });
  const [submission] = [await freePort(), (port = await freePort())];
  server = await DebianPostfix.create({
    mainCf: `${main}inet_interfaces = loopback-only\nmynetworks = 192.0.2.0/24\nmyhostname = server.test\nsmtpd_relay_restrictions = permit_sasl_authenticated, reject\ndefault_transport = discard
smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = inet:127.0.0.1:${dovecot.port}\nsmtpd_sasl_security_options = noanonymous\nsmtpd_error_sleep_time = 0\n`,
    masterCf: `127.0.0.1:${submission} inet n - n - - smtpd\n${rows}\n`,
  });
  const row = (name: string, ...options: string[]): string => [`${name} unix - - n - - smtp`, ...options.map((option) => `  -o { ${option} }`)].join('\n');
  ours = await Instance.create({
    mainCf: `${main}mynetworks = 127.0.0.0/8\nsmtpd_relay_restrictions = permit_mynetworks, reject\nsmtp_dns_support_level = disabled
smtp_sasl_auth_enable = yes\nsmtp_sasl_security_options = noanonymous\nsmtp_sasl_password_maps = inline:{ {127.0.0.1 = joe:secret} }
${indexedType === 'lmdb' ? 'smtp_sasl_auth_cache_name = proxy:lmdb:$data_directory/sasl_failures' : ''}
transport_maps = inline:{ ${[...mechanisms, ...named.map((name) => `whom-${name}`), 'strict', 'wrong', 'sender'].map((name) => `{${name.toLowerCase()}.test = ${name}:[127.0.0.1]:${submission}}`).join(', ')} }\n`,
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd\nproxywrite unix - - n - 1 proxymap\n${rows}\n${[
      ...mechanisms.map((name) => row(name, `smtp_sasl_mechanism_filter = ${name.toLowerCase()}`)),
      ...named.map((name) => row(`whom-${name}`, `smtp_sasl_mechanism_filter = ${name.toLowerCase()}`, 'send_cyrus_sasl_authzid = yes')),
      row('strict', 'smtp_sasl_security_options = noplaintext, noanonymous', 'smtp_sasl_mechanism_filter = plain, login'),
      row('wrong', 'smtp_sasl_password_maps = inline:{ {127.0.0.1 = joe:guess} }'),
      row('sender', 'smtp_sender_dependent_authentication = yes', 'smtp_sasl_password_maps = inline:{ {ann@sender.test = ann@sender.test:pass word,=\xe4}, {127.0.0.1 = joe:secret} }'),
    ].join('\n')}\n`,
  });
  await Promise.all([server.start(), ours.start()]);
});

after(async () => {
  if (impossible) return;
  await Promise.all([ours.stop(), server.stop(), dovecot.stop()]);
});

async function deliver(domain: string, sender = 'someone@else.test'): Promise<string> {
  const queueId = await submit({ port, sender, recipients: [`r@${domain}`], text: 'Subject: x\n\nx\n' });
  const [line] = await eventually(`${domain} is settled`, () => {
    const lines = ours.lines(new RegExp(`${queueId}: to=.*status=`));
    return lines.length > 0 ? lines : undefined;
  });
  return line!;
}

for (const mechanism of mechanisms) test(`a login by ${mechanism}`, { skip: impossible }, async () => {
  assert.match(await deliver(`${mechanism.toLowerCase()}.test`), /status=sent/);
  await eventually('the server has noted it', () => server.lines(new RegExp(`sasl_method=${mechanism}, sasl_username=joe$`)).length === 1);
});

for (const mechanism of named) test(`a login by ${mechanism} that says for whom`, { skip: impossible }, async () => {
  const before = server.lines(new RegExp(`sasl_method=${mechanism}, sasl_username=joe$`)).length;
  assert.match(await deliver(`whom-${mechanism.toLowerCase()}.test`), /status=sent/);
  await eventually('the server has noted it', () => server.lines(new RegExp(`sasl_method=${mechanism}, sasl_username=joe$`)).length > before);
});

test('the sender decides who logs in', { skip: impossible }, async () => {
  assert.match(await deliver('sender.test', 'ann@sender.test'), /status=sent/);
  assert.match(await deliver('sender.test', 'bob@sender.test'), /status=sent/);
  await eventually('the server has noted both', () => server.lines(/sasl_method=SCRAM-SHA-256, sasl_username=ann@sender\.test$/).length === 1 && server.lines(/sasl_method=SCRAM-SHA-256, sasl_username=joe$/).length >= 2);
});

test('a password that would be readable is not shown, and the mail waits', { skip: impossible }, async () => {
  assert.match(await deliver('strict.test'), /dsn=4\.7\.0, status=deferred \(SASL authentication failed; cannot authenticate to server 127\.0\.0\.1\[127\.0\.0\.1\]: no mechanism available\)/);
});

test('a wrong password is tried once', { skip: impossible || (indexedType !== 'lmdb' && 'no table here can be written') }, async () => {
  assert.match(await deliver('wrong.test'), /dsn=4\.7\.8, status=deferred \(SASL authentication failed; server 127\.0\.0\.1\[127\.0\.0\.1\] said: 535 5\.7\.8 Error: authentication failed/);
  const failures = (): number => server.lines(/SASL \S+ authentication failed/).length;
  await eventually('the server has noted it', () => failures() === 1);
  // Another destination by the same way, so that the queue manager does not wait for the first.
  assert.match(await deliver('wrong.test').then((line) => (line.includes('delivery temporarily suspended') ? line.replace('suspended: ', '') : line)), /SASL (?:\[CACHED\] )?authentication failed/);
  assert.equal(failures(), 1);
});
