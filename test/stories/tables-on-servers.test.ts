/**
 * Tables on servers in every place that takes tables: each look-up there has to be waited for, and the mail system answers as with files.
 *
 * Redis holds all of them, because one server is enough for all places. A second tale is about databases that go away and come back.
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test, { type TestContext } from 'node:test';
import { instanceAccounts } from '../../tools/accounts.mjs';
import { ordinaryAccount } from '../accounts.ts';
import { openSink } from '../faults/sink.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { submit } from '../submit.ts';
import { noTableServer, startMariaDb, startRedis, type TableServer } from '../table-servers.ts';
import { masterRows } from '../master-rows.ts';

const rows = (port: number, chroot: string): string => `127.0.0.1:${port} inet n - ${chroot} - - smtpd
${masterRows('pickup cleanup qmgr rewrite bounce defer trace proxymap smtp local virtual error retry discard anvil')}
`;
const text = 'From: a@b.test\nSubject: hello\nMessage-ID: <1@b.test>\nDate: Sat, 21 Nov 2026 12:00:00 +0100\n\nText.\n';

interface House {
  readonly instance: Instance;
  readonly port: number;
  readonly sunk: readonly string[];
  send(sender: string, recipient: string): Promise<string>;
  /** What the server says to a recipient. */
  asks(sender: string, recipient: string): Promise<string>;
  delivered(recipient: string, status: string): Promise<string>;
}

async function open(t: TestContext, mainCf: (directory: string, sinkPort: number) => string, ending: () => Promise<unknown>, chroot = 'n'): Promise<House> {
  const [port, sunk] = [await freePort(), [] as string[]];
  const sink = await openSink((message) => sunk.push(message));
  const instance = await Instance.create({ masterCf: rows(port, chroot) });
  t.after(async () => {
    if (!t.passed) t.diagnostic(instance.log());
    await Promise.all([sink.close(), instance.stop()]);
    await ending();
  });
  instance.mainCf(mainCf(instance.directory, sink.port));
  mkdirSync(`${instance.directory}/mail`);
  const { uid, gid } = instanceAccounts();
  if (process.getuid!() === 0) chownSync(`${instance.directory}/mail`, uid, gid);
  await instance.start();
  return {
    instance, port, sunk,
    send: (sender, recipient) => submit({ port, sender, recipients: [recipient], text }),
    asks: async (sender, recipient) => {
      const client = await SmtpClient.meet(port);
      try {
        const mail = await client.command(`MAIL FROM:<${sender}>`);
        return mail.code >= 400 ? mail.text : (await client.command(`RCPT TO:<${recipient}>`)).text;
      } finally {
        await client.quit();
      }
    },
    delivered: (recipient, status) => eventually(`${recipient} is ${status}`, () => instance.lines(new RegExp(`to=<${recipient.replace('+', '\\+')}>, .*status=${status} `))[0]),
  };
}

/** Every table of main.cf, by the parameter's name. */
function tables(account: string, folder: string, sinkPort: number): Readonly<Record<string, Readonly<Record<string, string>>>> {
  return {
    mydestination: { 'home.test': 'x' },
    mynetworks: { '127.0.0.1': 'x' },
    relay_domains: { 'relay.test': 'x', 'deep.test': 'x' },
    relay_recipient_maps: { 'known@relay.test': 'x', '@x.deep.test': 'x' },
    virtual_alias_domains: { 'alias.test': 'x' },
    virtual_alias_maps: { 'one@alias.test': `${account}@home.test`, 'two@alias.test': 'known@relay.test, box@box.test' },
    virtual_mailbox_domains: { 'box.test': 'x' },
    virtual_mailbox_maps: { 'box@box.test': 'box/' },
    virtual_uid_maps: { 'box@box.test': String(instanceAccounts().uid) },
    virtual_gid_maps: { 'box@box.test': String(instanceAccounts().gid) },
    transport_maps: { 'relay.test': `smtp:[127.0.0.1]:${sinkPort}`, '.deep.test': 'discard:' },
    relocated_maps: { 'moved@home.test': 'new@elsewhere.test' },
    alias_maps: { list: `${account}, known@relay.test`, file: `${folder}/mail/file` },
    local_recipient_maps: { [account]: 'x', list: 'x', moved: 'x', '@none.test': 'x' },
    smtpd_client_event_limit_exceptions: { '127.0.0.1': 'x' },
    client: { '127.0.0.1': 'permit_auth_destination' },
    sender: { 'bad@sender.test': 'REJECT no mail from you', 'sender.test': 'OK' },
    recipient: { 'paid@': '450 4.2.1 pay first' },
    smtp_discard_ehlo_keyword_address_maps: { '127.0.0.1': 'pipelining' },
  };
}

function redisCf(server: TableServer, name: string): string {
  return `hosts = unix:${server.socket}\npassword = secret\nkey_format = ${name}:%s\n`;
}

test('every place that takes tables waits for them', { skip: noTableServer('redis') }, async (t) => {
  const server = await startRedis();
  const account = ordinaryAccount().name;
  const house = await open(t, (directory, sinkPort) => {
    const all = tables(account, directory, sinkPort);
    for (const [name, content] of Object.entries(all)) {
      writeFileSync(`${directory}/etc/${name}.cf`, redisCf(server, name));
      for (const [key, value] of Object.entries(content)) server.redis('SET', `${name}:${key}`, value);
    }
    const settings = Object.keys(all).filter((name) => !['client', 'sender', 'recipient'].includes(name)).map((name) => `${name} = redis:${directory}/etc/${name}.cf\n`);
    return `${settings.join('')}virtual_mailbox_base = ${directory}/mail
mail_spool_directory = ${directory}/mail
virtual_minimum_uid = 1
smtpd_recipient_restrictions = check_sender_access redis:${directory}/etc/sender.cf, check_recipient_access redis:${directory}/etc/recipient.cf,
  check_client_access redis:${directory}/etc/client.cf, reject_unauth_destination
smtpd_relay_restrictions =
`;
  }, () => server.remove());

  for (const [sender, recipient, pattern] of [
    ['a@b.test', `${account}@home.test`, /^250 /],
    ['a@b.test', 'nobody@home.test', /^550 5\.1\.1 .*User unknown in local recipient table/],
    ['a@b.test', 'known@relay.test', /^250 /],
    ['a@b.test', 'nobody@relay.test', /^550 5\.1\.1 .*User unknown in relay recipient table/],
    ['a@b.test', 'anybody@x.deep.test', /^250 /],
    ['a@b.test', 'one@alias.test', /^250 /],
    ['a@b.test', 'nobody@alias.test', /^550 5\.1\.1 .*User unknown in virtual alias table/],
    ['a@b.test', 'box@box.test', /^250 /],
    ['a@b.test', 'nobody@box.test', /^550 5\.1\.1 .*User unknown in virtual mailbox table/],
    ['a@b.test', 'who@elsewhere.test', /^454 4\.7\.1 .*Relay access denied|^554 5\.7\.1 .*Relay access denied/],
    ['a@b.test', 'moved@home.test', /^550 5\.1\.6 .*User has moved to new@elsewhere\.test/],
    ['bad@sender.test', 'known@relay.test', /^554 5\.7\.1 .*no mail from you/],
    ['good@sender.test', 'who@elsewhere.test', /^250 /],
    ['a@b.test', 'paid@relay.test', /^450 4\.2\.1 .*pay first/],
  ] as const) assert.match(await house.asks(sender, recipient), pattern, `${sender} to ${recipient}`);

  await house.send('a@b.test', 'two@alias.test');
  await house.delivered('known@relay.test', 'sent');
  await house.delivered('box@box.test', 'sent');
  assert.ok(existsSync(`${house.instance.directory}/mail/box/new`));
  await house.send('a@b.test', 'anybody@x.deep.test');
  assert.match(await house.delivered('anybody@x.deep.test', 'sent'), /discard.*relay=none/);
  await house.send('a@b.test', 'list@home.test');
  await house.delivered('list@home.test', 'sent');
  await eventually('the list has reached the relay', () => house.sunk.length >= 2);

  // The server goes away: nobody is told that an address does not exist.
  await server.end();
  for (const recipient of [`${account}@home.test`, 'nobody@home.test', 'known@relay.test', 'box@box.test'])
    assert.match(await house.asks('a@b.test', recipient), /^4[0-9][0-9] 4\.3\.[05] /, recipient);
});

test('one database of two goes away, then the other; mail waits, and flows when they are back', { skip: noTableServer('mariadb') }, async (t) => {
  const [one, two] = await Promise.all([startMariaDb(), startMariaDb()]);
  for (const server of [one, two]) server.sql(`CREATE DATABASE mail; USE mail;
CREATE TABLE mxaliases (alias VARCHAR(100), forw_addr VARCHAR(100), status VARCHAR(10));
INSERT INTO mxaliases VALUES ('joe', 'joe@sink.test', 'paid'), ('ann', 'ann@sink.test', 'unpaid');
CREATE USER 'mail'@'%' IDENTIFIED BY 'geheim'; GRANT SELECT ON mail.* TO 'mail'@'%';`);
  const house = await open(t, (directory, sinkPort) => {
    writeFileSync(`${directory}/etc/mxaliases.cf`, `user = mail
password = geheim
dbname = mail
table = mxaliases
select_field = forw_addr
where_field = alias
additional_conditions = and status = 'paid'
hosts = inet:127.0.0.1:${one.port} inet:127.0.0.1:${two.port}
retry_interval = 1
`);
    return `notify_classes =
mydestination = home.test
alias_maps = proxy:mysql:${directory}/etc/mxaliases.cf
local_recipient_maps = $alias_maps
transport_maps = inline:{{sink.test = smtp:[127.0.0.1]:${sinkPort}}}
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
`;
  }, () => Promise.all([one.remove(), two.remove()]));

  assert.match(await house.asks('a@b.test', 'ann@home.test'), /^550 5\.1\.1 /, 'who has not paid');
  await house.send('a@b.test', 'joe@home.test');
  await eventually('the first message has arrived', () => house.sunk.length === 1);

  await one.end();
  for (let count = 2; count <= 4; count++) {
    await house.send('a@b.test', 'joe@home.test');
    await eventually('look-ups go on with one database', () => house.sunk.length === count);
  }

  // Accepted while the tables answer, and not delivered while they do not.
  await two.end();
  await eventually('a recipient cannot be looked up', async () => /^451 4\.3\.0 .*Temporary lookup failure/.test(await house.asks('a@b.test', 'joe@home.test')));
  house.instance.mainCf('local_recipient_maps =\n');
  house.instance.signal('SIGHUP');
  await eventually('recipients are not asked for', async () => /^250 /.test(await house.asks('a@b.test', 'joe@home.test')));
  await house.send('a@b.test', 'joe@home.test');
  await house.delivered('joe@home.test', 'deferred');
  assert.equal(house.sunk.length, 4);

  const children = [...house.instance.children().keys()];
  await Promise.all([one.start(), two.start()]);
  await eventually('the mail that waited has arrived', () => house.sunk.length === 5);
  assert.ok(children.filter((pid) => house.instance.children().has(pid)).length > 0, 'no restart was needed');
  assert.doesNotMatch(readFileSync(`${house.instance.directory}/maillog`, 'latin1'), /status=bounced/);
});

test('a server in a jail asks proxymap for what lies outside', { skip: process.getuid!() === 0 ? false : 'only root can make a jail' }, async (t) => {
  const outside = mkdtempSync(`${tmpdir()}/outside-`);
  chmodSync(outside, 0o755);
  writeFileSync(`${outside}/access`, 'bad@jail.test REJECT outside\n');
  writeFileSync(`${outside}/users`, 'joe@jail.test x\n');
  const house = await open(t, () => `relay_domains = jail.test
relay_recipient_maps = proxy:texthash:${outside}/users
smtpd_recipient_restrictions = check_sender_access proxy:texthash:${outside}/access, reject_unauth_destination
`, async () => rmSync(outside, { recursive: true }), 'y');
  assert.match(await house.asks('a@b.test', 'joe@jail.test'), /^250 /);
  assert.match(await house.asks('a@b.test', 'nobody@jail.test'), /^550 5\.1\.1 .*User unknown in relay recipient table/);
  assert.match(await house.asks('bad@jail.test', 'joe@jail.test'), /^554 5\.7\.1 .*outside/);
  // Written beside and renamed, as one should; seen without a restart.
  writeFileSync(`${outside}/users.new`, 'joe@jail.test x\nann@jail.test x\n');
  renameSync(`${outside}/users.new`, `${outside}/users`);
  await eventually('the new recipient is known', async () => /^250 /.test(await house.asks('a@b.test', 'ann@jail.test')));
});
