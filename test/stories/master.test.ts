/**
 * master(8) at work: processes on demand, process limits, a killed process, reload without a refused client, stop.
 *
 * trivial-rewrite serves as the daemon: it greets each client, and keeps the connection until the client goes.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { eventually, freePort, Instance } from '../instance.ts';
import { accepts } from '../ports.ts';

const greeting = 'protocol\0trivial-rewrite-protocol\0\0';

interface Client {
  readonly socket: net.Socket;
  /** Resolves with the greeting, rejects when the connection is refused or reset before. */
  readonly greeted: Promise<string>;
  close(): Promise<void>;
}

function call(port: number): Client {
  const socket = net.connect(port, '127.0.0.1');
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  const greeted = new Promise<string>((resolve, reject) => {
    let text = '';
    socket.on('error', reject);
    socket.on('end', () => reject(new Error('closed before the greeting')));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.length >= greeting.length) resolve(text);
    });
  });
  greeted.catch(() => undefined);
  return { socket, greeted, close: () => (socket.end(), closed) };
}

async function visit(port: number): Promise<void> {
  const client = call(port);
  assert.equal(await client.greeted, greeting);
  await client.close();
}

/** Has the client been greeted by now? */
async function isGreeted(client: Client): Promise<boolean> {
  return Promise.race([client.greeted.then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))]);
}

test('a service runs when a client comes, and again when its process was killed', async (t) => {
  const port = await freePort();
  const instance = await Instance.create({ masterCf: `127.0.0.1:${port} inet n - n - - trivial-rewrite\n` });
  t.after(() => instance.stop());
  await instance.start();
  assert.equal(instance.children().size, 0, 'nobody runs before there is work');
  await visit(port);
  await visit(port); // by now the process has said that it served the first one
  const [[pid, title]] = [...instance.children()] as [[number, string]];
  assert.equal(title, 'queue');
  process.kill(pid, 'SIGKILL');
  await eventually('master reaps', () => instance.lines(new RegExp(`process .*/queue pid ${pid} killed by signal 9$`)).length === 1);
  await visit(port);
  assert.equal(instance.children().has(pid), false);
  assert.deepEqual(instance.lines(/throttling|panic|fatal/), []);
});

test('a process that dies at its start is throttled, and the other rows of master.cf run', async (t) => {
  const port = await freePort();
  const instance = await Instance.create({
    masterCf: `127.0.0.1:${port} inet n - n - - trivial-rewrite
bad unix - - n - - trivial-rewrite -o default_transport=
broken unix - - n - nonsense cleanup
typo unix - n n - - pipe flag=R user=nobody argv=/bin/true
`,
  });
  t.after(() => instance.stop());
  await instance.start();
  await visit(port);
  await visit(port);
  assert.equal(instance.lines(/master\.cf: line 3: field "max_proc": bad value: "nonsense"/).length, 1);
  assert.equal(instance.lines(/master\.cf: line 4: unknown attribute name: flag=R \(did you mean flags=R\?\)/).length, 1);
  await eventually('throttled', () => instance.lines(/trivial-rewrite: bad command startup -- throttling/).length === 1);
});

test('maxproc is how many clients are served at once; more of them wait', async (t) => {
  const port = await freePort();
  const instance = await Instance.create({ masterCf: `127.0.0.1:${port} inet n - n - 2 trivial-rewrite\n` });
  t.after(() => instance.stop());
  await instance.start();
  const [one, two] = [call(port), call(port)];
  await Promise.all([one.greeted, two.greeted]);
  const three = call(port);
  await eventually('master says so', () => instance.lines(/has reached its process limit "2": new clients may experience noticeable delays/).length === 1);
  assert.equal(await isGreeted(three), false);
  await one.close();
  assert.equal(await three.greeted, greeting);
  await Promise.all([two.close(), three.close()]);
});

test('process_clients = 1: a process per client, up to maxproc', async (t) => {
  const port = await freePort();
  const instance = await Instance.create({ masterCf: `127.0.0.1:${port} inet n - n - 2 trivial-rewrite -o process_clients=1\n` });
  t.after(() => instance.stop());
  await instance.start();
  const [one, two] = [call(port), call(port)];
  await Promise.all([one.greeted, two.greeted]);
  assert.deepEqual([...instance.children().values()], Array(2).fill(`trivial-rewrite -n 127.0.0.1:${port} -t inet -u`));
  const three = call(port);
  await two.close();
  assert.equal(await three.greeted, greeting);
  await Promise.all([one.close(), three.close()]);
  assert.equal(instance.children().size, 2);
});

test('reload under connections: nobody is refused, nobody is cut off, and the new rows hold', async (t) => {
  const [port, other] = [await freePort(), await freePort()];
  const row = `127.0.0.1:${port} inet n - n - - trivial-rewrite\n`;
  const instance = await Instance.create({ masterCf: row });
  t.after(() => instance.stop());
  await instance.start();
  const faithful = call(port);
  await faithful.greeted;
  let visits = 0;
  let done = false;
  const visitors = Array.from({ length: 4 }, async () => {
    for (; !done; visits++) await visit(port);
  });
  for (let round = 1; round <= 5; round++) {
    const before = visits;
    if (round === 3) instance.masterCf(`${row}127.0.0.1:${other} inet n - n - - trivial-rewrite\n`);
    if (round === 4) instance.masterCf(`${row}this is no row\n`);
    if (round === 5) instance.masterCf(row);
    instance.signal('SIGHUP');
    await eventually(`reload ${round}`, () => instance.lines(/: reload -- version/).length >= round && visits > before + 20);
    if (round !== 3) continue;
    await eventually('the new row serves', () => accepts(other));
    await visit(other);
  }
  done = true;
  await Promise.all(visitors);
  await eventually('the removed row refuses', () => call(other).greeted.then(() => false, (error) => error.code === 'ECONNREFUSED'));
  await faithful.close();
  assert.equal(instance.lines(/master\.cf: line 2: .* -- this service is not started/).length, 1);
  assert.deepEqual(instance.lines(/panic|fatal|throttling/), []);
  assert.ok(visits > 100, `${visits} visits`);
});

test('a main.cf that cannot be read changes nothing', async (t) => {
  const port = await freePort();
  const instance = await Instance.create({ masterCf: `127.0.0.1:${port} inet n - n - - trivial-rewrite\n` });
  t.after(() => instance.stop());
  await instance.start();
  instance.mainCf('default_process_limit = many\n');
  instance.signal('SIGHUP');
  await eventually('it is said', () => instance.lines(/bad numerical configuration: default_process_limit = many .* -- keeping the configuration that was loaded before/).length === 1);
  await visit(port);
});

test('stop: master and all its processes end, with clients or without', async (t) => {
  const port = await freePort();
  const instance = await Instance.create({ masterCf: `127.0.0.1:${port} inet n - n - - trivial-rewrite\n` });
  t.after(() => instance.stop());
  await instance.start();
  const client = call(port);
  await client.greeted;
  const [pid] = instance.children().keys();
  assert.equal(await instance.end(), 0);
  assert.throws(() => process.kill(pid!, 0), { code: 'ESRCH' });
  assert.equal(instance.lines(/terminating on signal 15/).length, 1);
});

test('when master is killed its processes end, and the next master serves the same sockets', async (t) => {
  const port = await freePort();
  const instance = await Instance.create({ masterCf: `127.0.0.1:${port} inet n - n - - trivial-rewrite\nrewrite unix - - n - - trivial-rewrite\n` });
  t.after(() => instance.stop());
  await instance.start();
  await visit(port);
  const [pid] = instance.children().keys();
  const second = instance.twin();
  await assert.rejects(second.start(), /open lock file pid\/master\.pid: unable to set exclusive lock: Resource temporarily unavailable/);
  instance.signal('SIGKILL');
  await instance.end();
  await eventually('the process ends', () => isGone(pid!));
  await second.start();
  t.after(() => second.end());
  await visit(port);
});

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
