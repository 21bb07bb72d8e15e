/**
 * Our SMTP client shows bearer tokens (OAUTHBEARER, XOAUTH2) to a server whose Dovecot asks the authority that gave them. The authority is this
 * test's; a program fetches a token with a refresh token, as a user's would. Skipped where Dovecot or Debian's Postfix is not installed or we are not root.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { Dovecot, noDovecot } from '../dovecot.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { submit } from '../submit.ts';

const python = '/usr/bin/python3';
const skip = noDovecot || noDebianPostfix() || (existsSync(python) ? false : `${python} is not installed`);
const place = mkdtempSync(`${tmpdir()}/oauth-login-`);
chmodSync(place, 0o755);

/** Gives tokens for refresh tokens, and says whose a token is. */
class Authority {
  /** Access tokens that are good, and whose they are. */
  readonly good = new Map<string, string>();
  /** Refresh tokens that are good, and whose they are. */
  readonly refresh = new Map([['refresh-joe', 'joe'], ['refresh-ann', 'ann']]);
  /** How long it says that a token is good, seconds. */
  life = 3600;
  given = 0;
  asked = 0;
  readonly #server = http.createServer((request, response) => {
    let text = '';
    request.setEncoding('latin1').on('data', (piece: string) => { text += piece; }).on('end', () => {
      const [status, answer] = this.#answer(request.url ?? '', new URLSearchParams(text));
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });

  async open(): Promise<void> {
    await new Promise<void>((resolve) => { this.#server.listen(0, '127.0.0.1', resolve); });
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }

  /** RFC 6749 section 6, and RFC 7662 section 2. */
  #answer(path: string, fields: URLSearchParams): [status: number, answer: object] {
    if (path === '/token') {
      const user = this.refresh.get(fields.get('refresh_token') ?? '');
      if (user === undefined || fields.get('grant_type') !== 'refresh_token') return [400, { error: 'invalid_grant' }];
      const token = `token-${++this.given}.${user}`;
      this.good.set(token, user);
      return [200, { access_token: token, token_type: 'Bearer', expires_in: this.life }];
    }
    this.asked++;
    const user = this.good.get(fields.get('token') ?? '');
    return [200, user === undefined ? { active: false } : { active: true, username: user }];
  }
}

const authority = new Authority();
/** Prints what the authority answers, or fails: a user's own program. */
const fetcher = (refresh: string): string => `#!${python}
import sys, urllib.parse, urllib.request
fields = urllib.parse.urlencode({'grant_type': 'refresh_token', 'refresh_token': '${refresh}'})
try:
    answer = urllib.request.urlopen('http://127.0.0.1:${authority.port}/token', fields.encode(), 10)
    sys.stdout.write(answer.read().decode())
except OSError as trouble:
    sys.exit(1)
`;

const row = (name: string, ...options: string[]): string => [`${name} unix - - n - - smtp`, ...options.map((option) => `  -o { ${option} }`)].join('\n');
const main = 'inet_protocols = ipv4\nmydestination =\nsmtpd_peername_lookup = no\nnotify_classes =\n';
const transports = { bearer: 'joe', google: 'joe', bearer2: 'joe', google2: 'joe', file: 'carl', foreign: 'ann', strict: 'joe', password: 'joe' } as const;
type Way = keyof typeof transports;

let dovecot: Dovecot;
let server: DebianPostfix;
/** Ours as the server. */
let second: Instance;
let ours: Instance;
let port = 0;

before(async () => {
  if (skip) return;
  await authority.open();
  for (const user of ['joe', 'ann']) writeFileSync(`${place}/fetch-${user}`, fetcher(`refresh-${user}`), { mode: 0o755 });
  writeFileSync(`${place}/oauth2.conf`, `introspection_mode = post\nintrospection_url = http://127.0.0.1:${authority.port}/introspect\nusername_attribute = username\nactive_attribute = active\nactive_value = true\n`);
  dovecot = await Dovecot.start({
    mechanisms: 'plain xoauth2 oauthbearer', users: { joe: 'the password' },
    more: `passdb {\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = ${place}/oauth2.conf\n}\n`,
  });
  const [submission, submission2] = [await freePort(), await freePort()];
  port = await freePort();
  const rows = masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry discard anvil proxymap');
  const submissionServer = (door: number): { mainCf: string; masterCf: string } => ({
    mainCf: `${main}inet_interfaces = loopback-only\nmynetworks = 192.0.2.0/24\nmyhostname = server.test\nsmtpd_relay_restrictions = permit_sasl_authenticated, reject\ndefault_transport = discard
smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = inet:127.0.0.1:${dovecot.port}\nsmtpd_sasl_security_options = noanonymous\nsmtpd_error_sleep_time = 0\nsmtpd_client_auth_rate_limit = 0\n`,
    masterCf: `127.0.0.1:${door} inet n - n - - smtpd\n${rows}\n`,
  });
  server = await DebianPostfix.create(submissionServer(submission));
  second = await Instance.create(submissionServer(submission2));
  const passwords = (user: string): string => `smtp_sasl_password_maps = inline:{ {127.0.0.1 = ${user}:the password} }`;
  ours = await Instance.create({
    mainCf: `${main}mynetworks = 127.0.0.0/8\nsmtpd_relay_restrictions = permit_mynetworks, reject\nsmtp_dns_support_level = disabled\nminimal_backoff_time = 1s\nqueue_run_delay = 1s
smtp_sasl_auth_enable = yes\nsmtp_sasl_security_options = noanonymous\nsmtp_connection_cache_on_demand = no
transport_maps = inline:{ ${Object.keys(transports).map((name) => `{${name}.test = ${name.replace('2', '')}:[127.0.0.1]:${name.endsWith('2') ? submission2 : submission}}`).join(', ')} }\n`,
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd\n${rows}\n${[
      row('bearer', 'smtp_sasl_mechanism_filter = oauthbearer', passwords('joe'), `smtp_sasl_token_maps = inline:{ {joe = command:${place}/fetch-joe} }`),
      row('google', 'smtp_sasl_mechanism_filter = xoauth2', passwords('joe'), `smtp_sasl_token_maps = inline:{ {joe = command:${place}/fetch-joe} }`),
      row('file', passwords('carl'), `smtp_sasl_token_maps = inline:{ {carl = file:${place}/carl.json} }`),
      row('foreign', passwords('ann'), `smtp_sasl_token_maps = inline:{ {ann = command:${place}/fetch-joe} }`),
      row('strict', 'smtp_sasl_security_options = noplaintext, noanonymous', passwords('joe'), `smtp_sasl_token_maps = inline:{ {joe = command:${place}/fetch-joe} }`),
      row('password', passwords('joe')),
    ].join('\n')}\n`,
  });
  await Promise.all([server.start(), second.start(), ours.start()]);
});

after(async () => {
  if (!skip) await Promise.all([ours?.stop(), server?.stop(), second?.stop(), dovecot?.stop(), authority.close()]);
  rmSync(place, { recursive: true, force: true });
});

const send = (way: Way): Promise<string> => submit({ port, sender: 'someone@else.test', recipients: [`r@${way}.test`], text: 'Subject: x\n\nx\n' });
const lines = (queueId: string): string[] => ours.lines(new RegExp(`${queueId}: to=.*status=`));
const tried = (queueId: string, status: string): Promise<string> => eventually(`${queueId} is ${status}`, () => lines(queueId).find((line) => line.includes(`status=${status}`)));
const logins = (method: string, user: string): number => server.lines(new RegExp(`sasl_method=${method}, sasl_username=${user}$`)).length;

for (const [way, method] of [['bearer', 'OAUTHBEARER'], ['google', 'XOAUTH2']] as const) test(`${method}: a token is fetched once, and shown for each message`, { skip }, async () => {
  const given = authority.given;
  for (let count = 0; count < 3; count++) await tried(await send(way), 'sent');
  await eventually('the server has noted it', () => logins(method, 'joe') === 3);
  // Each way has a process of its own memory or shares it: one token is enough.
  assert.ok(authority.given - given <= 1, `${authority.given - given} tokens`);
});

for (const way of ['bearer', 'google'] as const) test(`${way}: the token is revoked; the mail waits, and goes with the next token`, { skip }, async () => {
  authority.good.clear();
  const given = authority.given;
  const queueId = await send(way);
  assert.match(await tried(queueId, 'deferred'), /dsn=4\.7\.\d+, status=deferred \(SASL authentication failed; server 127\.0\.0\.1\[127\.0\.0\.1\] said: 535 5\.7\.8 /);
  await tried(queueId, 'sent');
  assert.equal(authority.given, given + 1);
});

for (const [way, method] of [['bearer2', 'OAUTHBEARER'], ['google2', 'XOAUTH2']] as const) test(`${method} at a server of ours: a token is taken, a revoked one is not`, { skip }, async () => {
  await tried(await send(way), 'sent');
  await eventually('the server has noted it', () => second.lines(new RegExp(`sasl_method=${method}, sasl_username=joe$`)).length === 1);
  authority.good.clear();
  const queueId = await send(way);
  assert.match(await tried(queueId, 'deferred'), /dsn=4\.7\.\d+, status=deferred \(SASL authentication failed; server 127\.0\.0\.1\[127\.0\.0\.1\] said: 535 5\.7\.8 /);
  await tried(queueId, 'sent');
});

test('a token that ends too soon is not kept', { skip }, async () => {
  authority.good.clear();
  authority.life = 5;
  // What is kept from before is refused first.
  await tried(await send('bearer'), 'sent');
  const given = authority.given;
  for (let count = 0; count < 2; count++) await tried(await send('bearer'), 'sent');
  assert.equal(authority.given, given + 2);
  authority.life = 3600;
});

test('no new token is to be had: the mail waits, no password is shown instead, and it goes when there is one again', { skip }, async () => {
  authority.good.clear();
  authority.refresh.delete('refresh-joe');
  const queueId = await send('google');
  await eventually('no token is found', () => lines(queueId).find((line) => /status=deferred \(SASL authentication failed; .*no token for joe/.test(line)));
  assert.equal(logins('PLAIN', 'joe'), 0);
  authority.refresh.set('refresh-joe', 'joe');
  await tried(queueId, 'sent');
  assert.ok(ours.lines(/warning: .*fetch-joe: status 1$/).length > 0);
});

test('a file that somebody keeps fresh', { skip }, async () => {
  const write = (token: string): void => writeFileSync(`${place}/carl.json`, JSON.stringify({ access_token: token, expires_in: 3600 }), { mode: 0o644 });
  write('carl-old');
  const queueId = await send('file');
  await tried(queueId, 'deferred');
  authority.good.set('carl-new', 'carl');
  write('carl-new');
  await tried(queueId, 'sent');
  await eventually('the server has noted it', () => logins('OAUTHBEARER', 'carl') + logins('XOAUTH2', 'carl') === 1);
});

test("somebody else's token is no login", { skip }, async () => {
  assert.match(await tried(await send('foreign'), 'deferred'), /SASL authentication failed; server .* said: 535 5\.7\.8/);
  assert.equal(logins('\\S+', 'ann'), 0);
});

test('without TLS a token is not shown, unless that is allowed', { skip }, async () => {
  const asked = authority.asked;
  assert.match(await tried(await send('strict'), 'deferred'), /no mechanism available/);
  assert.equal(authority.asked, asked);
});

test('who has no token shows a password, by the old mechanisms', { skip }, async () => {
  await tried(await send('password'), 'sent');
  await eventually('the server has noted it', () => logins('PLAIN', 'joe') === 1);
});

test('no token stands in the log', { skip }, () => {
  assert.ok(!/token-\d+\.joe|carl-new/.test(ours.log()), 'ours');
});
