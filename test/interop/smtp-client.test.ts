/**
 * Our SMTP and LMTP client and Debian's, before servers that say the same: commands, content, log lines and reports are compared, case by
 * case (smtp-client-cases.ts). Skipped where Debian's Postfix is not installed or we are not root.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { FakeServer } from '../../src/daemons/smtp/fake-server.ts';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { clientCases, clientTables, type ClientCase } from './smtp-client-cases.ts';

const folder = mkdtempSync(`${tmpdir()}/postern-clients-`);
chmodSync(folder, 0o755);
for (const [name, text] of Object.entries(clientTables)) writeFileSync(`${folder}/${name}`, text);

interface MailSystem { readonly directory: string; start(): Promise<void>; stop(): Promise<unknown>; log(): string; lines(pattern: RegExp): string[] }

/** What came of a case. */
interface Result { readonly commands: readonly string[]; readonly content: string; readonly log: readonly string[]; readonly report: string }

class Side {
  readonly servers: FakeServer[] = [];
  readonly queueIds: string[] = [];
  readonly sink: FakeServer;
  readonly port: number;
  readonly system: MailSystem;

  private constructor(sink: FakeServer, port: number, servers: FakeServer[], system: MailSystem) {
    this.sink = sink;
    this.port = port;
    this.servers = servers;
    this.system = system;
  }

  static async open(name: string, create: (options: { mainCf: string; masterCf: string }) => Promise<MailSystem>): Promise<Side> {
    const sink = await FakeServer.listen();
    const port = await freePort();
    const servers: FakeServer[] = [];
    for (const { script } of clientCases) servers.push(await FakeServer.listen(script));
    const transport = clientCases.map(({ lmtp, options }, at) => `c${at}.test ${options ? `t${at}` : lmtp ? 'lmtp' : 'smtp'}:${lmtp ? 'inet:' : ''}[127.0.0.1]:${servers[at]!.port}`);
    writeFileSync(`${folder}/${name}`, `${transport.join('\n')}\nsink.test smtp:[127.0.0.1]:${sink.port}\n`);
    const rows = clientCases.flatMap(({ lmtp, options }, at) =>
      (options ? [`t${at} unix - - n - - ${lmtp ? 'lmtp' : 'smtp'}`, ...options.map((option) => `  -o { ${option.replaceAll('c.test', `c${at}.test`).replace('FOLDER', folder).replace('SINK', String(sink.port))} }`)] : []));
    const system = await create({
      mainCf: `myhostname = host.example.test\nmyorigin = example.test\nmydestination =\nmynetworks = 127.0.0.0/8\ninet_protocols = ipv4\ninet_interfaces = loopback-only
transport_maps = texthash:${folder}/${name}\nsmtpd_relay_restrictions = permit_mynetworks, reject\nnotify_classes =\nsmtpd_peername_lookup = no\nsmtpd_client_event_limit_exceptions = 127.0.0.0/8
smtp_tls_security_level = none\nsmtp_dns_support_level = disabled\nalias_maps =\nsmtputf8_enable = no\n`,
      masterCf: `127.0.0.1:${port} inet n - n - - smtpd\nlmtp unix - - n - - lmtp\n${masterRows('cleanup qmgr rewrite bounce defer trace verify smtp error retry anvil proxymap')}\n${rows.join('\n')}\n`,
    });
    const side = new Side(sink, port, servers, system);
    await system.start();
    return side;
  }

  async submitAll(): Promise<void> {
    for (const [at, each] of clientCases.entries()) this.queueIds.push(await this.submit(each, at));
  }

  private async submit({ recipients = ['r'], text = 'Subject: test\n\nhello\n', mail = '', rcpt = '' }: ClientCase, at: number): Promise<string> {
    const client = await SmtpClient.meet(this.port);
    const ask = async (line: string): Promise<void> => {
      const reply = await client.command(line);
      assert.ok(reply.code < 400, `${line}: ${reply.text}`);
    };
    await ask('EHLO client.test');
    await ask(`MAIL FROM:<s@sink.test>${mail}`);
    for (const recipient of recipients) await ask(`RCPT TO:<${recipient}@c${at}.test>${rcpt}`);
    await ask('DATA');
    const reply = await client.content(Buffer.from(`${text.replace(/^\./gm, '..')}.\n`.replaceAll('\n', '\r\n'), 'latin1'));
    await client.quit();
    return /queued as ([0-9A-Za-z]+)/.exec(reply.text)![1]!;
  }

  async settled(at: number): Promise<Result> {
    const { recipients = ['r'], rcpt = '' } = clientCases[at]!;
    const queueId = this.queueIds[at]!;
    const server = this.servers[at]!;
    const done = new RegExp(` ${queueId}: to=<.*@c${at}\\.test>.* status=`);
    await eventually(`c${at} is settled`, () => this.system.lines(done).length >= recipients.length);
    // What comes behind the last reply is logged by nobody.
    await eventually(`nobody talks to the server of c${at}`, () => server.guests === 0);
    const final = this.system.lines(done).map((line) => this.normal(line, at));
    const bounced = final.some((line) => line.includes('status=bounced')) && !rcpt.includes('NEVER');
    const report = bounced ? await eventually(`c${at} is reported`, () => this.sink.messages.find((text) => text.includes(`@c${at}.test`))) : '';
    // What else is said in the case's course, with the queue id or the server's port in it.
    const other = this.system.log().split('\n')
      .filter((line) => /\/(?:smtp|lmtp)\[\d+\]: /.test(line) && !done.test(line) && (line.includes(` ${queueId}: `) || line.includes(`:${server.port}`)))
      .map((line) => this.normal(line, at));
    return { commands: server.commands.map((line) => normalCommand(line, at)), content: normalContent(server.messages[0] ?? '', at), log: [...other.sort(), ...final.sort()], report: normalReport(report, at) };
  }

  private normal(line: string, at: number): string {
    return line.slice(line.indexOf(']: ') + 3).replaceAll(this.queueIds[at]!, 'QUEUEID').replaceAll(`:${this.servers[at]!.port}`, ':PORT').replaceAll(`:${this.sink.port}`, ':SINK').replace(/ delay=[^ ]+, delays=[^ ]+,/, '').replace(/ tls=[^ ,]*,/, '')
      .replace(/message size \d+ /, 'message size N ').replace(/[?]{2,}/g, '?');
  }

  async close(): Promise<void> {
    await this.system.stop();
    for (const server of [...this.servers, this.sink]) await server.close();
  }
}

function normalCommand(line: string, at: number): string {
  return line.replace(/SIZE=\d+/, 'SIZE=N').replaceAll(`c${at}.test`, 'c.test');
}

// Fields that carry a time, an id or the name of a release.
function normalContent(text: string, at: number): string {
  return text.replaceAll('\r\n', '\n').replaceAll(`c${at}.test`, 'c.test').replace(/^(?:Received: .*(?:\n[ \t].*)*|Message-Id: .*|Date: .*)\n/gim, '');
}

/** What people read of the recipients, and the part for machines, without what is different each time. */
function normalReport(text: string, at: number): string {
  const body = text.replaceAll('\r\n', '\n').replaceAll(`c${at}.test`, 'c.test');
  const people = /\n(<[^\n]*>: [\s\S]*?)\n--/.exec(body)?.[1] ?? '';
  const machines = /^(?:Final-Recipient|Original-Recipient|Action|Status|Remote-MTA|Diagnostic-Code|Original-Envelope-Id): .*(?:\n[ \t].*)*/gm;
  return [people, ...(body.match(machines) ?? [])].join('\n').replace(/message size \d+ /, 'message size N ').replace(/\s+/g, ' ');
}

let sides: [ours: Side, theirs: Side] | undefined;

before(async () => {
  if (noDebianPostfix()) return;
  sides = [await Side.open('ours', (options) => Instance.create(options)), await Side.open('theirs', (options) => DebianPostfix.create(options))];
  for (const side of sides) await side.submitAll();
});

after(async () => {
  for (const side of sides ?? []) await side.close();
  rmSync(folder, { recursive: true, force: true });
});

for (const [at, { name, differs }] of clientCases.entries()) test(`before the same server: ${name}`, { skip: noDebianPostfix() }, async () => {
  const [ours, theirs] = [await sides![0].settled(at), await sides![1].settled(at)];
  if (differs === 'softer') {
    assert.match(ours.log.at(-1)!, /status=deferred/);
    assert.match(theirs.log.at(-1)!, /status=bounced/);
    return;
  }
  const shown = ({ commands, log, ...rest }: Result): object => ({ ...rest, commands: differs === 'commands' ? [] : commands, log });
  assert.deepEqual(shown(ours), shown(theirs));
});
