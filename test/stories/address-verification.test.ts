/**
 * A gateway that asks the next hop whether a recipient exists before it takes mail for it. Told with our gateway, and where Debian's Postfix
 * is installed a second time with that one: clients hear the same, and each reads the cache that the other wrote.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { LmdbReader } from '../../src/host/lmdb-reader.ts';
import { remoteCalls } from '../../src/ipc/connection.ts';
import { verifyService } from '../../src/ipc/verify.ts';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, indexedType, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

const rows = (door: string): string => `${door} inet n - n - - smtpd
${masterRows('pickup cleanup qmgr rewrite bounce defer trace verify smtp relay error retry virtual anvil')}
`;

const plainly = `
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
inet_protocols = ipv4
smtpd_peername_lookup = no
mynetworks = 192.0.2.0/24
`;

const gatewaySettings = (nextPort: number): string => `${plainly}
myhostname = host.gateway.test
relay_domains = next.test, down.test
transport_maps = inline:{{next.test = discard:mail does not go where probes go}}
address_verify_transport_maps = inline:{{next.test = smtp:[127.0.0.1]:${nextPort}} {down.test = smtp:[127.0.0.1]:1}}
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_unverified_recipient
unverified_recipient_reject_code = 550
address_verify_poll_count = 6
address_verify_poll_delay = 1s
address_verify_negative_refresh_time = 1h
address_verify_map = ${indexedType}:$data_directory/verify_cache
virtual_alias_domains = lists.test
virtual_alias_maps = inline:{{team@lists.test = joe@next.test,nobody@next.test}}
`;

const nextHopSettings = `${plainly}
myhostname = mx.next.test
virtual_alias_domains = next.test
virtual_alias_maps = inline:{joe@next.test=joe@host.test}
smtpd_recipient_restrictions = check_recipient_access inline:{{busy@next.test = 450 4.2.1 not now}}
`;

type Kind = 'ours' | "Debian's";

class Scene {
  readonly gateway: Instance | DebianPostfix;
  readonly nextHop: Instance;
  readonly #port: number;

  private constructor(gateway: Instance | DebianPostfix, nextHop: Instance, port: number) {
    this.gateway = gateway;
    this.nextHop = nextHop;
    this.#port = port;
  }

  static async open(t: TestContext, kind: Kind): Promise<Scene> {
    const [port, nextPort] = [await freePort(), await freePort()];
    const House = kind === 'ours' ? Instance : DebianPostfix;
    const gateway = await House.create({ masterCf: rows(`127.0.0.1:${port}`), mainCf: gatewaySettings(nextPort) });
    const nextHop = await Instance.create({ masterCf: rows(`127.0.0.1:${nextPort}`), mainCf: nextHopSettings });
    t.after(async () => {
      if (!t.passed) t.diagnostic(gateway.log());
      await Promise.all([gateway.stop(), nextHop.stop()]);
    });
    await Promise.all([gateway.start(), nextHop.start()]);
    return new Scene(gateway, nextHop, port);
  }

  /** What the gateway says to RCPT. */
  async recipient(address: string): Promise<string> {
    const client = await SmtpClient.meet(this.#port);
    try {
      await client.command('MAIL FROM:<ann@home.test>');
      return (await client.command(`RCPT TO:<${address}>`)).text.replace(/\]:[0-9]+\b/g, ']:PORT');
    } finally {
      await client.quit();
    }
  }

  /** Stopped and started, the cache is what is left. */
  async restart(): Promise<void> {
    await this.gateway.end();
    await this.gateway.start();
  }

  get cache(): string {
    return `${this.gateway.directory}/data/verify_cache.lmdb`;
  }

  /** How many probes the gateway has sent for an address. */
  probes(address: string): number {
    return this.gateway.lines(new RegExp(`to=<${address}>.* status=(un)?deliverable`)).length;
  }
}

const known = '250 2.1.5 Ok';
const nobody = '550 5.1.1 <nobody@next.test>: Recipient address rejected: undeliverable address: host 127.0.0.1[127.0.0.1] said: '
  + '550 5.1.1 <nobody@next.test>: Recipient address rejected: User unknown in virtual alias table (in reply to RCPT TO command)';

async function tell(scene: Scene, t: TestContext): Promise<string[]> {
  const heard: string[] = [];
  const hears = async (address: string): Promise<string> => {
    heard.push(await scene.recipient(address));
    return heard.at(-1)!;
  };
  await t.test('one whom the next hop knows is accepted', async () => assert.equal(await hears('joe@next.test'), known));
  await t.test('one whom it does not know is refused, in its words', async () => assert.equal(await hears('nobody@next.test'), nobody));
  await t.test('one whom it does not take now is put off', async () => assert.match(await hears('busy@next.test'), /^450 4\.1\.1 <busy@next\.test>: Recipient address rejected: unverified address: host 127\.0\.0\.1\[127\.0\.0\.1\] said: 450 4\.2\.1 /));
  await t.test('a host that is down puts off, too', async () => assert.equal(await hears('joe@down.test'),
    '450 4.1.1 <joe@down.test>: Recipient address rejected: unverified address: connect to 127.0.0.1[127.0.0.1]:PORT: Connection refused'));
  await t.test('a list is one address', async () => assert.equal(await hears('team@lists.test'), known));
  await t.test('the sender of our probes is accepted without a question', async () => assert.equal(await hears('double-bounce@host.gateway.test'), known));
  await t.test('nothing of it is left in the queue, and nothing was delivered', async () => {
    await eventually('all probes are removed', () => scene.gateway.lines(/: removed$/).length >= 5);
    assert.deepEqual(scene.nextHop.lines(/: from=</), []);
  });
  return heard;
}

/** With the next hop gone, only the cache can know. */
async function remembers(scene: Scene): Promise<void> {
  assert.deepEqual([await scene.recipient('joe@next.test'), await scene.recipient('nobody@next.test'), await scene.recipient('team@lists.test')], [known, nobody, known]);
}

/** What became of probes, without what differs from run to run, and from release to release. */
function outcomes(scene: Scene): string[] {
  return scene.gateway.lines(/ status=(un)?deliverable/).map((line) => line
    .replace(/^.*?: [0-9A-Za-z]+: /, '').replace(/\b(delays?)=[0-9./]+/g, '$1=').replace(/\]:[0-9]+\b/g, ']:PORT').replace(/ (?:tls|conn_use)=[^,]+,/g, '')).sort();
}

/** What verify(8) itself says, by its own protocol. */
async function spoken({ gateway }: Scene): Promise<object[]> {
  const verify = remoteCalls(verifyService, `${gateway.directory}/queue/private/verify`, { timeout: 10_000, idle: 1000, retries: 0 });
  const said: object[] = [];
  for (const address of ['joe@next.test', 'nobody@next.test', 'new@down.test']) said.push(await verify.query({ address }));
  for (const [recipient_status, reason] of [[7, 'no such status'], [0, 'fine\u0001'], [2, 'gone']] as const) {
    // Postfix has no minus on the wire.
    said.push({ status: (await verify.update({ address: 'told@next.test', recipient_status, reason })).status | 0 });
    said.push(await verify.query({ address: 'told@next.test' }));
  }
  return said;
}

test('recipients are verified at the next hop', async (t) => {
  const ours = await Scene.open(t, 'ours');
  const heard = await tell(ours, t);
  await ours.nextHop.end();
  await t.test('the cache is asked, not the next hop', () => remembers(ours));
  await t.test('it outlives the mail system', async () => {
    await ours.restart();
    await remembers(ours);
    assert.deepEqual(['joe@next.test', 'nobody@next.test'].map((address) => ours.probes(address)), [1, 1]);
  });
  await t.test('entries are written as Postfix does it', { skip: indexedType !== 'lmdb' && 'liblmdb is missing' }, () => {
    const reader = new LmdbReader(ours.cache);
    const [joe, none] = [reader.get('joe@next.test'), reader.get('nobody@next.test')];
    reader.close();
    assert.match(joe!, /^0:0:[0-9]{10}:250 2\.1\.5 Ok$/);
    assert.match(none!, /^2:0:[0-9]{10}:host 127\.0\.0\.1\[127\.0\.0\.1\] said: 550 5\.1\.1 /);
  });

  await t.test("Debian's Postfix in our place: the same replies and outcomes, and each goes on with the other's cache", { skip: noDebianPostfix() || (indexedType !== 'lmdb' && 'liblmdb is missing') }, async (t) => {
    const other = await Scene.open(t, "Debian's");
    assert.deepEqual(await tell(other, t), heard);
    assert.deepEqual(outcomes(ours), outcomes(other));
    assert.deepEqual(await spoken(ours), await spoken(other));
    await Promise.all([ours.gateway.end(), other.gateway.end(), other.nextHop.end()]);
    const [first, second] = [readFileSync(ours.cache), readFileSync(other.cache)];
    writeFileSync(ours.cache, second);
    writeFileSync(other.cache, first);
    await Promise.all([ours.gateway.start(), other.gateway.start()]);
    await Promise.all([remembers(ours), remembers(other)]);
    assert.equal(ours.probes('joe@next.test'), 1);
    assert.equal(other.probes('joe@next.test'), 1);
  });
});
