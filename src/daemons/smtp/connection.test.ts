/** Several messages on one connection: what follows what, and which of them are given back when the server breaks off. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { ears } from '../../delivery/testing.ts';
import { HandTicker } from '../../network/testing.ts';
import { options, transaction } from '../../protocol/smtp-client/testing.ts';
import type { Failure } from '../../protocol/smtp-client/steps.ts';
import { Connection, type Ending, type Sink } from './connection.ts';
import { FakeServer, type Script } from './fake-server.ts';

interface Sent { readonly ending: Promise<Ending>; readonly heard: string[] }

class Stage {
  readonly ticker = new HandTicker();
  readonly fake: FakeServer;
  readonly connection: Connection;

  constructor(fake: FakeServer, socket: net.Socket) {
    this.fake = fake;
    this.connection = new Connection(socket, options(), this.ticker, ears().log);
  }

  /** Hand over a message; what its sink hears. */
  send(name: string, change: Parameters<typeof transaction>[1] = {}): Sent {
    const heard: string[] = [];
    const sink: Sink = {
      begun: (reuse) => void heard.push(`begun ${reuse}`),
      delivered: (_numbers, status) => void heard.push(`delivered ${status}`),
      failed: (_numbers, { status }: Failure) => void heard.push(`failed ${status}`),
    };
    const content = { whole: () => Buffer.from(`${name}\r\n`), pieces: () => { throw new Error('not asked for'); } };
    const ending = this.connection.exchange(transaction([`${name}@example.org`], { keep: true, ...change }), content, sink, ears().log);
    return { ending, heard };
  }

  /** Until the server has heard this command, or the dot of the message. */
  async until(what: string): Promise<void> {
    while (!this.fake.commands.includes(what) && !this.fake.messages.includes(`${what}\r\n`)) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function stage(t: TestContext, script: Script): Promise<Stage> {
  const fake = await FakeServer.listen(script);
  const socket = net.connect({ port: fake.port, host: '127.0.0.1', allowHalfOpen: true });
  t.after(async () => {
    socket.destroy();
    await fake.close();
  });
  const made = new Stage(fake, socket);
  assert.equal(await made.connection.handshake(), undefined);
  return made;
}

const ok = '250 2.0.0 ok';

test('messages handed over together go over one connection, in order, and count its uses', async (t) => {
  const it = await stage(t, { dots: [ok] });
  const sent = ['one', 'two', 'three'].map((name) => it.send(name));
  assert.deepEqual(await Promise.all(sent.map(({ ending }) => ending)), ['orderly', 'orderly', 'orderly']);
  assert.deepEqual(sent.map(({ heard }) => heard.join(', ')), [0, 1, 2].map((reuse) => `begun ${reuse}, delivered 2.0.0`));
  assert.deepEqual(it.fake.messages, ['one\r\n', 'two\r\n', 'three\r\n']);
  assert.ok(!it.fake.commands.includes('RSET'));
  assert.ok(it.connection.usable);
});

test('a connection that was at rest is asked first whether it still is one', async (t) => {
  const it = await stage(t, { dots: [ok] });
  for (const name of ['one', 'two']) assert.equal(await it.send(name).ending, 'orderly');
  assert.deepEqual(it.fake.commands.slice(4, 6), ['RSET', 'MAIL FROM:<s@example.com> SIZE=10 BODY=7BIT']);
});

for (const [name, dots, endings, heard] of [
  ['refused for now', [ok, '451 4.3.0 later', ok], ['orderly', 'orderly', 'orderly'], ['delivered 2.0.0', 'failed 4.3.0', 'delivered 2.0.0']],
  ['refused for good', ['550 5.7.1 no', ok], ['orderly', 'orderly', 'orderly'], ['failed 5.7.1', 'delivered 2.0.0', 'delivered 2.0.0']],
  ['closed at the first dot', ['CLOSE'], ['broken', 'stale', 'stale'], ['failed 4.4.2', undefined, undefined]],
  ['closed at the second dot', [ok, 'CLOSE'], ['orderly', 'broken', 'stale'], ['delivered 2.0.0', 'failed 4.4.2', undefined]],
] as const) test(`three messages: ${name}`, async (t) => {
  const it = await stage(t, { dots });
  const sent = ['one', 'two', 'three'].map((each) => it.send(each));
  assert.deepEqual(await Promise.all(sent.map(({ ending }) => ending)), endings);
  assert.deepEqual(sent.map((each) => each.heard[1]), heard);
});

for (const [name, replies] of [
  ['MAIL', { 'MAIL FROM:<two': 'CLOSE' }], ['MAIL, with 421', { 'MAIL FROM:<two': '421 4.7.0 enough' }],
  ['RCPT', { 'RCPT TO:<two': 'CLOSE' }],
] as const) test(`a server that breaks off at the ${name} of what follows: nothing of that is lost`, async (t) => {
  const it = await stage(t, { replies, dots: [ok] });
  const sent = ['one', 'two', 'three'].map((each) => it.send(each, { sender: `${each}@example.com` }));
  assert.deepEqual(await Promise.all(sent.map(({ ending }) => ending)), ['orderly', 'stale', 'stale']);
  assert.deepEqual(sent[0]!.heard, ['begun 0', 'delivered 2.0.0']);
  assert.deepEqual(it.fake.messages, ['one\r\n']);
  assert.ok(!it.connection.usable && it.connection.room <= 0);
});

test('a connection that is not kept gives back what waits for it', async (t) => {
  const it = await stage(t, { dots: [ok] });
  const [first, second] = [it.send('one', { keep: false }), it.send('two')];
  assert.deepEqual([await first.ending, await second.ending], ['orderly', 'stale']);
  assert.deepEqual(second.heard, []);
});

test('what waits for a server that has become slow is given back; what was said already is waited for', async (t) => {
  const it = await stage(t, { dots: [''] });
  const [, second, third] = [it.send('one'), it.send('two'), it.send('three')];
  await it.until('RCPT TO:<two@example.org>');
  it.ticker.pass(99);
  const states: string[] = [];
  for (const [name, { ending }] of [['two', second], ['three', third]] as const) void ending.then((text) => states.push(`${name} ${text}`));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(states, []);
  // The second was what waited when the watch began: the third has a watch of its own.
  it.ticker.pass(1);
  it.ticker.pass(100);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(states, ['three stale']);
});

test('there is room behind the messages of a quick server, none behind those of a slow one', async (t) => {
  const it = await stage(t, { dots: [''] });
  assert.equal(it.connection.room, 0);
  for (const [think, room] of [[0, 3], [3, 1], [20, -1]] as const) {
    const name = `after${think}`;
    const first = it.send(name);
    await it.until(name);
    it.ticker.pass(think);
    it.fake.tell(ok);
    await first.ending;
    const second = it.send(`${name}again`);
    assert.equal(it.connection.room, room);
    await it.until(`${name}again`);
    it.fake.tell(ok);
    await second.ending;
  }
});
