/**
 * DANE beside Debian's Postfix: a signed zone with records that are right, wrong, of no use and missing, an unsigned one, and a resolver
 * that validates. Mail goes to the same servers with the same words, or stays.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { noSignedZone, startSignedZone, type SignedZone } from '../signed-zone.ts';
import { submit } from '../submit.ts';
import { digestOf, makeCertificates, Peer, type PeerOptions } from '../tls-peers.ts';
import { noOpenssl } from '../tls-scene.ts';
import { sameWords } from '../tls-words.ts';

/** Debian's Postfix knows no other port of a name server. */
const [resolverAddress, resolverPort] = ['127.0.0.79', 53] as const;

const place = mkdtempSync(`${tmpdir()}/postern-tls-dane-`);
chmodSync(place, 0o755);
after(() => rmSync(place, { recursive: true }));

interface Host { readonly server?: PeerOptions; readonly tlsa?: readonly string[]; readonly alias?: string }

const KEY = (name: string): string => digestOf(place, name, 'key').replaceAll(':', '');
const LONG = (name: string, algorithm: string): string => digestOf(place, name, 'key', algorithm).replaceAll(':', '');
const CERT = (name: string): string => digestOf(place, name, 'certificate').replaceAll(':', '');

/** Hosts of the signed zone; `unsigned` stands in the other one, with records that nobody vouches for. */
const hosts = (): Readonly<Record<string, Host>> => ({
  right: { tlsa: [`3 1 1 ${KEY('good')}`] },
  whole: { tlsa: [`3 0 1 ${CERT('good')}`] },
  late: { server: { certificate: 'expired' }, tlsa: [`3 1 1 ${KEY('expired')}`] },
  anchor: { server: { certificate: 'anchored' }, tlsa: [`2 0 1 ${CERT('ca')}`] },
  misnamed: { server: { certificate: 'wrong' }, tlsa: [`2 0 1 ${CERT('ca')}`] },
  forged: { server: { certificate: 'self' }, tlsa: [`3 1 1 ${KEY('good')}`] },
  strange: { server: { certificate: 'stranger' }, tlsa: [`2 0 1 ${CERT('ca')}`] },
  several: { tlsa: [`3 1 1 ${KEY('self')}`, `3 1 1 ${KEY('good')}`] },
  useless: { server: { certificate: 'self' }, tlsa: [`1 1 1 ${KEY('good')}`] },
  short: { server: { certificate: 'self' }, tlsa: ['3 1 1 0011'] },
  missing: { server: { certificate: 'self' } },
  clear: { server: { plain: true } },
  promised: { server: { plain: true }, tlsa: [`3 1 1 ${KEY('good')}`] },
  hanging: { server: { handshake: 'close' }, tlsa: [`3 1 1 ${KEY('good')}`] },
  secret: { tlsa: [`3 1 1 ${KEY('good')}`] },
  alias: { alias: 'right' },
  shorter: { tlsa: [`3 1 1 ${KEY('good')}`, `3 1 2 ${LONG('self', 'sha512')}`] },
  longer: { tlsa: [`3 1 1 ${KEY('self')}`, `3 1 2 ${LONG('good', 'sha512')}`] },
  further: { tlsa: [`3 1 7 ${LONG('good', 'sha384')}`, `3 1 2 ${LONG('self', 'sha512')}`] },
});

type Zone = 'signed' | 'open';
/** Domain, the zone that it is in, and its host's name and zone. */
const domains: readonly (readonly [host: string, domain: Zone, host: Zone])[] = [
  ...['right', 'whole', 'late', 'anchor', 'misnamed', 'forged', 'strange', 'several', 'useless', 'short', 'missing', 'clear', 'promised', 'hanging', 'secret', 'alias'].map((host) => [host, 'signed', 'signed'] as const),
  ...['right', 'forged', 'missing', 'anchor'].map((host) => [host, 'open', 'signed'] as const),
  ['unsigned', 'signed', 'open'], ['unsigned', 'open', 'open'],
];
const levels = ['dane', 'dane-only'] as const;
/** What TLSA records are worth behind MX records that nobody vouches for: one transport each. */
const insecure = ['dane', 'encrypt', 'may'] as const;

interface Case { readonly domain: string; readonly policy: string; readonly transport: string; readonly host: string }
const cases: Case[] = domains.flatMap(([host, zone, where]) => levels.flatMap((policy) => (zone === 'open' ? insecure : insecure.slice(0, 1)).map((transport) => (
  { domain: `${host}-${where}-${policy}-${transport}.${zone}.test`, policy, transport: `smtp-${transport}`, host: `${host}.${where}.test` }
))));
const direct: Case[] = ['right', 'forged', 'missing'].map((host) => ({ domain: `direct-${host}.signed.test`, policy: 'dane-only', transport: 'smtp-dane', host: `[${host}.signed.test]` }));

/** Names of the destination and of the host, as certificates have them or not. */
const named: Case[] = [
  ['names-host.signed.test', 'verify', 'anchor'], ['names-other.signed.test', 'verify', 'right'], ['names-nexthop.signed.test', 'secure', 'anchor'], ['names-dot.signed.test', 'secure', 'anchor'],
  ['names-wrong.signed.test', 'secure', 'anchor'], ['names-self.signed.test', 'verify', 'forged'], ['names-words.signed.test', 'secure match=hostname:nexthop servername=nexthop', 'anchor'], ['names-insecure.open.test', 'verify', 'anchor'],
].map(([domain, policy, host]) => ({ domain: domain!, policy: policy!, transport: 'smtp-dane', host: `${host}.signed.test` }));

/** Which of several digests counts: the transport says it. */
const digests: Readonly<Record<string, string>> = { usual: '', short: 'sha256,sha512', only: 'sha256', none: 'sha384', more: 'sha384=7,sha512,sha256,=3' };
const preferring: Case[] = ['shorter', 'longer', 'further'].flatMap((host) => Object.keys(digests).map((words) => (
  { domain: `digests-${host}-${words}.signed.test`, policy: 'dane-only', transport: `smtp-digests-${words}`, host: `${host}.signed.test` }
)));

const houses = new Map<'ours' | 'theirs', Instance | DebianPostfix>();
const doors = new Map<'ours' | 'theirs', number>();
const peers: Peer[] = [];
let zone: SignedZone | undefined;

const settings = (kind: 'ours' | 'theirs', port: number): string => `myhostname = host.example.test
inet_interfaces = loopback-only
inet_protocols = ipv4
mydestination =
local_recipient_maps =
smtp_tcp_port = ${port}
smtp_dns_support_level = dnssec
smtp_host_lookup = dns
smtp_tls_security_level = may
smtp_tls_loglevel = 1
smtp_tls_CAfile = ${place}/ca.pem
transport_maps = texthash:${place}/transport
smtp_tls_policy_maps = texthash:${place}/policy
smtp_connection_cache_on_demand = no
notify_classes =
dnssec_probe =
${kind === 'ours' ? `resolver_configuration = ${place}/resolv.conf` : ''}
`;

async function open(kind: 'ours' | 'theirs', port: number): Promise<void> {
  const door = await freePort();
  const rows = insecure.map((policy) => `smtp-${policy} unix - - ${kind === 'ours' ? 'n' : 'y'} - - smtp -o smtp_tls_dane_insecure_mx_policy=${policy}\n`).join('');
  const preferences = Object.entries(digests).map(([name, words]) => `smtp-digests-${name} unix - - ${kind === 'ours' ? 'n' : 'y'} - - smtp${words === '' ? '' : ` -o tls_dane_digests=${words}`}\n`).join('');
  const masterCf = `127.0.0.1:${door} inet n - n - - smtpd\n${masterRows('pickup cleanup qmgr rewrite bounce defer trace error retry anvil tlsmgr')}\n${rows}${preferences}`;
  const house = await (kind === 'ours' ? Instance : DebianPostfix).create({ masterCf, mainCf: settings(kind, port) });
  houses.set(kind, house);
  doors.set(kind, door);
  mkdirSync(`${house.directory}/queue/etc`);
  writeFileSync(`${house.directory}/queue/etc/resolv.conf`, `nameserver ${resolverAddress}\noptions trust-ad edns0\n`);
  await house.start();
}

const showsStatus = (): boolean => houses.get('theirs')!.lines(/ tls=[^,]+, dsn=/).length > 0;

/** Debian's Postfix remembers what it was told for a time of its own, and complains when it asks. */
const complaints = /^warning: (?:tls_dane_digests: |DANE TLSA lookup problem|_PORT\._tcp\.\S+ unsupported TLSA)/;

function story(kind: 'ours' | 'theirs', { domain }: Case, port: number): string[] {
  const log = houses.get(kind)!.log().split('\n').filter((line) => line.includes(' postfix/smtp['));
  const at = log.findIndex((line) => line.includes(`to=<joe@${domain}>`));
  // One message at a time: what was said since the one before is about this one.
  const before = log.slice(0, at).findLastIndex((line) => line.includes(': to=<'));
  const lines = log.slice(before + 1, at + 1).map((line) => line.replace(/^.*? postfix\/smtp\[[0-9]+\]: /, '').replace(/^([0-9A-Za-z]{10,}): /, 'ID: ').replaceAll(`:${port}`, ':PORT').replaceAll(`_${port}.`, '_PORT.'));
  return sameWords(lines, showsStatus()).filter((line) => !complaints.test(line));
}

const impossible = noOpenssl || noSignedZone || noDebianPostfix();

describe('DANE', { skip: impossible }, () => {
  let port = 0;
  before(async () => {
    makeCertificates(place);
    port = await freePort();
    let signed = '';
    let unsigned = '';
    let number = 0;
    for (const [name, { server = {}, tlsa = [], alias }] of Object.entries(hosts())) {
      if (alias !== undefined) {
        signed += `${name} CNAME ${alias}\n`;
        continue;
      }
      const address = `127.2.0.${++number}`;
      peers.push(await Peer.listen(place, server, address, port));
      signed += `${name} A ${address}\n${tlsa.map((record) => `_${port}._tcp.${name} TLSA ${record}\n`).join('')}`;
    }
    peers.push(await Peer.listen(place, { certificate: 'self' }, '127.2.0.100', port));
    unsigned += `unsigned A 127.2.0.100\n_${port}._tcp.unsigned TLSA 3 1 1 ${KEY('good')}\n`;
    for (const { domain, host } of [...cases, ...named, ...preferring]) {
      const [name, tld] = [domain.split('.')[0]!, domain.split('.')[1]!];
      if (tld === 'signed') signed += `${name} MX 10 ${host}.\n`;
      else unsigned += `${name} MX 10 ${host}.\n`;
    }
    zone = await startSignedZone(resolverAddress, resolverPort, ['signed.test', signed], ['open.test', unsigned], [`_${port}._tcp.secret.signed.test`]);
    const all = [...cases, ...named, ...direct, ...preferring];
    writeFileSync(`${place}/transport`, all.map(({ domain, transport, host }) => `${domain} ${transport}:${host.startsWith('[') ? host : domain}\n`).join(''));
    writeFileSync(`${place}/policy`, all.map(({ domain, policy, host }) => `${host.startsWith('[') ? host : domain} ${policy}\n`).join(''));
    writeFileSync(`${place}/resolv.conf`, `nameserver ${resolverAddress}\noptions trust-ad edns0\n`);
    await Promise.all([open('ours', port), open('theirs', port)]);
    for (const kind of ['ours', 'theirs'] as const) {
      for (const [at, { domain }] of all.entries()) {
        await submit({ port: doors.get(kind)!, sender: '', recipients: [`joe@${domain}`], text: 'Subject: x\n\nx\n' });
        await eventually(`mail for ${domain} has been tried`, () => houses.get(kind)!.lines(/: to=<joe@[a-z.-]+test>/).length > at);
      }
    }
  });
  after(async () => {
    for (const house of houses.values()) await house.stop();
    for (const peer of peers) await peer.close();
    await zone?.stop();
  });

  test('complaints', () => {
    for (const text of ['DANE TLSA lookup problem: Host or domain name not found. Name service error for name=', 'unsupported TLSA certificate usage: 1 1 1 ', 'tls_dane_digests: digest algorithm sha384 needs an explicit number'])
      for (const kind of ['ours', 'theirs'] as const) assert.ok(houses.get(kind)!.log().includes(text), `${kind}: ${text}`);
  });

  for (const each of [...cases, ...named, ...direct, ...preferring]) {
    test(`${each.domain} at ${each.host}`, () => {
      // Several records come in any order.
      const [ours, theirs] = [story('ours', each, port), story('theirs', each, port)].map((lines) => (preferring.includes(each) ? lines.toSorted() : lines)) as [string[], string[]];
      assert.ok(ours.some((line) => line.includes('status=')));
      assert.deepEqual(ours, theirs);
    });
  }
});
