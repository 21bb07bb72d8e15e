/**
 * What is known of the client a message came from first goes with it: through the queue file, the log, `postsuper -r`, a content filter and
 * the next hop (XFORWARD). Debian's Postfix and ours, the same commands, compared record by record and command by command.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { recordText, renderType } from './cleanup-records.ts';

/** Commands before MAIL, over the connection that comes back from the filter; or none, and the message goes to the filter. */
const cases: Readonly<Record<string, readonly string[] | 'to the filter'>> = {
  'to the filter': 'to the filter',
  'no command': [],
  'everything': ['XFORWARD NAME=spike.example.test ADDR=192.0.2.7 PORT=1234 PROTO=ESMTP HELO=spike.example.test IDENT=4F3C81D9A0 SOURCE=REMOTE'],
  'a local origin': ['XFORWARD NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] PROTO=[UNAVAILABLE] HELO=[UNAVAILABLE] IDENT=4F3C81D9A1 SOURCE=LOCAL'],
  'nothing is known': ['XFORWARD NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] PROTO=[UNAVAILABLE] HELO=[UNAVAILABLE] IDENT=[UNAVAILABLE] SOURCE=[UNAVAILABLE]'],
  'name and address': ['XFORWARD NAME=spike.example.test ADDR=192.0.2.7'],
  'over several commands': ['XFORWARD NAME=spike.example.test', 'XFORWARD ADDR=192.0.2.7', 'XFORWARD HELO=[192.0.2.7]', 'XFORWARD PROTO=SMTP'],
  'IPv6': ['XFORWARD NAME=spike.example.test ADDR=IPv6:2001:db8::1 PROTO=ESMTP HELO=spike'],
  'only an identity': ['XFORWARD IDENT=4F3C81D9A2'],
  'only a source': ['XFORWARD SOURCE=LOCAL'],
  'escaped': ['XFORWARD HELO=two+20words+2B PROTO=ESMTPSA NAME=spike.example.test'],
  'a login': ['XFORWARD ADDR=192.0.2.7 PROTO=ESMTPA'],
  'small letters': ['xforward name=spike.example.test addr=192.0.2.7 source=local'],
  'taken back': ['XFORWARD NAME=spike.example.test ADDR=192.0.2.7', 'XFORWARD NAME=[UNAVAILABLE]'],
  'a word that is none': ['XFORWARD NAME=spike.example.test', 'XFORWARD FOO=bar'],
  'a bad address': ['XFORWARD NAME=spike.example.test ADDR=spike'],
  'a bad source': ['XFORWARD SOURCE=ELSEWHERE'],
  'a bad port': ['XFORWARD PORT=99999x ADDR=192.0.2.7'],
  'after RSET': ['XFORWARD NAME=spike.example.test ADDR=192.0.2.7', 'RSET'],
};

interface Seen {
  readonly replies: readonly string[];
  readonly log: readonly string[];
  /** Of the queue file: attributes and our Received: header. */
  readonly records: readonly string[];
  /** The same after `postsuper -r`. */
  readonly again: readonly string[];
  /** What the next hop was told, at once and after `postsuper -r`. */
  readonly told: readonly string[];
  readonly toldAgain: readonly string[];
}

interface System { readonly directory: string; start(): Promise<void>; end(): Promise<unknown>; stop(): Promise<void>; log(): string }

/** Takes mail, and writes down by Subject what was said with XFORWARD before it. */
async function nextHop(): Promise<{ port: number; told: Map<string, string[]>; close(): void }> {
  const told = new Map<string, string[]>();
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    let input = '';
    let said: string[] = [];
    let inData = false;
    socket.write('220 next.test ESMTP\r\n');
    socket.on('data', (chunk: Buffer) => {
      input += chunk.toString('latin1');
      for (let end = input.indexOf(inData ? '\r\n.\r\n' : '\r\n'); end >= 0; end = input.indexOf(inData ? '\r\n.\r\n' : '\r\n')) {
        const part = input.slice(0, end);
        input = input.slice(end + (inData ? 5 : 2));
        if (inData) {
          told.set(/^Subject: (.*)$/m.exec(part)![1]!.trim(), said);
          said = [];
        } else if (part.startsWith('XFORWARD')) said.push(...part.split(' ').slice(1).sort());
        socket.write(part.startsWith('EHLO') && !inData ? '250-next.test\r\n250 XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT\r\n' : part === 'DATA' && !inData ? '354 go\r\n' : '250 2.0.0 ok\r\n');
        inData = part === 'DATA' && !inData;
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return { port: (server.address() as net.AddressInfo).port, told, close: () => { for (const socket of sockets) socket.destroy(); server.close(); } };
}

const mainCf = (next: number): string => `inet_protocols = ipv4
inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.0/8
myhostname = host.pair.test
mydomain = pair.test
mydestination = pair.test
mail_name = Postfix
local_recipient_maps =
smtpd_recipient_restrictions = permit
smtpd_peername_lookup = no
smtp_send_xforward_command = yes
remote_header_rewrite_domain = domain.invalid
local_header_rewrite_clients =
relayhost = [127.0.0.1]:${next}
alias_maps =
notify_classes =
in_flow_delay = 0
`;

const masterCf = (ports: readonly number[], next: number, services: string): string => `127.0.0.1:${ports[0]} inet n - n - - smtpd -o content_filter=scan:[127.0.0.1]:${next}
127.0.0.1:${ports[1]} inet n - n - - smtpd -o smtpd_authorized_xforward_hosts=127.0.0.0/8 -o receive_override_options=no_unknown_recipient_checks
scan unix - - n - - smtp
${masterRows(`${services} cleanup rewrite bounce defer trace error retry smtp anvil`)}
`;

/** Ports and numbers of processes differ by nature, and so do the queue ids of the messages that are still the same ones. */
function sameText(text: string, ids: readonly string[], directory: string): string {
  for (const id of ids) text = text.replaceAll(id, 'ID');
  text = text.replace(/^(L scan:\[127\.0\.0\.1\]):[0-9]+/, '$1:-');
  return text.replace(/^(A (?:log_client_port|client_port|server_port)|PORT)=.*/, '$1=-').replace(/^(A create_time)=.*/, '$1=-').replaceAll(directory, '@dir@').replace(/^(T|W) .*/, '$1').replace(/[A-Z][a-z]{2}, +[0-9]+ [A-Z][a-z]{2} [0-9]{4}.*/, 'DATE').replace(/userid [0-9]+/, 'userid N');
}

/** The queue file with this queue id, wherever it stands. */
function file(system: System, id: string): readonly string[] {
  for (const queue of ['incoming', 'deferred', 'active']) {
    const path = readdirSync(`${system.directory}/queue/${queue}`, { recursive: true, encoding: 'latin1' }).find((name) => name.endsWith(id));
    if (path !== undefined) return recordText(readFileSync(`${system.directory}/queue/${queue}/${path}`)).map(([type, text]) => `${renderType(type)} ${text}`).filter((record) => !record.startsWith('C '));
  }
  throw new Error(`${id} is in no queue`);
}

async function hand(port: number, name: string, commands: readonly string[]): Promise<{ replies: string[]; id: string }> {
  const client = await SmtpClient.meet(port);
  const replies: string[] = [];
  for (const line of [...commands, 'MAIL FROM:<me@client.test>', 'RCPT TO:<you@there.test>', 'DATA']) replies.push((await client.command(line)).text);
  const { text } = await client.content(Buffer.from(`From: me\r\nTo: you@there.test\r\nSubject: ${name}\r\nMessage-ID: <1@x>\r\n\r\ntext\r\n.\r\n`));
  await client.quit();
  return { replies, id: /queued as ([0-9A-Za-z]+)/.exec(text)![1]! };
}

async function seenBy(make: (mainCf: string, masterCf: string) => Promise<System>, postsuper: readonly string[]): Promise<ReadonlyMap<string, Seen>> {
  const next = await nextHop();
  const ports = [await freePort(), await freePort()];
  const rows = (services: string): string => masterCf(ports, next.port, services) + (isOurs ? '' : 'postlog unix-dgram n - n - 1 postlogd\n');
  const system = await make(mainCf(next.port), masterCf(ports, next.port, 'showq'));
  const isOurs = system instanceof Instance;
  try {
    await system.start();
    const handed = new Map<string, { replies: string[]; id: string; again: string }>();
    for (const [name, commands] of Object.entries(cases)) {
      const [port, words] = commands === 'to the filter' ? [ports[0]!, []] : [ports[1]!, commands];
      handed.set(name, { ...await hand(port, name, words), again: (await hand(port, `${name} again`, words)).id });
    }
    await system.end();
    // postsuper writes to it as the mail owner.
    chmodSync(`${system.directory}/maillog`, 0o666);
    const before = new Map([...handed.values()].map(({ id }) => [id, file(system, id)]));
    for (const { again } of handed.values()) execFileSync(postsuper[0]!, [...postsuper.slice(1), '-c', `${system.directory}/etc`, '-r', again], { stdio: 'pipe' });
    writeFileSync(`${system.directory}/etc/master.cf`, rows('pickup'));
    await system.start();
    await eventually('pickup has taken all', () => [...system.log().matchAll(/orig_id=/g)].length === handed.size && readdirSync(`${system.directory}/queue/maildrop`).length === 0);
    await system.end();
    const newId = (again: string): string => new RegExp(`: ([0-9A-F]+): uid=[0-9]+ from=<[^>]*> orig_id=${again}`).exec(system.log())![1]!;
    const after = new Map([...handed.values()].map(({ again }) => [again, file(system, newId(again))]));
    writeFileSync(`${system.directory}/etc/master.cf`, rows('qmgr'));
    await system.start();
    await eventually('all have left', () => next.told.size === handed.size * 2);
    return new Map([...handed].map(([name, { replies, id, again }]) => {
      const ids = [id, again, newId(again)];
      const same = (texts: readonly string[]): string[] => texts.map((text) => sameText(text, ids, system.directory));
      const log = system.log().split('\n').filter((line) => / postfix\/smtpd\[/.test(line) && line.includes(`${id}: client=`)).map((line) => line.slice(line.indexOf(id)));
      return [name, { replies, log: same(log), records: same(before.get(id)!), again: same(after.get(again)!), told: same(next.told.get(name)!), toldAgain: same(next.told.get(`${name} again`)!) }];
    }));
  } finally {
    await system.stop();
    next.close();
  }
}

const skip = noDebianPostfix();
const commands = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
let ours: ReadonlyMap<string, Seen> = new Map();
let theirs: ReadonlyMap<string, Seen> = new Map();
before(async () => {
  if (skip) return;
  theirs = await seenBy((main, master) => DebianPostfix.create({ mainCf: main, masterCf: master }), [process.env['POSTFIX_POSTSUPER'] ?? '/usr/sbin/postsuper']);
  ours = await seenBy((main, master) => Instance.create({ mainCf: main, masterCf: master }), [process.execPath, commands, 'postsuper']);
});

for (const name of Object.keys(cases)) {
  test(`the first client: ${name}`, { skip }, () => {
    const isOld = ![...theirs.values()].some(({ records }) => records.some((record) => record.startsWith('A message_id=')));
    const withoutId = (records: readonly string[]): string[] => records.filter((record) => !isOld || !record.startsWith('A message_id='));
    const same = (seen: Seen): Seen => ({ ...seen, records: withoutId(seen.records), again: withoutId(seen.again) });
    assert.deepEqual(same(ours.get(name)!), same(theirs.get(name)!));
  });
}
