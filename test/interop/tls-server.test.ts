/**
 * TLS in our SMTP server as others see it: openssl s_client, swaks, posttls-finger and Debian's Postfix, which delivers to us at the levels
 * encrypt, fingerprint and verify.
 */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { submit } from '../submit.ts';
import { fingerprintOf, makePair, noOpenssl, type Pair } from '../tls-scene.ts';
import { masterRows } from '../master-rows.ts';

const lacks = (program: string, ...args: string[]): string | false => (spawnSync(program, args).error === undefined ? false : `${program} is not installed`);

let folder: string;
let instance: Instance;
let port: number;
let wrapped: number;
let authority: Pair;
let pair: Pair;

before(async () => {
  if (noOpenssl) return;
  folder = mkdtempSync(`${tmpdir()}/postern-tls-`);
  chmodSync(folder, 0o755);
  authority = makePair(folder, 'authority.test', 'rsa');
  pair = makePair(folder, 'host.example.test', 'rsa', authority);
  [port, wrapped] = [await freePort(), await freePort()];
  instance = await Instance.create({
    masterCf: `127.0.0.1:${port} inet n - n - - smtpd
127.0.0.1:${wrapped} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
${masterRows('cleanup qmgr rewrite bounce defer trace error retry discard anvil tlsmgr')}
`,
    mainCf: `
mydestination = box.test
local_recipient_maps =
local_transport = discard:
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_cert_file = ${pair.certificate}
smtpd_tls_key_file = ${pair.key}
smtpd_tls_CAfile = ${authority.certificate}
smtpd_tls_loglevel = 1
`,
  });
  await instance.start();
});

after(async () => {
  if (noOpenssl) return;
  await instance.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Run { readonly status: number; readonly output: string }

/** A program that talks to us, until its end. */
function run(program: string, args: readonly string[], input = ''): Promise<Run> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { timeout: 20_000, encoding: 'latin1' }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr });
    });
    child.stdin!.end(input);
  });
}

for (const [title, args, want] of [
  ['TLSv1.3', ['-tls1_3'], /New, TLSv1\.3, Cipher is TLS_/],
  ['TLSv1.2', ['-tls1_2'], /New, TLSv1\.2, Cipher is ECDHE-RSA-/],
  ['another group', ['-groups', 'P-521'], /Server Temp Key: ECDH, secp521r1, 521 bits/],
  ['finite fields', ['-tls1_2', '-cipher', 'DHE-RSA-AES256-GCM-SHA384'], /Cipher is DHE-RSA-AES256-GCM-SHA384/],
  ['an old protocol', ['-tls1', '-cipher', 'ALL:@SECLEVEL=0'], /New, (?:SSLv3|TLSv1)[^,]*, Cipher is ECDHE-RSA-/],
] as const) {
  test(`openssl s_client: ${title}`, { skip: noOpenssl }, async () => {
    const { output } = await run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-starttls', 'smtp', '-CAfile', authority.certificate, '-crlf', ...args], 'QUIT\n');
    assert.match(output, want);
    assert.match(output, /Verify return code: 0 \(ok\)/);
  });
}

for (const [title, args, want] of [
  ['STARTTLS', ['--tls'], /=== TLS started with cipher TLSv1\.3:/],
  ['wrapper mode', ['--tls-on-connect'], /=== TLS started with cipher TLSv1\.3:/],
  ['with verification', ['--tls', '--tls-verify', '--tls-ca-path'], /=== TLS started with cipher/],
] as const) {
  test(`swaks: ${title}`, { skip: noOpenssl || lacks('swaks', '--version') }, async () => {
    const door = title === 'wrapper mode' ? wrapped : port;
    const more = args.includes('--tls-ca-path' as never) ? [authority.certificate] : [];
    const { output, status } = await run('swaks', ['--server', `127.0.0.1:${door}`, '--from', 'ann@client.test', '--to', 'joe@box.test', ...args, ...more]);
    assert.match(output, want);
    assert.match(output, /<~\s+250 2\.0\.0 Ok: queued as /);
    assert.equal(status, 0, output);
  });
}

for (const [level, more, want] of [
  ['encrypt', [], /: Trusted TLS connection established to 127\.0\.0\.1/],
  ['fingerprint', () => [fingerprintOf(pair)], /: Verified TLS connection established to 127\.0\.0\.1/],
  ['verify', () => ['host.example.test'], /: Verified TLS connection established to 127\.0\.0\.1/],
] as const) {
  test(`posttls-finger: ${level}`, { skip: noOpenssl || noDebianPostfix() || lacks('posttls-finger', '-?') }, async () => {
    const folderOfConfig = `${folder}/finger`;
    spawnSync('mkdir', ['-p', folderOfConfig]);
    writeFileSync(`${folderOfConfig}/main.cf`, 'compatibility_level = 3.6\nmyhostname = client.test\n');
    const matches = typeof more === 'function' ? more() : more;
    const output = spawnSync('posttls-finger', ['-c', '-d', 'sha256', '-l', level, '-F', authority.certificate, '-L', 'summary', `[127.0.0.1]:${port}`, ...matches], { env: { ...process.env, MAIL_CONFIG: folderOfConfig }, encoding: 'latin1', timeout: 20_000 });
    // What it reports is the client's side of what our log says.
    const theirs = /TLS connection established to .*: (TLSv1\.3 with cipher .*)/.exec(output.stderr + output.stdout);
    assert.match(output.stderr + output.stdout, want);
    const ours = await eventually('our line', () => instance.lines(/Anonymous TLS connection established/).at(-1));
    assert.equal(/TLSv1\.3 with cipher .*$/.exec(ours)![0].toLowerCase(), theirs![1]!.toLowerCase());
  });
}

for (const [level, more, want] of [
  ['encrypt', '', 'Untrusted'],
  ['fingerprint', 'smtp_tls_fingerprint_digest = sha256\nsmtp_tls_fingerprint_cert_match = FINGERPRINT\n', 'Verified'],
  ['verify', 'smtp_tls_CAfile = AUTHORITY\nsmtp_tls_verify_cert_match = host.example.test\n', 'Verified'],
] as const) {
  test(`Debian's Postfix delivers to us: ${level}`, { skip: noOpenssl || noDebianPostfix() }, async () => {
    const door = await freePort();
    const client = await DebianPostfix.create({
      masterCf: `127.0.0.1:${door} inet n - n - - smtpd
${masterRows('cleanup qmgr rewrite bounce defer trace smtp tlsmgr')}
`,
      mainCf: `myhostname = client.test
mydestination =
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
relayhost = [127.0.0.1]:${port}
smtp_tls_security_level = ${level}
smtp_tls_loglevel = 1
${more.replace('FINGERPRINT', fingerprintOf(pair)).replace('AUTHORITY', authority.certificate)}`,
    });
    try {
      await client.start();
      await submit({ port: door, sender: 'ann@client.test', recipients: ['joe@box.test'], text: 'Subject: test\n\ntext\n' });
      await eventually('sent', () => client.lines(/to=<joe@box\.test>.* status=sent \(250 2\.0\.0 Ok: queued as /)[0]);
      assert.match(client.lines(/TLS connection established to/)[0] ?? client.log(), new RegExp(`${want} TLS connection established to 127\\.0\\.0\\.1\\[127\\.0\\.0\\.1\\]:${port}: TLSv1\\.3`));
    } finally {
      await client.stop();
    }
  });
}
