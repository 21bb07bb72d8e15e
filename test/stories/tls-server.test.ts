/**
 * TLS in the SMTP server, told by clients of our own: what they negotiate, what the log and the message say of it, who is let in, and
 * what becomes of it all when keys are renewed and processes come and go.
 */
import assert from 'node:assert/strict';
import { copyFileSync, chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync, chownSync } from 'node:fs';
import { constants } from 'node:crypto';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { mkdtempSync, rmSync } from 'node:fs';
import type tls from 'node:tls';
import { after, before, test } from 'node:test';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { eventually, freePort, Instance } from '../instance.ts';
import { fingerprintOf, makePair, noOpenssl, Talk, type Pair } from '../tls-scene.ts';
import { masterRows } from '../master-rows.ts';

const skip = noOpenssl;
const options = { skip };

const otherRows = `${masterRows('cleanup qmgr rewrite bounce defer trace error retry virtual anvil tlsmgr')}
`;

/** Doors of one mail system, by what is special about them. */
const doors = {
  plain: [], wrapped: ['smtpd_tls_wrappermode=yes'], asking: ['smtpd_tls_ask_ccert=yes'],
  requiring: ['smtpd_tls_security_level=encrypt', 'smtpd_tls_req_ccert=yes'], old: ['smtpd_tls_protocols=<=TLSv1.2'],
  newest: ['smtpd_tls_protocols=>=TLSv1.3'], hasty: ['smtpd_starttls_timeout=1s'], keyless: ['smtpd_tls_chain_files=/nowhere/key.pem'],
  keylessWrapped: ['smtpd_tls_chain_files=/nowhere/key.pem', 'smtpd_tls_wrappermode=yes'],
  limited: ['smtpd_client_new_tls_session_rate_limit=1', 'smtpd_client_event_limit_exceptions='], anonymous: ['smtpd_tls_chain_files=', 'smtpd_tls_cert_file=none'],
  named: ['tls_server_sni_maps=$snimaps'], sessionless: ['smtpd_tls_session_cache_timeout=0'], renewed: ['smtpd_tls_chain_files=$renewedfile'],
  alone: ['process_clients=1'],
  ticketless: ['tls_session_ticket_cipher='], keeping: ['smtpd_tls_session_cache_database=lmdb:/nowhere/smtpd_scache', 'smtpd_tls_loglevel=2', 'smtpd_tls_ask_ccert=yes'],
  keepingOnly: ['smtpd_tls_session_cache_database=lmdb:/nowhere/smtpd_scache', 'tls_session_ticket_cipher='],
  countedWrapped: ['smtpd_client_new_tls_session_rate_limit=1', 'smtpd_client_event_limit_exceptions=', 'smtpd_tls_wrappermode=yes'],
} as const;
type Door = keyof typeof doors;

let folder: string;
let instance: Instance;
const ports = {} as Record<Door, number>;
const pairs = {} as Record<'rsa' | 'ec' | 'authority' | 'client' | 'stranger' | 'later' | 'named', Pair>;

const joined = (...parts: Pair[]): string => parts.map(({ key, certificate }) => readFileSync(key, 'latin1') + readFileSync(certificate, 'latin1')).join('');
const client = ({ key, certificate }: Pair): tls.ConnectionOptions => ({ key: readFileSync(key), cert: readFileSync(certificate) });

function master(): string {
  const rows = (Object.keys(doors) as Door[]).map((door) => {
    const overrides = doors[door].map((option) => ` -o ${option.replace('$snimaps', `inline:{{named.test=${folder}/named.chain}}`)}`);
    return `127.0.0.1:${ports[door]} inet n - n - - smtpd${overrides.join('').replace('$renewedfile', `${folder}/renewed.pem`)}\n`;
  });
  return rows.join('') + otherRows;
}

before(async () => {
  if (skip) return;
  folder = mkdtempSync(`${tmpdir()}/postern-tls-`);
  chmodSync(folder, 0o755);
  const authority = makePair(folder, 'authority.test', 'rsa');
  Object.assign(pairs, {
    rsa: makePair(folder, 'rsa.test', 'rsa'), ec: makePair(folder, 'ec.test', 'ec'), authority, client: makePair(folder, 'client.test', 'rsa', authority),
    stranger: makePair(folder, 'stranger.test', 'ec'), later: makePair(folder, 'later.test', 'ec'), named: makePair(folder, 'named.test', 'rsa'),
  });
  writeFileSync(`${folder}/chains.pem`, joined(pairs.rsa, pairs.ec));
  copyFileSync(`${folder}/chains.pem`, `${folder}/renewed.pem`);
  writeFileSync(`${folder}/named.chain`, joined(pairs.named));
  for (const door of Object.keys(doors) as Door[]) ports[door] = await freePort();
  const { uid, gid } = instanceAccounts();
  mkdirSync(`${folder}/mail`);
  if (process.getuid!() === 0) chownSync(`${folder}/mail`, uid, gid);
  instance = await Instance.create({
    masterCf: master(),
    mainCf: `
mydestination =
virtual_mailbox_domains = box.test
virtual_mailbox_maps = static:box/
virtual_mailbox_base = ${folder}/mail
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
virtual_minimum_uid = 1
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_chain_files = ${folder}/chains.pem
smtpd_tls_CAfile = ${pairs.authority.certificate}
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
`,
  });
  await instance.start();
});

after(async () => {
  if (skip) return;
  if (process.env['SHOWLOG']) console.log(instance.log());
  await instance.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The log line that comes next after `count` such lines. */
const logged = (pattern: RegExp, count = 0): Promise<string> => eventually(String(pattern), () => instance.lines(pattern)[count]);
const mails = (): string[] => readdirSync(`${folder}/mail/box/new`).map((name) => readFileSync(`${folder}/mail/box/new/${name}`, 'latin1'));

async function send(talk: Talk, from: string): Promise<string> {
  for (const command of [`MAIL FROM:<${from}>`, 'RCPT TO:<ann@box.test>', 'DATA']) await talk.ask(command);
  const reply = await talk.ask('Subject: test', '', 'text', '.');
  await talk.quit();
  return reply;
}

const delivered = (from: string): Promise<string> => eventually(`mail from ${from}`, () => {
  try {
    return mails().find((mail) => mail.includes(`Return-Path: <${from}>`));
  } catch {
    return undefined; // no mailbox yet
  }
});

test('a message: what was negotiated stands in the log and in its Received: header', options, async () => {
  const talk = await Talk.hello(ports.plain);
  assert.equal(talk.tls.getProtocol(), 'TLSv1.3');
  const group = (talk.tls.getEphemeralKeyInfo() as tls.EphemeralKeyInfo).name;
  assert.match(await send(talk, 'negotiated@client.test'), /^250 2\.0\.0 Ok: queued as /);
  const line = await logged(/Anonymous TLS connection established/);
  assert.match(line, /: Anonymous TLS connection established from unknown\[127\.0\.0\.1\]: TLSv1\.3 with cipher TLS_AES_256_GCM_SHA384 \(256\/256 bits\) key-exchange \S+ server-signature ECDSA \(prime256v1\) server-digest SHA256$/);
  assert.equal(/key-exchange (\S+)/.exec(line)![1]!.toLowerCase(), String(group).toLowerCase());
  assert.match(await logged(/disconnect from/), /disconnect from unknown\[127\.0\.0\.1\] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7$/);
  const header = (await delivered('negotiated@client.test')).replace(/(?:.*\n)*?(?=Received:)/, '');
  assert.match(header, new RegExp(`^Received: from client\\.test \\(unknown \\[127\\.0\\.0\\.1\\]\\)
\t\\(using TLSv1\\.3 with cipher TLS_AES_256_GCM_SHA384 \\(256/256 bits\\)
\t key-exchange \\S+ server-signature ECDSA \\(prime256v1\\) server-digest SHA256\\)
\t\\(No client certificate requested\\)
\tby host\\.example\\.test \\(\\S+\\) with ESMTPS id \\S+
`));
});

test('chains of both kinds: a client that knows only RSA gets RSA', options, async () => {
  const talk = await Talk.hello(ports.plain, { sigalgs: 'rsa_pss_rsae_sha384' });
  assert.equal(talk.tls.getPeerCertificate().subject.CN, 'rsa.test');
  await talk.quit();
  assert.match(await logged(/server-signature RSA-PSS/), /server-signature RSA-PSS \(2048 bits\) server-digest SHA384$/);
});

test('wrapper mode: encrypted before the greeting', options, async () => {
  const talk = await Talk.encrypted(ports.wrapped);
  assert.match(await talk.hear(), /^220 /);
  const hello = await talk.ask('EHLO client.test');
  assert.doesNotMatch(hello, /STARTTLS/);
  assert.match(await talk.ask('STARTTLS'), /^554 5\.5\.1 Error: TLS already active$/);
  await talk.quit();
});

test('wrapper mode with a limit: who may begin is asked first, and the hello that came meanwhile is not lost', options, async () => {
  const talk = await Talk.encrypted(ports.countedWrapped);
  assert.match(await talk.hear(), /^220 /);
  await talk.quit();
  assert.match(await (await Talk.encrypted(ports.countedWrapped)).hear(), /^421 4\.7\.0 host\.example\.test Error: too many new TLS sessions from unknown/);
  await assert.rejects(Talk.encrypted(ports.countedWrapped), /closed|disconnected|ECONNRESET/);
  await logged(/warning: Refusing TLS service request from unknown\[127\.0\.0\.1\] for service/);
});

test('wrapper mode: who speaks plain text is dropped, with a line in the log', options, async () => {
  const talk = await Talk.open(ports.wrapped);
  talk.say('EHLO client.test');
  assert.equal(await talk.hear(), '<closed>');
  assert.match(await logged(/SSL_accept error/), /SSL_accept error from unknown\[127\.0\.0\.1\]: -1$/);
  await logged(/: warning: TLS library problem: error:0A000[0-9A-F]+:SSL routines::[a-z ]+:\.\.\/ssl\/\S+\.c:[0-9]+:$/);
  await logged(/NOQUEUE: lost connection after CONNECT from unknown\[127\.0\.0\.1\]/);
});

test('a client that is trusted, one that is not, and one that shows nothing', options, async () => {
  for (const [name, options, trust, header] of [
    ['client', client(pairs.client), 'Trusted', '(Client CN "client.test", Issuer "authority.test" (verified OK))'],
    ['stranger', client(pairs.stranger), 'Untrusted', '(Client CN "stranger.test", Issuer "stranger.test" (not verified))'],
    ['nobody', {}, 'Anonymous', '(Client did not present a certificate)'],
  ] as const) {
    const known = instance.lines(new RegExp(`: ${trust} TLS connection`)).length;
    await send(await Talk.hello(ports.asking, options), `${name}@client.test`);
    const line = await logged(new RegExp(`: ${trust} TLS connection`), known);
    assert.equal(/ client-signature /.test(line), name !== 'nobody', line);
    assert.ok((await delivered(`${name}@client.test`)).includes(`\n\t${header}\n`), header);
  }
});

test('where a certificate is required, 421 to whatever comes after the handshake', options, async () => {
  for (const [options, why] of [[{}, 'No client certificate presented'], [client(pairs.stranger), 'Client certificate not trusted']] as const) {
    const talk = await Talk.open(ports.requiring);
    await talk.hear();
    await talk.ask('EHLO client.test');
    const secured = await talk.secure(options);
    assert.equal(await secured.ask('EHLO client.test'), `421 4.7.1 host.example.test Error: ${why}`);
    assert.equal(await secured.hear(), '<closed>');
    await logged(new RegExp(`NOQUEUE: abort: TLS from unknown\\[127\\.0\\.0\\.1\\]: ${why}`));
  }
  await logged(/certificate verification failed for unknown\[127\.0\.0\.1\]: self-signed certificate/);
  await (await Talk.hello(ports.requiring, client(pairs.client))).quit();
});

test('protocols: old and new ones only', options, async () => {
  const old = await Talk.hello(ports.old);
  assert.equal(old.tls.getProtocol(), 'TLSv1.2');
  await old.quit();
  await assert.rejects(Talk.hello(ports.newest, { maxVersion: 'TLSv1.2' }), /protocol version|closed in the handshake/);
  await logged(/TLS library problem: error:0A000102:SSL routines::unsupported protocol:/);
  await logged(/NOQUEUE: lost connection after STARTTLS from unknown/);
  await logged(/disconnect from unknown\[127\.0\.0\.1\] ehlo=1 starttls=0\/1 commands=1\/2/);
});

test('without keys STARTTLS is 454, and wrapper mode drops clients', options, async () => {
  const talk = await Talk.open(ports.keyless);
  await talk.hear();
  assert.match(await talk.ask('EHLO client.test'), /250-STARTTLS/);
  assert.equal(await talk.ask('STARTTLS'), '454 4.7.0 TLS not available due to local problem');
  assert.match(await talk.ask('NOOP'), /^250/);
  await talk.quit();
  assert.equal(await (await Talk.open(ports.keylessWrapped)).hear(), '<closed>');
  await logged(new RegExp(`warning: Wrapper-mode request dropped from unknown\\[127\\.0\\.0\\.1\\] for service 127\\.0\\.0\\.1:${ports.keylessWrapped}\\. TLS context`));
  await logged(/warning: error opening chain file: \/nowhere\/key\.pem/);
});

test('a handshake that does not come is waited for as long as smtpd_starttls_timeout says', options, async () => {
  const talk = await Talk.open(ports.hasty);
  await talk.hear();
  await talk.ask('EHLO client.test');
  await talk.ask('STARTTLS');
  assert.equal(await talk.hear(), '<closed>');
  await logged(/SSL_accept error from unknown\[127\.0\.0\.1\]: Connection timed out/);
});

test('a client that goes away in the handshake', options, async () => {
  const known = instance.lines(/SSL_accept error from .*: lost connection/).length;
  const talk = await Talk.open(ports.plain);
  await talk.hear();
  await talk.ask('STARTTLS');
  talk.close();
  await logged(/SSL_accept error from .*: lost connection/, known);
});

test('too many new sessions: 421 to the one too many, 454 to those that follow', options, async () => {
  const first = await Talk.hello(ports.limited);
  await first.quit();
  const second = await Talk.open(ports.limited);
  await second.hear();
  const secured = await second.secure();
  assert.equal(await secured.hear(), '421 4.7.0 host.example.test Error: too many new TLS sessions from unknown[127.0.0.1]');
  const third = await Talk.open(ports.limited);
  await third.hear();
  assert.equal(await third.ask('STARTTLS'), '454 4.7.0 Error: too many new TLS sessions from unknown[127.0.0.1]');
  await third.quit();
  await logged(/warning: New TLS session rate limit exceeded: 2 from unknown\[127\.0\.0\.1\] for service 127\.0\.0\.1:/);
  await logged(/warning: Refusing STARTTLS request from unknown\[127\.0\.0\.1\] for service 127\.0\.0\.1:/);
});

test('no certificate at all: ciphers that need none', options, async () => {
  const talk = await Talk.hello(ports.anonymous, { ciphers: 'aNULL:@SECLEVEL=0', maxVersion: 'TLSv1.2' });
  assert.deepEqual(talk.tls.getPeerCertificate(), {});
  await talk.quit();
  await assert.rejects(Talk.hello(ports.anonymous, { maxVersion: 'TLSv1.3', minVersion: 'TLSv1.3' }));
});

test('a server name has chains of its own; another name gets the usual ones', options, async () => {
  const named = await Talk.hello(ports.named, { servername: 'named.test' });
  assert.equal(named.tls.getPeerCertificate().subject.CN, 'named.test');
  await named.quit();
  assert.match(await logged(/established from unknown\[127\.0\.0\.1\] to named\.test: /), /server-signature RSA-PSS/);
  const other = await Talk.hello(ports.named, { servername: 'other.test' });
  assert.equal(other.tls.getPeerCertificate().subject.CN, 'ec.test');
  await other.quit();
  await logged(/TLS SNI other\.test from unknown\[127\.0\.0\.1\] not matched, using default chain/);
});

/** A session that can be resumed: tickets come after the handshake. */
async function session(port: number, options: tls.ConnectionOptions = {}): Promise<{ reused: boolean; session: Buffer }> {
  let ticket: Buffer | undefined;
  const talk = await Talk.open(port);
  await talk.hear();
  await talk.ask('EHLO client.test');
  const secured = await talk.secure(options);
  secured.tls.on('session', (bytes: Buffer) => { ticket = bytes; });
  ticket = secured.tls.getSession();
  await secured.ask('EHLO client.test');
  const reused = secured.tls.isSessionReused();
  await secured.quit();
  return { reused, session: ticket! };
}

test('sessions are resumed, not over services, and not where they have no life', options, async () => {
  await eventually('tickets', async () => (await session(ports.plain, { session: (await session(ports.plain)).session })).reused);
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const first = await session(ports.plain, { maxVersion });
    assert.equal(first.reused, false);
    assert.equal((await session(ports.plain, { maxVersion, session: first.session })).reused, true, maxVersion);
    assert.equal((await session(ports.asking, { maxVersion, session: first.session })).reused, false, `${maxVersion} at another door`);
  }
  assert.equal((await session(ports.sessionless, { session: (await session(ports.sessionless)).session })).reused, false);
});

test('sessions of clients without tickets are kept where a cache is named', options, async () => {
  const old = { maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET } as const;
  const again = async (door: Door, first: tls.ConnectionOptions, second = first): Promise<boolean> => (await session(ports[door], { ...second, session: (await session(ports[door], first)).session })).reused;
  assert.deepEqual([await again('plain', old), await again('ticketless', old), await again('ticketless', { maxVersion: 'TLSv1.2' })], [false, false, false]);
  assert.deepEqual([await again('keeping', old), await again('keepingOnly', old), await again('keepingOnly', { maxVersion: 'TLSv1.2' })], [true, true, true]);
  await logged(/unknown\[127\.0\.0\.1\]: Reusing old session$/);
  assert.equal(await again('keepingOnly', { minVersion: 'TLSv1.3' }), false, 'TLSv1.3 has tickets only');
  assert.equal((await session(ports.keepingOnly, { ...old, session: (await session(ports.keeping, old)).session })).reused, false, 'at another door');
  // Tickets as ever, and whoever begins anew.
  const tickets = (): number => instance.lines(/Reusing old session \(RFC 5077 session ticket\)$/).length;
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const before = tickets();
    await eventually(`a ticket for ${maxVersion}`, () => again('keeping', { maxVersion }));
    await eventually('the log tells', () => tickets() > before);
  }
  // What a certificate was worth is known again.
  for (const [pair, trust] of [[pairs.client, 'Trusted'], [pairs.stranger, 'Untrusted']] as const) {
    const before = instance.lines(new RegExp(`: ${trust} TLS connection established from`)).length;
    assert.equal(await again('keeping', { ...old, ...client(pair) }), true);
    await logged(new RegExp(`: ${trust} TLS connection established from`), before + 1);
  }
});

const commonName = async (door: Door): Promise<string> => {
  const talk = await Talk.hello(ports[door], { sigalgs: 'ecdsa_secp256r1_sha256' });
  const { CN } = talk.tls.getPeerCertificate().subject;
  await talk.quit();
  return CN as string;
};

test('renewed keys are used without reload; half a file changes nothing', options, async () => {
  const file = `${folder}/renewed.pem`;
  const whole = joined(pairs.later);
  assert.equal(await commonName('renewed'), 'ec.test');
  writeFileSync(file, whole.slice(0, -100));
  await logged(/warning: TLS certificate or key file has changed and cannot be used: keeping the keys so far/);
  assert.equal(await commonName('renewed'), 'ec.test');
  writeFileSync(file, whole);
  await logged(/TLS certificate or key file has changed: using the new keys/);
  assert.equal(await commonName('renewed'), 'later.test');
  copyFileSync(`${folder}/chains.pem`, `${file}.new`);
  renameSync(`${file}.new`, file);
  await logged(/TLS certificate or key file has changed: using the new keys/, 1);
  assert.equal(await commonName('renewed'), 'ec.test');
});

test('keys that only root may read: a new process uses the renewed ones', { skip: skip || (process.getuid!() === 0 ? false : 'only root') }, async () => {
  const file = `${folder}/renewed.pem`;
  chmodSync(file, 0o600);
  writeFileSync(`${file}.new`, joined(pairs.later), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  await logged(/TLS certificate or key file has changed -- restarting/);
  await eventually('the new key', async () => (await commonName('renewed').catch(() => '')) === 'later.test');
});

test('plain text that is kept back until the handshake is not taken for a command', options, async () => {
  const socket = net.connect({ port: ports.plain, host: '127.0.0.1' });
  let heard = '';
  socket.on('data', (bytes: Buffer) => { heard += bytes.toString('latin1'); });
  await eventually('the greeting', () => heard.includes('220 '));
  socket.write('STARTTLS\r\n');
  await eventually('ready', () => heard.includes('220 2.0.0 Ready'));
  socket.write('NOOP\r\n');
  await eventually('the end', () => socket.readableEnded || socket.destroyed);
  assert.doesNotMatch(heard.slice(heard.indexOf('Ready')), /250/);
  socket.destroy();
});

test('a session is resumed by another process: ticket keys are tlsmgr’s', options, async () => {
  const process = (): string => /smtpd\[([0-9]+)\]: connect from/.exec(instance.lines(/: connect from/).at(-1)!)![1]!;
  const first = await eventually('a ticket', async () => {
    const one = await session(ports.alone);
    return (await session(ports.alone, { session: one.session })).reused ? one : undefined;
  });
  const before = process();
  const guest = await Talk.open(ports.alone);
  await guest.hear();
  await eventually('resumed elsewhere', async () => (await session(ports.alone, { session: first.session })).reused && process() !== before);
  await guest.quit();
});

test('fingerprints are those of openssl', options, async () => {
  instance.mainCf('smtpd_tls_loglevel = 1, peercert\n');
  const started = instance.lines(/reload -- version/).length;
  instance.signal('SIGHUP');
  await logged(/reload -- version/, started);
  const line = await eventually('a fingerprint', async () => {
    await (await Talk.hello(ports.asking, client(pairs.client))).quit();
    return instance.lines(/subject_CN=client\.test/)[0];
  });
  assert.ok(line.includes(`unknown[127.0.0.1]: subject_CN=client.test, issuer=authority.test, cert fingerprint=${fingerprintOf(pairs.client)}, pkey fingerprint=`), line);
});
