/**
 * Real filters from Debian on our mail system: OpenDKIM signs and verifies what cleanup wrote, OpenDMARC judges, rspamd refuses. Each is skipped,
 * by name, where it is not installed. All of them run privately, on loopback.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { storeFor } from '../../src/queue/file-store.ts';
import { eventually } from '../instance.ts';
import { freePort } from '../ports.ts';
import { converse, MilterSide } from './milter-pair.ts';

const missing = (...files: string[]): string | false => files.filter((file) => !existsSync(file)).map((file) => `${file} is not installed`).join(', ') || false;

const answers = (port: number): Promise<boolean> => new Promise((resolve) => {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('connect', () => resolve(true)).on('error', () => resolve(false)).on('connect', () => socket.destroy());
});

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.on('exit', resolve));
  child.kill();
  await exit;
}

/** A directory and programs that are gone afterwards. */
async function scene(run: (directory: string, start: (port: number, ...words: string[]) => Promise<void>) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(`${tmpdir()}/filters-`);
  chmodSync(directory, 0o755);
  const children: ChildProcess[] = [];
  try {
    await run(directory, async (port, command, ...words) => {
      const child = spawn(command!, words, { stdio: 'ignore', cwd: directory });
      children.push(child);
      await eventually(`${command} answers`, () => {
        if (child.exitCode !== null) throw new Error(`${command} ended with status ${child.exitCode}`);
        return answers(port);
      });
    });
  } finally {
    await Promise.all(children.map(ended));
    rmSync(directory, { recursive: true });
  }
}

/** Content of the only message in the queue, which is taken out. */
async function taken(side: MilterSide): Promise<string> {
  const store = storeFor({ hash_queue_names: 'deferred, defer', hash_queue_depth: 1, enable_long_queue_ids: false }, `${side.system.directory}/queue`);
  const entry = await eventually('the message is in the queue', () => [...store.list('incoming')][0]);
  const reader = store.open('incoming', entry.queueId);
  let text = '';
  for await (const chunk of reader.content({ lineEnd: '\n' })) text += chunk.toString('latin1');
  reader.close();
  store.remove(entry.queueId, 'incoming');
  return text;
}

const letter = (content: string): string[] => ['EHLO client.test', 'MAIL FROM:<ann@a.test>', 'RCPT TO:<joe@b.test>', 'DATA', `=${content}`, 'QUIT'];
const content = 'From: Ann <ann@a.test>\nTo: joe@b.test\nSubject: a letter\n with two lines\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nMessage-ID: <1@a.test>\n\nhello,\n\n  white   space \n.hidden dot\n';

test('OpenDKIM signs a message, and finds the signature good when it comes again', { skip: missing('/usr/sbin/opendkim', '/usr/bin/openssl') }, async () => {
  await scene(async (directory, start) => {
    const [signer, verifier] = [await freePort(), await freePort()];
    execFileSync('openssl', ['genrsa', '-out', `${directory}/key`, '2048'], { stdio: 'ignore' });
    const key = execFileSync('openssl', ['rsa', '-in', `${directory}/key`, '-pubout', '-outform', 'DER'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString('base64');
    chmodSync(`${directory}/key`, 0o600);
    writeFileSync(`${directory}/keys`, `sel._domainkey.a.test v=DKIM1; k=rsa; p=${key}\n`);
    writeFileSync(`${directory}/hosts`, '127.0.0.1\n');
    const common = `Syslog no\nBackground no\nCanonicalization simple/simple\nRequireSafeKeys no\n`;
    writeFileSync(`${directory}/sign.conf`, `${common}Mode s\nSocket inet:${signer}@127.0.0.1\nDomain a.test\nSelector sel\nKeyFile ${directory}/key\nInternalHosts ${directory}/hosts\nPidFile ${directory}/pid1\n`);
    writeFileSync(`${directory}/verify.conf`, `${common}Mode v\nSocket inet:${verifier}@127.0.0.1\nTestPublicKeys ${directory}/keys\nAlwaysAddARHeader yes\nAuthservID mx.pair.test\nPidFile ${directory}/pid2\n`);
    await start(signer, '/usr/sbin/opendkim', '-f', '-x', `${directory}/sign.conf`);
    await start(verifier, '/usr/sbin/opendkim', '-f', '-x', `${directory}/verify.conf`);
    const side = await MilterSide.start('ours', { mainCf: '', rows: { sign: `smtpd_milters = inet:127.0.0.1:${signer}`, verify: `smtpd_milters = inet:127.0.0.1:${verifier}` } });
    try {
      assert.match((await converse(side.ports.get('sign')!, letter(content))).join('\n'), /queued as/);
      const signed = await taken(side);
      assert.match(signed, /^DKIM-Signature: v=1; a=rsa-sha256; c=simple\/simple; d=a\.test; s=sel;/m);
      const original = signed.slice(signed.search(/^DKIM-Signature/m)).replace(/\n$/, '');
      assert.match((await converse(side.ports.get('verify')!, letter(original.replace(/^\./gm, '..')))).join('\n'), /queued as/);
      assert.match(await taken(side), /^Authentication-Results: mx\.pair\.test;\n?\s+dkim=pass/m);
      assert.match((await converse(side.ports.get('verify')!, letter(original.replace('hello', 'hullo').replace(/^\./gm, '..')))).join('\n'), /queued as/);
      assert.match(await taken(side), /dkim=fail/);
    } finally {
      await side.stop();
    }
  });
});

test('OpenDMARC notes what it thinks of a message', { skip: missing('/usr/sbin/opendmarc') }, async () => {
  await scene(async (directory, start) => {
    const port = await freePort();
    writeFileSync(`${directory}/ignored`, '192.0.2.1\n');
    writeFileSync(`${directory}/dmarc.conf`, `Socket inet:${port}@127.0.0.1\nAuthservID mx.pair.test\nTrustedAuthservIDs mx.pair.test\nSyslog no\nPidFile ${directory}/pid\nIgnoreHosts ${directory}/ignored\nIgnoreAuthenticatedClients no\nSoftwareHeader yes\nDNSTimeout 1\n`);
    await start(port, '/usr/sbin/opendmarc', '-f', '-c', `${directory}/dmarc.conf`);
    const side = await MilterSide.start('ours', { mainCf: '', rows: { dmarc: `smtpd_milters = inet:127.0.0.1:${port}` } });
    try {
      assert.match((await converse(side.ports.get('dmarc')!, letter(`Authentication-Results: mx.pair.test; spf=pass smtp.mailfrom=a.test\n${content}`))).join('\n'), /queued as/);
      const judged = await taken(side);
      assert.match(judged, /^(?:DMARC-Filter: OpenDMARC Filter|Authentication-Results: mx\.pair\.test; dmarc=)/m);
    } finally {
      await side.stop();
    }
  });
});

test('rspamd refuses what it knows, and lets the rest in', { skip: missing('/usr/bin/rspamd') }, async () => {
  await scene(async (directory, start) => {
    const port = await freePort();
    mkdirSync(`${directory}/db`);
    writeFileSync(`${directory}/tld`, 'test\ncom\norg\n');
    writeFileSync(`${directory}/rspamd.conf`, `options { pidfile = "${directory}/pid"; filters = ""; dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 0; }
  tempdir = "${directory}"; url_tld = "${directory}/tld"; hs_cache_dir = "${directory}/db"; control_socket = "${directory}/control"; }
logging { type = "file"; filename = "${directory}/log"; level = "info"; }
metric "default" { actions { reject = 15; add_header = 6; greylist = 4; } }
worker "rspamd_proxy" { bind_socket = "127.0.0.1:${port}"; milter = yes; timeout = 20s; count = 1; upstream "local" { default = yes; self_scan = yes; } max_retries = 1; }
`);
    await start(port, '/usr/bin/rspamd', '-f', '--insecure', '-c', `${directory}/rspamd.conf`);
    const side = await MilterSide.start('ours', { mainCf: '', rows: { spam: `smtpd_milters = inet:127.0.0.1:${port}` } });
    try {
      const spam = 'XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X';
      assert.match((await converse(side.ports.get('spam')!, letter(`${content}\n${spam}\n`))).join('\n'), /^554 5\.7\.1 Gtube pattern/m, readFileSync(`${directory}/log`, 'latin1').slice(-3000));
      assert.match((await converse(side.ports.get('spam')!, letter(content))).join('\n'), /queued as/);
      assert.match(await taken(side), /^Subject: a letter\n with two lines$/m);
      assert.match(side.system.lines(/milter-reject/).join('\n'), /cleanup\[\d+\]: \w+: milter-reject: END-OF-MESSAGE from unknown\[127\.0\.0\.1\]: 5\.7\.1 Gtube pattern; from=<ann@a\.test> to=<joe@b\.test> proto=ESMTP helo=<client\.test>/);
    } finally {
      await side.stop();
    }
  });
});
