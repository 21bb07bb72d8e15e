/**
 * OpenSMTPD, from Debian's package, unpacked: mail both ways. It knows neither PIPELINING nor SMTPUTF8. Skipped where we are not root or the package cannot be had.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { eventually, freePort } from '../instance.ts';
import { noOpenSmtpd, OpenSmtpd } from '../opensmtpd.ts';
import { makePair, noOpenssl } from '../tls-scene.ts';
import { arrivedThere, bodyOf, difficultBody, Home, letter, tellTales } from './mail-peers.ts';

const skip = noOpenSmtpd || noOpenssl;
const domain = 'opensmtpd.test';
const place = mkdtempSync(`${tmpdir()}/opensmtpd-pair-`);
chmodSync(place, 0o755);

let peer: OpenSmtpd;
let home: Home;

before(async () => {
  if (skip) return;
  const pair = makePair(place, 'peer.test', 'rsa');
  const port = await freePort();
  peer = await OpenSmtpd.start({ nextPort: port, pair, people: ['joe', 'sue', 'may', 'must', 'kept'] });
  home = await Home.create(port, peer.port, domain, pair, [
    { recipient: 'may@opensmtpd.test', option: 'smtp_tls_security_level=may', port: peer.tlsPort }, { recipient: 'must@opensmtpd.test', option: 'smtp_tls_security_level=encrypt', port: peer.tlsPort },
    { recipient: 'kept@opensmtpd.test', option: 'smtp_connection_cache_destinations=127.0.0.1', port: peer.port },
  ]);
  await home.house.start();
});

after(async () => {
  if (!skip) {
    await home?.house.stop();
    await peer?.stop();
  }
  rmSync(place, { recursive: true, force: true });
});

tellTales(() => ({ peer, home }), {
  skip, domain, refusal: /host 127\.0\.0\.1\[127\.0\.0\.1\] said: 524 5\.2\.4 Mailing list expansion problem: <nobody@opensmtpd\.test> \(in reply to RCPT TO command\)/,
  tryAgain: () => peer.tryAgain(), kept: ['kept@opensmtpd.test'],
  received: { 'home.test': /\) with ESMTPS id /, 'clear.test': /\) with ESMTP id /, 'tls.test': /\) with ESMTPS id / },
});

test('STARTTLS breaks in its hands: mail that may goes without it, and mail that must have it waits', { skip }, async () => {
  const ids = new Map<string, string>();
  for (const name of ['may', 'must']) ids.set(name, await home.give({ sender: 'ann@home.test', recipients: [`${name}@opensmtpd.test`], text: letter(`tls-${name}`), mail: ' BODY=8BITMIME' }));
  assert.equal(bodyOf(await arrivedThere(peer, 'may', 'tls-may')), difficultBody);
  await eventually('the other was tried', () => home.verdicts(ids.get('must')!).length > 0);
  // Where a later release knows its OpenSSL, it may arrive, encrypted.
  const line = home.house.lines(new RegExp(`${ids.get('must')}: to=`))[0]!;
  assert.match(line, /dsn=4\.7\.5, status=deferred \(Cannot start TLS: handshake failure\)|tls=encrypt, dsn=2\.0\.0, status=sent/);
  if (line.includes('deferred')) assert.deepEqual(peer.stored('must'), []);
});

test('a message for addresses beyond ASCII is not sent: OpenSMTPD cannot take it', { skip }, async () => {
  const queueId = await home.give({ sender: 'ann@home.test', recipients: ['j\xc3\xb6rg@opensmtpd.test', 'joe@opensmtpd.test'], text: letter('for-utf8', 'x\n'), mail: ' SMTPUTF8 BODY=8BITMIME' });
  for (const verdict of await home.settled(queueId, 2)) assert.match(verdict, / 5\.6\.7 bounced$/);
  await home.said('ann', 'Status: 5.6.7', 'Subject: for-utf8');
});
