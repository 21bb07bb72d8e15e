/**
 * A gateway between a client and the world: the resolver is nsd, with zones of this test; the next hop is a Postfix from Debian,
 * unmodified. Everything is told a second time with Debian's Postfix as the gateway, and the two logs are compared line by line.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { noMutt, shownByMutt } from '../mutt.ts';
import { noNameServer, startNameServer, type NameServer } from '../name-server.ts';
import { noStrictReader, readStrictly } from '../strict-report.ts';
import { submit } from '../submit.ts';
import { masterRows } from '../master-rows.ts';

const impossible = noDebianPostfix() || noNameServer;

/** Nobody listens at the first; the next hop is the second. Addresses of loopback, but not the gateway's own. */
const [firstAddress, nextAddress, nameServerAddress] = ['127.0.0.76', '127.0.0.77', '127.0.0.78'];
/** Debian's Postfix knows no other port of a name server. */
const domainPort = 53;
const zones = {
  'next.test': `@ MX 10 mx1\n@ MX 20 mx2\nmx1 A ${firstAddress}\nmx2 A ${nextAddress}\n`,
  'later.test': '@ MX 20 mx2.next.test.\n',
  'other.test': `nomail MX 0 .\nempty MX 10 nowhere\ntext TXT "nothing but text"\n`,
};
const rows = (door: string): string => `${door} inet n - n - - smtpd
${masterRows('pickup cleanup qmgr rewrite bounce defer trace')}
smtp unix - - y - - smtp
${masterRows('showq error retry virtual anvil')}
`;

const sender = 'ann@home.test';
const text = `From: Ann <${sender}>
To: joe@next.test
Subject: over the gateway
Message-ID: <1@home.test>
Date: Sat, 21 Nov 2026 12:00:00 +0100

.a line with a dot
8 bits: \xe9\xfc
`;

/** A host with Maildirs for one domain. */
function mailboxes(domain: string, names: readonly string[], directory: string, { uid, gid }: { uid: number; gid: number }): string {
  mkdirSync(`${directory}/mail`);
  chownSync(`${directory}/mail`, uid, gid);
  return `
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
inet_protocols = ipv4
virtual_mailbox_domains = ${domain}
virtual_mailbox_maps = inline:{${names.map((name) => `{${name}@${domain} = ${name}/}`).join(' ')}}
virtual_mailbox_base = ${directory}/mail
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
virtual_minimum_uid = 1
`;
}

/**
 * `resolver_configuration` is ours alone; smtp of the other is in a chroot jail with a resolv.conf of its own. Connections are not kept,
 * because how soon one message follows the other would show in the log. The TLS field is newer than Debian's Postfix.
 */
const gatewaySettings = (kind: Kind, directory: string, nextPort: number): string => `
smtp_tcp_port = ${nextPort}
smtp_connection_cache_on_demand = no
smtp_log_tls_feature_status = no
${kind === 'ours' ? `resolver_configuration = ${directory}/queue/etc/resolv.conf` : 'myhostname = host.example.test\ninet_interfaces = loopback-only'}
`;

const nextHopSettings = `
myhostname = mx2.next.test
virtual_alias_domains = later.test
virtual_alias_maps = inline:{joe@later.test=joe@next.test}
smtpd_recipient_restrictions = check_recipient_access inline:{{busy@next.test = 450 4.2.1 not now}}
`;

const append = (house: Instance | DebianPostfix, lines: string): void => writeFileSync(`${house.directory}/etc/main.cf`, lines, { flag: 'a' });

/** The next message in a Maildir, which is taken away. */
function taken(house: { readonly directory: string }, name: string): Promise<string> {
  const place = `${house.directory}/mail/${name}/new`;
  return eventually(`a message for ${name}`, () => {
    const [file] = existsSync(place) ? readdirSync(place) : [];
    if (file === undefined) return undefined;
    const text = readFileSync(`${place}/${file}`, 'latin1');
    rmSync(`${place}/${file}`);
    return text;
  });
}

type Kind = 'ours' | "Debian's";

/** The gateway, ours or Debian's, and what lies behind it. */
class Scene {
  readonly gateway: Instance | DebianPostfix;
  readonly nextHop: DebianPostfix;
  readonly #port: number;
  readonly #namePort: number;
  readonly #path: string;
  #nameServer: NameServer | undefined;

  private constructor(gateway: Instance | DebianPostfix, nextHop: DebianPostfix, ports: { smtp: number; name: number }) {
    this.gateway = gateway;
    this.nextHop = nextHop;
    this.#port = ports.smtp;
    this.#namePort = ports.name;
    this.#path = gateway instanceof DebianPostfix ? '/usr/sbin:/usr/bin:/bin' : `${fileURLToPath(new URL('../../bin', import.meta.url))}:/usr/bin:/bin`;
  }

  static async open(kind: Kind): Promise<Scene> {
    const [port, nextPort] = [await freePort(), await freePort()];
    const namePort = kind === 'ours' ? await freePort() : domainPort;
    const House = kind === 'ours' ? Instance : DebianPostfix;
    const gateway = await House.create({ masterCf: rows(`127.0.0.1:${port}`) });
    const nextHop = await DebianPostfix.create({ masterCf: rows(`${nextAddress}:${nextPort}`) });
    const accounts = instanceAccounts();
    append(gateway, mailboxes('home.test', ['ann'], gateway.directory, accounts) + gatewaySettings(kind, gateway.directory, nextPort));
    append(nextHop, mailboxes('next.test', ['joe', 'sue', 'busy'], nextHop.directory, accounts) + nextHopSettings);
    mkdirSync(`${gateway.directory}/queue/etc`);
    const nameServer = kind === 'ours' ? `${nameServerAddress}:${namePort}` : nameServerAddress;
    writeFileSync(`${gateway.directory}/queue/etc/resolv.conf`, `nameserver ${nameServer}\noptions timeout:1 attempts:1\n`);
    const scene = new Scene(gateway, nextHop, { smtp: port, name: namePort });
    await Promise.all([scene.startNameServer(), gateway.start(), nextHop.start()]);
    return scene;
  }

  async close(): Promise<void> {
    await Promise.all([this.stopNameServer(), this.gateway.stop(), this.nextHop.stop()]);
  }

  async startNameServer(): Promise<void> {
    this.#nameServer = await startNameServer(nameServerAddress, this.#namePort, zones);
  }

  async stopNameServer(): Promise<void> {
    await this.#nameServer?.stop();
    this.#nameServer = undefined;
  }

  send(...recipients: string[]): Promise<string> {
    return submit({ port: this.#port, sender, recipients, text });
  }

  run(name: string, words: readonly string[] = [], input = ''): string {
    return execFileSync(name, words, { input: Buffer.from(input, 'latin1'), encoding: 'latin1', stdio: 'pipe', env: { PATH: this.#path, MAIL_CONFIG: `${this.gateway.directory}/etc` } });
  }

  /** The first line of the log with these words. */
  logged(words: string): Promise<string> {
    return eventually(`a log line with "${words}"`, () => this.gateway.log().split('\n').find((line) => line.includes(words)));
  }

  /** The text of the next message for this person at the next hop; it is taken away. */
  arrived(name: string): Promise<string> {
    return taken(this.nextHop, name);
  }

  /** The report that the sender gets. */
  report(): Promise<string> {
    return taken(this.gateway, 'ann');
  }
}

const bodyOf = (message: string): string => message.slice(message.indexOf('\n\n') + 2);
const body = bodyOf(text);

type Tale = (scene: Scene) => Promise<string[]>;

const refusal = 'when the next hop refuses a recipient, the sender gets a report, and the other recipient the message';

/** What happens, and what it shows besides the log; the same with both gateways. */
const tales: Readonly<Record<string, (scene: Scene) => Promise<string[]>>> = {
  'mail goes to the best mail exchanger that answers, as the name server says': async (scene) => {
    const id = await scene.send('joe@next.test');
    const message = await scene.arrived('joe');
    assert.equal(bodyOf(message), body);
    assert.match(await scene.logged(`${id}: to=<joe@`), / relay=mx2\.next\.test\[127\.0\.0\.77\]:[0-9]+, delay=.*, dsn=2\.0\.0, status=sent \(250 2\.0\.0 Ok: queued as [0-9A-F]+\)$/);
    assert.equal(scene.gateway.lines(/connect to mx1\.next\.test\[127\.0\.0\.76\]:[0-9]+: Connection refused$/).length, 1);
    await scene.logged(`${id}: removed`);
    return [message];
  },
  'while the next hop is down mail waits, mailq shows why, and `postfix flush` delivers it when the next hop is back': async (scene) => {
    await scene.nextHop.end();
    const id = await scene.send('joe@next.test', 'sue@next.test');
    for (const name of ['joe', 'sue']) assert.match(await scene.logged(`${id}: to=<${name}@`), /dsn=4\.4\.1, status=deferred \(connect to mx2\.next\.test\[127\.0\.0\.77\]:[0-9]+: Connection refused\)$/);
    await eventually('it is in the deferred queue', () => existsSync(`${scene.gateway.directory}/queue/deferred/${id[0]}/${id}`));
    const mailq = scene.run('mailq');
    assert.ok(mailq.startsWith(`-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n${id}  `), mailq);
    assert.match(mailq, /\n *\(connect to mx2\.next\.test\[127\.0\.0\.77\]:[0-9]+: Connection refused\)\n +joe@next\.test\n +sue@next\.test\n\n-- 0 Kbytes in 1 Request\.\n$/);
    await scene.nextHop.start();
    scene.run('postfix', ['flush']);
    for (const name of ['joe', 'sue']) assert.equal(bodyOf(await scene.arrived(name)), body);
    await scene.logged(`${id}: removed`);
    assert.equal(scene.run('mailq'), 'Mail queue is empty\n');
    return [mailq];
  },
  [refusal]: async (scene) => {
    await scene.send('nobody@next.test', 'sue@next.test');
    assert.equal(bodyOf(await scene.arrived('sue')), body);
    const report = await scene.report();
    assert.match(report, /^Return-Path: <>\n/);
    assert.match(report, /^<nobody@next\.test>: host mx2\.next\.test\[127\.0\.0\.77\] said: 550 5\.1\.1\n/m);
    return [report];
  },
  'mail for a domain that does not exist, takes no mail or names no host comes back at once': async (scene) => {
    const reports: string[] = [];
    for (const recipient of ['joe@missing.next.test', 'joe@nomail.other.test', 'joe@empty.other.test', 'joe@text.other.test']) {
      await scene.send(recipient);
      const report = await scene.report();
      assert.ok(report.includes(`\n<${recipient}>: `), report);
      reports.push(report);
    }
    return reports;
  },
  'a recipient that the next hop refuses for now waits alone, and mailq shows its words': async (scene) => {
    const id = await scene.send('busy@next.test', 'sue@next.test');
    assert.equal(bodyOf(await scene.arrived('sue')), body);
    await eventually('it is in the deferred queue', () => existsSync(`${scene.gateway.directory}/queue/deferred/${id[0]}/${id}`));
    const mailq = scene.run('mailq');
    assert.match(mailq, /\n\(host mx2\.next\.test\[127\.0\.0\.77\] said: 450 4\.2\.1 <busy@next\.test>: Recipient address rejected: not now \(in reply to RCPT TO command\)\)\n +busy@next\.test\n\n/);
    assert.ok(!mailq.includes('sue@'));
    scene.run('postsuper', ['-d', id]);
    assert.equal(scene.run('mailq'), 'Mail queue is empty\n');
    return [mailq];
  },
  'mail from sendmail on the gateway itself takes the same way': async (scene) => {
    scene.run('sendmail', ['-f', sender, '-F', 'Ann', '-i', 'joe@next.test'], `Subject: from here\nTo: joe@next.test\n\n${body}`);
    const message = await scene.arrived('joe');
    assert.equal(bodyOf(message), body);
    scene.run('sendmail', ['-f', sender, '-bv', 'joe@next.test', 'nobody@next.test']);
    const report = await scene.report();
    assert.match(report, /^<joe@next\.test>: delivery via mx2\.next\.test\[127\.0\.0\.77\]:[0-9]+: 250 2\.1\.5 Ok$/m);
    return [message, report];
  },
  'while the name server is down mail waits': async (scene) => {
    await scene.stopNameServer();
    const id = await scene.send('joe@later.test');
    assert.match(await scene.logged(`${id}: to=<joe@`), /dsn=4\.4\.3, status=deferred \(Host or domain name not found\. Name service error for name=later\.test type=MX: Host not found, try again\)$/);
    await eventually('it is in the deferred queue', () => existsSync(`${scene.gateway.directory}/queue/deferred/${id[0]}/${id}`));
    await scene.startNameServer();
    scene.run('postfix', ['flush']);
    assert.equal(bodyOf(await scene.arrived('joe')), body);
    await scene.logged(`${id}: removed`);
    return [];
  },
};

/** A line without what differs from run to run: when, who, and under which number. */
function plain(line: string): string {
  return line
    .replace(/^\w{3} [ 0-9]\d [0-9:]{8} \S+ /, '').replace(/\[[0-9]+\]: /, ': ')
    .replace(/\b[0-9A-F]{6,14}\b/g, 'ID').replace(/\b[0-9]{14}\.ID\b/g, 'ID').replace(/\bID\.[0-9]{10}\//g, 'ID/')
    .replace(/\]:[0-9]{5}\b/g, ']:PORT').replace(/\b(delay|delays)=[0-9./]+/g, '$1=')
    .replace(/(from=<>, size)=[0-9]+/, '$1=').replace(/^ID +([0-9]+) \w{3} \w{3} [ 0-9]\d [0-9:]{8}/, 'ID $1 DATE')
    .replace(/\w{3}, [ 0-9]\d \w{3} [0-9]{4} [0-9:]{8} [+-][0-9]{4} \(\w+\)/, 'DATE');
}

/** What both must show alike: of a report everything but the words to people. */
const shown = (text: string): string => text.split('\n').map(plain).join('\n').replace(/(This is the mail system at host ).*?( +The mail system\n)/s, '$1$2');

/** In the log the lines of daemons that work at the same time stand in any order. */
const story = (house: { lines(pattern: RegExp): string[] }): string[] => house.lines(/./).map(plain).filter((line) => !/^postfix\/(master|anvil|postfix-script|postlog)/.test(line)).sort();

async function open(t: TestContext, kind: Kind): Promise<Scene> {
  const scene = await Scene.open(kind);
  t.after(async () => {
    if (!t.passed) t.diagnostic(scene.gateway.log());
    await scene.close();
  });
  return scene;
}

/** Is there a program at the port of name servers already? */
function isTaken(): Promise<boolean> {
  const socket = dgram.createSocket('udp4');
  return new Promise((resolve) => {
    socket.on('error', () => resolve(true));
    socket.bind(domainPort, nameServerAddress, () => socket.close(() => resolve(false)));
  });
}

test('a gateway between a client and the world', { skip: impossible }, async (t) => {
  const seen = new Map<string, string[]>();
  const scene = await open(t, 'ours');
  for (const [title, tell] of Object.entries(tales)) await t.test(title, async () => { seen.set(title, await tell(scene)); });
  const [report = ''] = seen.get(refusal) ?? [];

  await t.test('a strict reader of RFC 3464 takes the report', { skip: noStrictReader }, () => {
    const { subject, to, reporter, groups, returned } = readStrictly(report);
    assert.deepEqual({ subject, to, reporter, returned }, { subject: 'Undelivered Mail Returned to Sender', to: sender, reporter: 'dns; host.example.test', returned: 'over the gateway' });
    assert.deepEqual(groups, [{
      'Final-Recipient': 'rfc822; nobody@next.test', Action: 'failed', Status: '5.1.1', 'Remote-MTA': 'dns; mx2.next.test',
      'Diagnostic-Code': 'smtp; 550 5.1.1 <nobody@next.test>: Recipient address rejected: User unknown in virtual mailbox table',
    }]);
  });

  await t.test('mutt shows the three parts of the report', { skip: noMutt }, async () => {
    const screen = await shownByMutt(report);
    const types = [...screen.matchAll(/^\[-- Attachment #([0-9]): (.*) --\]\n\[-- Type: ([a-z0-9/-]+), /gm)].map(([, number, name, type]) => `${number} ${name}: ${type}`);
    assert.deepEqual(types, ['1 Notification: text/plain', '2 Delivery report: message/delivery-status', '3 Undelivered Message: message/rfc822']);
    assert.match(screen, /^Final-Recipient: rfc822; nobody@next\.test\n(?:.*\n)?Action: failed\nStatus: 5\.1\.1$/m);
    assert.match(screen, /^Subject: over the gateway$/m);
  });

  await t.test("Debian's Postfix in our place: the same mail, reports, queue listing and log, line by line, here and at the next hop", { skip: (await isTaken()) && `${nameServerAddress}:${domainPort} is not free` }, async (t) => {
    const other = await open(t, "Debian's");
    for (const [title, tell] of Object.entries(tales)) assert.deepEqual(seen.get(title)?.map(shown), (await tell(other)).map(shown), title);
    await eventually('the next hop has seen its last client go', () => other.nextHop.lines(/: connect from/).length === other.nextHop.lines(/: disconnect from/).length);
    assert.deepEqual(story(scene.gateway), story(other.gateway));
    assert.deepEqual(story(scene.nextHop), story(other.nextHop), 'the log of the next hop');
  });
});
