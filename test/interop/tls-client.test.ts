/**
 * Our SMTP client beside Debian's: the same mail to the same servers, whose certificates are good and bad, at every security level. What
 * becomes of the mail, and what the log says, is the same; what is newer than Debian's words is made alike.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { submit } from '../submit.ts';
import { digestOf, makeCertificates, Peer, type PeerOptions } from '../tls-peers.ts';
import { noOpenssl } from '../tls-scene.ts';
import { sameWords } from '../tls-words.ts';

const peerOptions = {
  good: {}, ec: { certificate: 'ecgood' }, older: { maxVersion: 'TLSv1.2' }, below: { certificate: 'below' }, self: { certificate: 'self' }, stranger: { certificate: 'stranger' },
  wrong: { certificate: 'wrong' }, expired: { certificate: 'expired' }, future: { certificate: 'future' }, purpose: { certificate: 'purpose' }, nameless: { certificate: 'nameless' },
  asking: { requestCert: true, rejectUnauthorized: false }, plain: { plain: true }, refusing: { startTls: '454 4.7.0 Not now' }, hanging: { handshake: 'close' }, garbage: { handshake: 'garbage' },
  losing: { closeAt: 'EHLO' }, losingMail: { closeAt: 'MAIL' }, losingRcpt: { closeAt: 'RCPT' }, losingData: { closeAt: 'DATA' },
} as const satisfies Record<string, PeerOptions>;
type Name = keyof typeof peerOptions;

/** A policy of smtp_tls_policy_maps, and the servers that it is tried with. DIR, CERT(name) and KEY(name) are filled in. */
const everybody = ['good', 'ec', 'older', 'below', 'self', 'stranger', 'wrong', 'expired', 'future', 'purpose', 'nameless', 'plain', 'refusing', 'hanging', 'garbage'] as const;
const policies: readonly (readonly [policy: string, servers: readonly Name[]])[] = [
  ['none', ['good', 'plain', 'expired']],
  ['may', [...everybody, 'asking', 'losing', 'losingMail', 'losingRcpt', 'losingData']],
  ['encrypt', [...everybody, 'asking', 'losing', 'losingMail', 'losingRcpt', 'losingData']],
  ['verify match=mail.peer.test', everybody],
  ['secure match=mail.peer.test', everybody],
  ['secure match=.peer.test', ['good', 'wrong', 'nameless']],
  ['secure match=x.wild.peer.test:other.peer.test', ['good', 'wrong', 'self']],
  ['secure', ['good', 'self']],
  ['secure match=mail.peer.test', ['losing', 'losingMail', 'losingRcpt', 'losingData']],
  ['verify', ['good']],
  ['fingerprint match=CERT(good) match=KEY(self)', ['good', 'older', 'self', 'ec', 'expired', 'plain']],
  ['fingerprint match=CERT(expired)|KEY(future)', ['expired', 'future', 'good']],
  ['fingerprint match=00:11', ['good']],
  ['fingerprint match=zz', ['good']],
  ['fingerprint', ['good']],
  ['secure match=mail.peer.test tafile=DIR/ca.pem', ['good', 'below', 'stranger', 'expired', 'wrong']],
  ['secure match=mail.peer.test tafile=DIR/otherca.pem', ['good', 'stranger']],
  ['verify match=mail.peer.test tafile=DIR/self.pem', ['self', 'good']],
  ['verify match=mail.peer.test tafile=DIR/nothing', ['good']],
  ['encrypt protocols=TLSv1.2', ['good', 'older']],
  ['encrypt protocols=>=TLSv1.3', ['good', 'older']],
  ['encrypt protocols=nonsense', ['good']],
  ['encrypt ciphers=high', ['good', 'older']],
  ['encrypt ciphers=nonsense', ['good']],
  ['encrypt exclude=aRSA', ['older', 'good']],
  ['may servername=sni.peer.test', ['good']],
  ['may servername=-bad-', ['good']],
  ['may match=x', ['good']], ['encrypt tafile=DIR/ca.pem', ['good']], ['nonsense', ['good']], ['halfdane', ['good']], ['may colour=blue', ['good']], ['may ciphers=', ['good']],
  ['may ciphers=high ciphers=high', ['good']], ['may connection_reuse=perhaps', ['good']], ['none ciphers=high', ['good']], ['dane', ['good', 'plain', 'self', 'expired']], ['dane-only', ['good', 'plain', 'expired']],
];

interface Case { readonly policy: string; readonly server: Name; readonly address: string; readonly domain: string }
const cases: readonly Case[] = policies.flatMap(([policy, servers]) => servers.map((server) => ({ policy, server })))
  .map((each, at) => ({ ...each, address: `127.1.${Math.floor(at / 200)}.${(at % 200) + 1}`, domain: `case${at}.test` }));

const place = mkdtempSync(`${tmpdir()}/postern-tls-client-`);
chmodSync(place, 0o755);
after(() => rmSync(place, { recursive: true }));
const peers = new Map<Name, Peer>();
const houses = new Map<'ours' | 'theirs', Instance | DebianPostfix>();
const doors = new Map<'ours' | 'theirs', number>();

const filled = (policy: string): string => policy.replaceAll('DIR', place)
  .replace(/CERT\((\w+)\)/g, (_, name: string) => digestOf(place, name, 'certificate')).replace(/KEY\((\w+)\)/g, (_, name: string) => digestOf(place, name, 'key'));
const nexthop = ({ address, server }: Case): string => `[${address}]:${peers.get(server)!.port}`;

const settings = (): string => `myhostname = host.example.test
inet_interfaces = loopback-only
inet_protocols = ipv4
mydestination =
local_recipient_maps =
smtp_address_preference = ipv4
transport_maps = texthash:${place}/transport
smtp_tls_policy_maps = texthash:${place}/policy
smtp_tls_CAfile = ${place}/ca.pem
smtp_tls_cert_file = ${place}/client.pem
smtp_tls_key_file = ${place}/client.key
smtp_tls_loglevel = 1
smtp_tls_fingerprint_digest = sha256
smtp_connection_cache_on_demand = no
notify_classes =
`;

async function open(kind: 'ours' | 'theirs'): Promise<void> {
  const port = await freePort();
  const masterCf = `127.0.0.1:${port} inet n - n - - smtpd\n${masterRows('pickup cleanup qmgr rewrite bounce defer trace smtp error retry anvil tlsmgr')}\n`;
  const house = await (kind === 'ours' ? Instance : DebianPostfix).create({ masterCf, mainCf: settings() });
  houses.set(kind, house);
  doors.set(kind, port);
  await house.start();
}

/** What the log says about a case, all of it, without what differs from run to run. */
function story(kind: 'ours' | 'theirs', { address, domain, server }: Case): string[] {
  const log = houses.get(kind)!.log().split('\n').filter((line) => / postfix\/(?:smtp|qmgr)\[/.test(line));
  const queueId = log.map((line) => /: ([0-9A-Za-z]+): to=<joe@([a-z0-9.]+)>/.exec(line)).find((found) => found?.[2] === domain)?.[1];
  const port = peers.get(server)!.port;
  const lines = log.filter((line) => line.includes(`[${address}]`) || line.includes(`/${address}:`) || line.includes(`${address}]:${port}`) || (queueId !== undefined && line.includes(` ${queueId}: to=`)));
  return sameWords(lines.map((line) => line.replace(/^.*? postfix\/smtp\[[0-9]+\]: /, '').replaceAll(queueId ?? '-', 'ID').replaceAll(`:${port}`, ':PORT')), showsStatus());
}

/** The TLS status is newer than Debian's Postfix. */
const showsStatus = (): boolean => houses.get('theirs')!.lines(/ tls=[^,]+, dsn=/).length > 0;

const impossible = noOpenssl || noDebianPostfix();

describe("the same as Debian's", { skip: impossible }, () => {
  before(async () => {
    makeCertificates(place);
    for (const [name, options] of Object.entries(peerOptions)) peers.set(name as Name, await Peer.listen(place, options));
    writeFileSync(`${place}/transport`, cases.map((each) => `${each.domain} smtp:${nexthop(each)}\n`).join(''));
    writeFileSync(`${place}/policy`, cases.map((each) => `${nexthop(each)} ${filled(each.policy)}\n`).join(''));
    await Promise.all([open('ours'), open('theirs')]);
    for (const kind of ['ours', 'theirs'] as const) {
      for (const { domain } of cases) await submit({ port: doors.get(kind)!, sender: '', recipients: [`joe@${domain}`], text: 'Subject: x\n\nx\n' });
      await eventually('all mail has been tried', () => houses.get(kind)!.lines(/: to=<joe@case[0-9]+\.test>/).length >= cases.length);
    }
  });
  after(async () => {
    for (const house of houses.values()) await house.stop();
    for (const peer of peers.values()) await peer.close();
  });

  for (const each of cases) {
    test(`${each.policy} with ${each.server}`, () => {
      const [ours, theirs] = [story('ours', each), story('theirs', each)];
      assert.ok(ours.some((line) => line.includes('status=')));
      assert.deepEqual(ours, theirs);
    });
  }
});
