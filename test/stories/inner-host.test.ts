/**
 * A gateway before an inner host (a groupware server, say) that knows who has a mailbox there: whoever has none is refused at RCPT, so no mail for
 * nobody waits or comes back; what is for somebody is taken and queued while the inner host is down, and delivered once when it is up. Told with
 * our mail system and with Debian's Postfix, whose logs look the same.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { before, after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { openSink, type Sink } from '../faults/sink.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, indexedType, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { submit } from '../submit.ts';

const commands = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
type Side = 'ours' | "Debian's";

const rows = (port: number): string => `127.0.0.1:${port} inet n - n - - smtpd
${masterRows('pickup cleanup qmgr rewrite bounce defer trace smtp error retry anvil showq')}
`;

const settings = (table: string, directory: string): string => `myhostname = gateway.test
inet_interfaces = loopback-only
inet_protocols = ipv4
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
mynetworks = 192.0.2.0/24
smtpd_peername_lookup = no
relay_domains = inner.test
relay_recipient_maps = ${table}:${directory}/etc/recipients
transport_maps = ${table}:${directory}/etc/transport
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
recipient_delimiter = +
smtp_dns_support_level = disabled
smtp_tls_security_level = none
smtp_connection_cache_on_demand = no
`;

const known = 'joe@inner.test x\nsue@inner.test x\n';
const text = (mark: string): string => `From: stranger@else.test\nTo: somebody@inner.test\nSubject: ${mark}\n\n${mark}\n`;

class Gateway {
  readonly house: Instance | DebianPostfix;
  readonly port: number;
  readonly innerPort: number;
  readonly taken: string[] = [];
  readonly #side: Side;
  readonly #type: string;
  #inner: Sink | undefined;

  private constructor(side: Side, house: Instance | DebianPostfix, port: number, innerPort: number, type: string) {
    [this.#side, this.house, this.port, this.innerPort, this.#type] = [side, house, port, innerPort, type];
  }

  static async open(side: Side): Promise<Gateway> {
    const [port, innerPort] = [await freePort(), await freePort()];
    const house = side === 'ours' ? await Instance.create({ masterCf: rows(port) }) : await DebianPostfix.create({ masterCf: rows(port) });
    const gateway = new Gateway(side, house, port, innerPort, side === 'ours' ? indexedType : 'hash');
    writeFileSync(`${house.directory}/etc/main.cf`, settings(gateway.#type, house.directory), { flag: 'a' });
    gateway.table('recipients', known);
    gateway.table('transport', `inner.test smtp:[127.0.0.1]:${innerPort}\n`);
    await gateway.innerUp();
    await house.start();
    return gateway;
  }

  async close(): Promise<void> {
    await this.house.stop();
    await this.innerDown();
  }

  async innerUp(): Promise<void> {
    this.#inner = await openSink((message) => this.taken.push(message.slice(message.lastIndexOf('\n') + 1)), { port: this.innerPort });
  }

  async innerDown(): Promise<void> {
    await this.#inner?.close();
    this.#inner = undefined;
  }

  table(name: string, lines: string): void {
    const file = `${this.house.directory}/etc/${name}`;
    writeFileSync(file, lines);
    assert.equal(this.run('postmap', `${this.#type}:${file}`).status, 0);
  }

  run(name: string, ...words: string[]): { status: number | null; stdout: string } {
    const [command, all] = this.#side === 'ours' ? [process.execPath, [commands, name, ...words]] : [`/usr/sbin/${name}`, words];
    return spawnSync(command, all, { encoding: 'latin1', env: { ...process.env, MAIL_CONFIG: `${this.house.directory}/etc` } });
  }

  send(recipients: readonly string[], mark: string): Promise<string> {
    return submit({ port: this.port, sender: 'stranger@else.test', recipients, text: text(mark) });
  }

  /** What is said to RCPT, one after another in one session. */
  async asked(...recipients: string[]): Promise<string[]> {
    const client = await SmtpClient.meet(this.port);
    assert.equal((await client.command('MAIL FROM:<stranger@else.test>')).code, 250);
    const replies: string[] = [];
    for (const recipient of recipients) replies.push((await client.command(`RCPT TO:<${recipient}>`)).text);
    await client.quit();
    return replies;
  }

  /** Everything in any queue but what is under way. */
  waiting(): string[] {
    return readdirSync(`${this.house.directory}/queue/deferred`, { recursive: true }).map(String).filter((name) => name.includes('/'));
  }

  spool(): number {
    return Number(/in ([0-9]+) Requests?/.exec(this.run('postqueue', '-p').stdout)?.[1] ?? 0);
  }
}

const unknown = (address: string): string => `550 5.1.1 <${address}>: Recipient address rejected: User unknown in relay recipient table`;
const count = 20;

/** What happens, the same with both; what each shows is compared. */
const tales: Readonly<Record<string, (gateway: Gateway) => Promise<unknown>>> = {
  'who has a mailbox inside gets mail, others are refused at RCPT, and nothing is relayed elsewhere': async (gateway) => {
    const replies = await gateway.asked('joe@inner.test', 'nobody@inner.test', 'JOE@Inner.Test', 'joe+list@inner.test', 'x@inner.test', 'joe@sub.inner.test', 'joe@else.test', 'joe%else.test@inner.test', '@inner.test:joe@else.test', 'sue@inner.test', 'postmaster@inner.test');
    assert.deepEqual(replies.filter((reply) => reply.startsWith('250')), Array.from({ length: 4 }, () => '250 2.1.5 Ok'));
    assert.equal(replies[1], unknown('nobody@inner.test'));
    assert.match(replies[6]!, /^554 5\.7\.1 <joe@else\.test>: Relay access denied$/);
    await assert.rejects(gateway.send(['nobody@inner.test'], 'for nobody'), /550 5\.1\.1/);
    await gateway.send(['joe@inner.test', 'sue@inner.test'], 'for two');
    await eventually('the inner host has it', () => gateway.taken.includes('for two'));
    return replies;
  },
  'while the inner host is down: known mail is taken and waits, nobody is still nobody, and no report is sent': async (gateway) => {
    await gateway.innerDown();
    const ids = await Promise.all(Array.from({ length: count }, (_, number) => gateway.send([number % 2 === 0 ? 'joe@inner.test' : 'sue@inner.test'], `waits ${number}`)));
    assert.equal(new Set(ids).size, count);
    const replies = await gateway.asked('nobody@inner.test', 'joe@inner.test', 'x@inner.test');
    assert.deepEqual(replies, [unknown('nobody@inner.test'), '250 2.1.5 Ok', unknown('x@inner.test')]);
    await eventually('all wait', () => gateway.waiting().length === count);
    const listed = gateway.run('postqueue', '-p').stdout;
    assert.match(listed, /\(connect to 127\.0\.0\.1\[127\.0\.0\.1\]:[0-9]+: Connection refused\)|\(delivery temporarily suspended: /);
    assert.equal(gateway.spool(), count);
    assert.deepEqual(gateway.house.lines(/status=bounced|non-delivery|from=<>, size/), []);
    return replies;
  },
  'a new mailbox is known as soon as its line is in the table, also while the inner host is down': async (gateway) => {
    assert.deepEqual(await gateway.asked('new@inner.test'), [unknown('new@inner.test')]);
    gateway.table('recipients', `${known}new@inner.test x\n`);
    // Debian's has several processes, each of which sees it when it is done with a client.
    await eventually('the new line is seen', () => gateway.send(['new@inner.test'], 'for the new one').then(() => true, () => false));
    await eventually('all wait', () => gateway.waiting().length === count + 1);
    return undefined;
  },
  'the inner host is up: everything that waited arrives, each message once': async (gateway) => {
    await gateway.innerUp();
    gateway.run('postqueue', '-f');
    await eventually('the queue is empty', () => gateway.spool() === 0);
    assert.deepEqual(gateway.taken.filter((mark) => mark.startsWith('waits ')).sort(), Array.from({ length: count }, (_, number) => `waits ${number}`).sort());
    assert.deepEqual(gateway.taken.filter((mark) => mark === 'for the new one'), ['for the new one']);
    assert.deepEqual(gateway.taken.filter((mark) => mark === 'for nobody'), []);
    assert.deepEqual(gateway.house.lines(/status=bounced|non-delivery/), []);
    return gateway.taken.toSorted();
  },
  'the table cannot be read: nobody is refused for good': async (gateway) => {
    for (const name of readdirSync(`${gateway.house.directory}/etc`)) if (name.startsWith('recipients.')) rmSync(`${gateway.house.directory}/etc/${name}`);
    gateway.run('postfix', 'reload');
    const refused = await eventually('the table is missed', async () => {
      const replies = await gateway.asked('joe@inner.test', 'nobody@inner.test');
      return replies.every((each) => each.startsWith('4')) ? replies : undefined;
    });
    // Debian's log is written by another process than the one that replied.
    await eventually('that is in the log', () => ['joe', 'nobody'].every((name) => gateway.house.lines(new RegExp(`451 4\\.3\\.0 <${name}@`)).length > 0));
    return refused;
  },
};

/** What is the same each time in a line about a refusal or a delivery. */
const plain = (line: string): string => line.replace(/^.*?postfix\/(\w+)\[\d+\]: /, '$1: ').replace(/\b[0-9A-F]{6,}: /, 'ID: ').replace(/ delay=.*?, dsn=/, ' dsn=').replace(/:[0-9]{5}/g, ':PORT').replace(/ (?:tls=\S+,|conn_use=\S+,)/g, '');

const seen = new Map<Side, { readonly shown: unknown[]; readonly log: string[] }>();
for (const side of ['ours', "Debian's"] as const) describe(side, { skip: side === 'ours' ? false : noDebianPostfix() }, () => {
  let gateway: Gateway;
  const shown: unknown[] = [];
  before(async () => { gateway = await Gateway.open(side); });
  after(async () => {
    // Which of many messages is tried before the host counts as dead is a matter of time.
    const log = gateway.house.lines(/NOQUEUE: reject|status=sent/).map(plain);
    seen.set(side, { shown, log: [...new Set(log)].sort() });
    await gateway.close();
  });
  for (const [title, tell] of Object.entries(tales)) test(title, async () => { shown.push(await tell(gateway)); });
});

test('both said the same, and logged the same refusals', { skip: noDebianPostfix() }, () => {
  assert.deepEqual(seen.get('ours'), seen.get("Debian's"));
});
