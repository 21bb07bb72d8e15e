/** Milters and what can happen around them: processes that die, clients that leave, filters that come back. Filters are the test's own. */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { Filter, type Script } from '../../src/network/milter-testing.ts';
import { edit } from '../../src/protocol/milter/testing.ts';
import { eventually, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';
import { freePort } from '../ports.ts';

interface Scene { readonly instance: Instance; readonly filter: Filter; readonly port: number }

async function scene(t: TestContext, script: Script, services = 'cleanup rewrite anvil', mainCf = ''): Promise<Scene> {
  const filter = new Filter();
  await filter.start();
  filter.begin(script);
  const port = await freePort();
  const instance = await Instance.create({
    mainCf: `mydestination =\nrelay_domains = b.test\ndefault_transport = discard:gone\nrelay_transport = discard:gone\nsmtpd_recipient_restrictions = reject_unauth_destination\nsmtpd_peername_lookup = no\nsmtpd_milters = inet:127.0.0.1:${filter.port}\nmilter_default_action = accept\n${mainCf}`,
    masterCf: `${masterRows(services)}\n127.0.0.1:${port} inet n - n - - smtpd\n`,
  });
  t.after(async () => {
    await instance.stop();
    await filter.stop();
  });
  await instance.start();
  return { instance, filter, port };
}

class Client {
  readonly socket: Socket;
  #said = '';
  #isOver = false;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port });
    this.socket.on('data', (chunk: Buffer) => { this.#said += chunk.toString('latin1'); });
    this.socket.on('error', () => undefined).on('close', () => { this.#isOver = true; });
  }

  async reply(): Promise<string> {
    return eventually('a reply', () => {
      const found = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/.exec(this.#said);
      if (found !== null) this.#said = this.#said.slice(found[0].length);
      return found?.[0].trimEnd() ?? (this.#isOver ? '<gone>' : undefined);
    });
  }

  async say(...lines: string[]): Promise<string> {
    let reply = '';
    for (const line of lines) {
      this.socket.write(`${line}\r\n`, 'latin1');
      reply = await this.reply();
    }
    return reply;
  }

  static async meet(port: number): Promise<Client> {
    const client = new Client(port);
    assert.match(await client.reply(), /^220 /);
    await client.say('EHLO client.test');
    return client;
  }

  /** Up to the point where the content may come. */
  async begin(): Promise<void> {
    assert.match(await this.say('MAIL FROM:<ann@a.test>', 'RCPT TO:<joe@b.test>', 'DATA'), /^354 /);
  }
}

/** Messages that were kept: what a dead process has left unfinished is none. */
const waiting = (instance: Instance): string[] => readdirSync(`${instance.directory}/queue/incoming`).filter((name) => (statSync(`${instance.directory}/queue/incoming/${name}`).mode & 0o100) !== 0);
const message = 'From: ann@a.test\r\nSubject: x\r\n\r\nbody\r\n.';

test('what a filter has changed is what is delivered', async (t) => {
  const script: Script = { answers: { E: [[edit.recipient('<more@b.test>'), edit.withoutRecipient('<joe@b.test>'), edit.sender('<new@a.test>'), ['c']]] } };
  const { instance, port } = await scene(t, script, 'cleanup rewrite anvil qmgr bounce defer trace discard');
  const client = await Client.meet(port);
  await client.begin();
  assert.match(await client.say(message), /^250 2\.0\.0 Ok: queued as/);
  await eventually('delivery', () => instance.lines(/to=<more@b\.test>.*status=sent/).length > 0);
  await eventually('the end of it', () => instance.lines(/qmgr.*removed/).length > 0);
  assert.equal(instance.lines(/qmgr.*from=<new@a\.test>/).length, 1);
  assert.equal(instance.lines(/to=<joe@b\.test>/).length, 0);
  client.socket.destroy();
});

test('a message that loses its only recipient is accepted, and goes nowhere', async (t) => {
  const { instance, port } = await scene(t, { answers: { E: [[edit.withoutRecipient('<joe@b.test>'), ['c']]] } }, 'cleanup rewrite anvil qmgr bounce defer trace discard');
  const client = await Client.meet(port);
  await client.begin();
  assert.match(await client.say(message), /^250 2\.0\.0 Ok: queued as/, instance.log().slice(-2500));
  await eventually('the end of it', () => instance.lines(/qmgr.*removed/).length > 0);
  assert.equal(instance.lines(/status=/).length, 0);
  client.socket.destroy();
});

test('a client that breaks off while a filter thinks leaves nothing behind', async (t) => {
  const { instance, filter, port } = await scene(t, { answers: { E: ['silence'] } });
  const client = await Client.meet(port);
  await client.begin();
  client.socket.write(`${message}\r\n`);
  await eventually('the filter thinks', () => filter.heard.includes('E'));
  client.socket.resetAndDestroy();
  await eventually('the session is over', () => instance.lines(/disconnect from/).length > 0);
  await eventually('nothing is kept', () => waiting(instance).length === 0);
});

test('cleanup dies while a filter thinks: the client hears of trouble, and comes again', async (t) => {
  const { instance, filter, port } = await scene(t, { answers: { E: ['silence', [['c']]] } }, undefined, 'notify_classes =\n');
  const client = await Client.meet(port);
  await client.begin();
  client.socket.write(`${message}\r\n`);
  await eventually('the filter thinks', () => filter.heard.includes('E'));
  for (const [pid, title] of instance.children()) if (title === 'queue') process.kill(pid, 'SIGKILL');
  assert.match(await client.reply(), /^451 4\.3\.0 /);
  assert.match(await client.say('MAIL FROM:<ann@a.test>'), /^421 4\.3\.0 Mail system error/);
  const again = await Client.meet(port);
  await again.begin();
  assert.match(await again.say(message), /^250 2\.0\.0 Ok: queued as/);
  await eventually('one message is kept', () => waiting(instance).length === 1);
  again.socket.destroy();
});

test('a filter that dies in the middle of a new body never costs the old one its place: the message is refused for now', async (t) => {
  const { instance, port } = await scene(t, { answers: { E: [{ bytes: Buffer.from('\0\0\0\x05bhal', 'latin1') }], A: ['close'] } }, undefined, 'milter_content_timeout = 1s\n');
  const client = await Client.meet(port);
  await client.begin();
  assert.match(await client.say(message), /^421 4\.7\.0 Service unavailable/);
  await eventually('nothing is kept', () => waiting(instance).length === 0);
  client.socket.destroy();
});

test('two messages of one session, and the connection to cleanup is kept', async (t) => {
  const { instance, port } = await scene(t, { answers: { E: [[edit.add('X-A', '1'), ['c']]] } });
  const client = await Client.meet(port);
  for (let count = 0; count < 3; count++) {
    await client.begin();
    assert.match(await client.say(message), /^250 2\.0\.0 Ok: queued as/);
  }
  assert.match(await client.say('QUIT'), /^221 /);
  assert.equal(waiting(instance).length, 3);
});
