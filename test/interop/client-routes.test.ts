/**
 * Where mail goes, beside Debian's Postfix: mail exchangers that are good, bad, missing, ourselves or too many, by a real name server, with
 * all settings that decide about them. Both say the same in their logs, server by server. Needs port 53, and port 25 where loops are looked for.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { FakeServer, type Script } from '../../src/daemons/smtp/fake-server.ts';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { noNameServer, startNameServer, type NameServer } from '../name-server.ts';
import { submit } from '../submit.ts';
import { sameWords } from '../tls-words.ts';

/** Debian's Postfix knows no other port of a name server, and looks for loops at no other port of mail. */
const [resolverAddress, port] = ['127.0.0.74', 25] as const;
const place = mkdtempSync(`${tmpdir()}/postern-routes-`);
chmodSync(place, 0o755);

const ehlo = '250-server.example\r\n250-PIPELINING\r\n250 8BITMIME';
/** Hosts of the zone, each with an address of its own; nobody listens at `down`. */
const hosts: Readonly<Record<string, Script | undefined>> = {
  up1: {}, up2: {}, down: undefined, busy: { greeting: '421 4.3.2 busy' }, hangs: { greeting: 'CLOSE' }, never: { greeting: '554 5.7.1 never' },
  later: { replies: { EHLO: ehlo, RCPT: '450 4.2.1 later' } }, unknown: { replies: { EHLO: ehlo, RCPT: '550 5.1.1 unknown' } },
  dotlater: { dots: ['451 4.3.0 later'] }, dotno: { dots: ['554 5.7.1 no'] }, ehlolater: { replies: { EHLO: '421 4.3.2 later' } }, lost: { replies: { EHLO: ehlo, DATA: 'CLOSE' } },
};
const addressOf = (name: string): string => `127.3.0.${Object.keys(hosts).indexOf(name) + 1}`;

const mx = (name: string, ...list: readonly string[]): string => list.map((host, at) => `${name} MX ${(at + 1) * 10} ${host}\n`).join('');
const zone = `${Object.keys(hosts).map((name) => `${name} A ${addressOf(name)}\n`).join('')}
${mx('one', 'up1')}${mx('second', 'down', 'up1')}${mx('busyfirst', 'busy', 'up1')}${mx('hangsfirst', 'hangs', 'up1')}${mx('neverfirst', 'never', 'up1')}
${mx('laterfirst', 'later', 'up1')}${mx('unknownfirst', 'unknown', 'up1')}${mx('dotlaterfirst', 'dotlater', 'up1')}${mx('dotnofirst', 'dotno', 'up1')}${mx('ehlofirst', 'ehlolater', 'up1')}${mx('lostfirst', 'lost', 'up1')}
${mx('alldown', 'down')}${mx('allbusy', 'busy', 'hangs', 'later')}${mx('long', 'busy', 'hangs', 'never', 'ehlolater', 'down', 'up1')}
${mx('noaddress', 'nowhere')}${mx('halfaddress', 'nowhere', 'up1')}${mx('foreign', 'nowhere.missing.test.', 'up2')}
nullmx MX 0 .
bothnull MX 0 .
bothnull MX 10 up1
text TXT "nothing"
alias CNAME up1
aliased CNAME one
${mx('mxalias', 'alias')}${mx('mxself', 'self')}${mx('backup', 'up1', 'self')}${mx('selffirst', 'self', 'up1')}${mx('downbackup', 'down', 'self')}
self A 127.0.0.1
several A ${addressOf('down')}
several A ${addressOf('down').replace(/\d+$/, '201')}
${mx('many', 'several', 'up1')}
dual A ${addressOf('up1')}
dual AAAA ::1
six AAAA ::1
mapped AAAA ::ffff:${addressOf('up1')}
${mx('sixfirst', 'six', 'up1')}${mx('fourfirst', 'down', 'six')}${mx('duals', 'dual')}${mx('sixdown', 'down', 'six', 'up2')}
loop CNAME loop2
loop2 CNAME loop
1.2.3.4 A ${addressOf('up1')}
`;

interface Route { readonly nexthop: string; readonly options?: readonly string[] }
/** Not here: smtp_cname_overrides_servername=yes, which Postfix has not known since 3.11; nexthops that make no sense, which are fatal there (differences.md). */
const fallback = (...list: string[]): readonly string[] => [`smtp_fallback_relay=${list.join(', ')}`];
const routes: readonly Route[] = [
  ...['one', 'second', 'busyfirst', 'hangsfirst', 'neverfirst', 'laterfirst', 'unknownfirst', 'dotlaterfirst', 'dotnofirst', 'ehlofirst', 'lostfirst', 'alldown', 'allbusy', 'long', 'noaddress', 'halfaddress', 'foreign', 'nullmx', 'bothnull', 'text',
    'missing', 'up1', 'down', 'alias', 'aliased', 'mxalias', 'mxself', 'backup', 'selffirst', 'downbackup', 'many', 'loop', 'self', 'sub.up1'].map((name) => ({ nexthop: `${name}.r.test` })),
  { nexthop: '[up1.r.test]' }, { nexthop: '[one.r.test]' }, { nexthop: '[nullmx.r.test]' }, { nexthop: '[127.3.0.1]' }, { nexthop: '[127.3.0.3]' }, { nexthop: '[self.r.test]' }, { nexthop: '[127.0.0.1]' }, { nexthop: '[loop.r.test]' },
  { nexthop: 'down.r.test, [up1.r.test]' }, { nexthop: '[down.r.test], one.r.test' }, { nexthop: 'missing.r.test, [up1.r.test]' }, { nexthop: 'nullmx.r.test, [up1.r.test]' }, { nexthop: 'missing.r.test, alldown.r.test' },
  { nexthop: 'one.r.test:25' }, { nexthop: 'second.r.test:smtp' }, { nexthop: '[up1.r.test]:smtp' },
  { nexthop: 'one.unserved.test' }, { nexthop: 'one.unserved.test', options: ['ignore_mx_lookup_error=yes'] },
  { nexthop: 'second.r.test', options: ['smtp_mx_address_limit=1'] }, { nexthop: 'many.r.test', options: ['smtp_mx_address_limit=2'] }, { nexthop: 'long.r.test', options: ['smtp_mx_address_limit=0', 'smtp_mx_session_limit=0'] },
  { nexthop: 'busyfirst.r.test', options: ['smtp_mx_session_limit=1'] }, { nexthop: 'long.r.test', options: ['smtp_mx_session_limit=3'] }, { nexthop: 'second.r.test', options: ['smtp_mx_session_limit=1'] },
  { nexthop: 'neverfirst.r.test', options: ['smtp_skip_5xx_greeting=no'] },
  { nexthop: 'noaddress.r.test', options: ['smtp_defer_if_no_mx_address_found=yes'] }, { nexthop: 'halfaddress.r.test', options: ['smtp_defer_if_no_mx_address_found=yes'] },
  { nexthop: 'mxself.r.test', options: ['best_mx_transport=discard:ours'] }, { nexthop: 'selffirst.r.test', options: ['best_mx_transport=discard:ours'] }, { nexthop: 'backup.r.test', options: ['best_mx_transport=discard:ours'] },
  { nexthop: 'downbackup.r.test', options: ['best_mx_transport=discard:ours'] }, { nexthop: 'self.r.test', options: ['best_mx_transport=discard:ours'] }, { nexthop: '[self.r.test]', options: ['best_mx_transport=discard:ours'] },
  { nexthop: 'mxself.r.test', options: fallback('[up1.r.test]') }, { nexthop: 'selffirst.r.test', options: fallback('[up2.r.test]') },
  { nexthop: 'alldown.r.test', options: fallback('[up1.r.test]') }, { nexthop: 'alldown.r.test', options: fallback('one.r.test') }, { nexthop: 'alldown.r.test', options: fallback('missing.r.test', '[up2.r.test]') },
  { nexthop: 'missing.r.test', options: fallback('[up1.r.test]') }, { nexthop: 'nullmx.r.test', options: fallback('[up1.r.test]') }, { nexthop: 'allbusy.r.test', options: fallback('[down.r.test]', '[up1.r.test]') },
  { nexthop: '[unknown.r.test]', options: fallback('[up1.r.test]') }, { nexthop: '[later.r.test]', options: fallback('[up1.r.test]') }, { nexthop: '[dotno.r.test]', options: fallback('[up1.r.test]') }, { nexthop: '[dotlater.r.test]', options: fallback('[up1.r.test]') },
  { nexthop: 'one.r.test', options: ['smtp_bind_address=127.3.0.200'] }, { nexthop: 'one.r.test', options: ['smtp_bind_address=192.0.2.77'] }, { nexthop: 'one.r.test', options: ['smtp_bind_address=192.0.2.77', 'smtp_bind_address_enforce=yes'] },
  { nexthop: 'alias.r.test', options: ['smtp_cname_overrides_servername=no'] },
  { nexthop: 'second.r.test', options: [`smtp_dns_reply_filter=regexp:${place}/drop-down`] }, { nexthop: 'one.r.test', options: [`smtp_dns_reply_filter=regexp:${place}/drop-all`] },
  { nexthop: 'one.r.test', options: ['smtp_dns_support_level=disabled'] }, { nexthop: '[127.3.0.1]', options: ['smtp_dns_support_level=disabled'] },
  ...['any', 'ipv4', 'ipv6'].flatMap((preference) => ['dual', 'six', 'sixfirst', 'fourfirst', 'sixdown'].map((name) => ({ nexthop: `${name}.r.test`, options: ['inet_protocols=all', `smtp_address_preference=${preference}`] }))),
  { nexthop: 'six.r.test' }, { nexthop: 'sixfirst.r.test' }, { nexthop: 'dual.r.test', options: ['inet_protocols=ipv6'] }, { nexthop: 'one.r.test', options: ['inet_protocols=ipv6'] }, { nexthop: '[127.3.0.1]', options: ['inet_protocols=ipv6'] },
  { nexthop: '[::1]', options: ['inet_protocols=all'] }, { nexthop: '[IPv6:::1]', options: ['inet_protocols=all'] }, { nexthop: '[::1]:25', options: ['inet_protocols=all'] }, { nexthop: '[IPv6:::1]' },
  { nexthop: 'sixdown.r.test', options: ['inet_protocols=all', 'smtp_balance_inet_protocols=no'] }, { nexthop: 'duals.r.test', options: ['inet_protocols=all', 'smtp_mx_address_limit=1', 'smtp_address_preference=ipv4'] },
  { nexthop: 'six.r.test', options: ['inet_protocols=all', 'smtp_bind_address6=::1'] }, { nexthop: 'dual.r.test', options: ['inet_protocols=all', 'smtp_bind_address=127.3.0.200', 'smtp_address_preference=ipv4'] },
  { nexthop: 'one', options: ['smtp_dns_resolver_options=res_defnames, res_dnsrch'] }, { nexthop: '[up1]' }, { nexthop: 'one' },
  { nexthop: '127.3.0.1' }, { nexthop: 'bad_name.r.test' },
];

const houses = new Map<'ours' | 'theirs', Instance | DebianPostfix>();
const doors = new Map<'ours' | 'theirs', number>();
const servers: FakeServer[] = [];
let nameServer: NameServer | undefined;
const domainOf = (at: number): string => `case${at}.test`;

async function open(kind: 'ours' | 'theirs'): Promise<void> {
  const door = await freePort();
  const rows = routes.map(({ options = [] }, at) => [`r${at} unix - - ${kind === 'ours' ? 'n' : 'y'} - - smtp`, ...options.map((option) => `  -o { ${option} }`)].join('\n')).join('\n');
  const house = await (kind === 'ours' ? Instance : DebianPostfix).create({
    masterCf: `127.0.0.1:${door} inet n - n - - smtpd\n${masterRows('pickup cleanup qmgr rewrite bounce defer trace smtp error retry discard anvil proxymap')}\n${rows}\n`,
    mainCf: `myhostname = host.example.test\ninet_interfaces = loopback-only\ninet_protocols = ipv4\nmydestination =\nlocal_recipient_maps =\nnotify_classes =
transport_maps = texthash:${place}/transport\nsmtp_randomize_addresses = no\nsmtp_connection_cache_on_demand = no\nsmtp_tls_security_level = none\nsmtp_connect_timeout = 3s
${kind === 'ours' ? `resolver_configuration = ${place}/resolv.conf\n` : ''}`,
  });
  houses.set(kind, house);
  doors.set(kind, door);
  mkdirSync(`${house.directory}/queue/etc`);
  writeFileSync(`${house.directory}/queue/etc/resolv.conf`, resolverText);
  writeFileSync(`${house.directory}/queue/etc/services`, 'smtp 25/tcp mail\n');
  await house.start();
}

const resolverText = `nameserver ${resolverAddress}\nsearch r.test\noptions timeout:1 attempts:1\n`;

/** What the log says of a case, without what differs from run to run; connections are refused in words of the system. */
function story(kind: 'ours' | 'theirs', at: number): string[] {
  const log = houses.get(kind)!.log().split('\n').filter((line) => / postfix\/(?:smtp|discard)\[/.test(line));
  const end = log.findIndex((line) => line.includes(`to=<joe@${domainOf(at)}>`));
  // One message at a time: what was said since the one before is about this one.
  const start = log.slice(0, end).findLastIndex((line) => line.includes(': to=<'));
  const lines = log.slice(start + 1, end + 1).map((line) => line.replace(/^.*? postfix\/(?:smtp|discard)\[[0-9]+\]: /, '').replace(/^([0-9A-Za-z]{10,}): /, 'ID: '));
  return sameWords(lines, false);
}

function canListen(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer().on('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

const impossible = noNameServer || noDebianPostfix() || ((await canListen(addressOf('up1'))) && (await canListen('::1')) ? false : `port ${port} of loopback is not free`);

describe('routes', { skip: impossible }, () => {
  before(async () => {
    nameServer = await startNameServer(resolverAddress, 53, { 'r.test': zone });
    for (const [name, script] of Object.entries(hosts)) if (script !== undefined) servers.push(await FakeServer.listen(script, { host: addressOf(name), port }));
    servers.push(await FakeServer.listen({}, { host: '::1', port }));
    writeFileSync(`${place}/transport`, routes.map(({ nexthop }, at) => `${domainOf(at)} r${at}:${nexthop}\n`).join(''));
    writeFileSync(`${place}/resolv.conf`, resolverText);
    writeFileSync(`${place}/drop-down`, '/ MX [0-9]+ down/ IGNORE\n');
    writeFileSync(`${place}/drop-all`, '/./ IGNORE\n');
    await Promise.all([open('ours'), open('theirs')]);
    for (const kind of ['ours', 'theirs'] as const) for (const at of routes.keys()) {
      await submit({ port: doors.get(kind)!, sender: '', recipients: [`joe@${domainOf(at)}`], text: 'Subject: x\n\nx\n' });
      await eventually(`mail for ${routes[at]!.nexthop} has been tried`, () => houses.get(kind)!.lines(new RegExp(`: to=<joe@${domainOf(at)}>`)).length > 0);
    }
  });
  after(async () => {
    for (const house of houses.values()) await house.stop();
    for (const server of servers) await server.close();
    await nameServer?.stop();
    rmSync(place, { recursive: true, force: true });
  });

  for (const [at, { nexthop, options = [] }] of routes.entries()) test([nexthop, ...options].join(', ').replace(place, ''), () => {
    const [ours, theirs] = [story('ours', at), story('theirs', at)];
    assert.ok(ours.some((line) => line.includes('status=')));
    assert.deepEqual(ours, theirs);
  });
});
