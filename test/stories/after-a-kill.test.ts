/**
 * The whole mail system is killed while its mail is still in the journal: what was acknowledged is listed, shown, deleted and made
 * files by the commands while nothing runs, and is there when it runs again. After a clean stop there is no journal.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import net from 'node:net';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { openSink } from '../faults/sink.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { submit } from '../submit.ts';
import { masterRows } from '../master-rows.ts';

const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const sender = 'bob@client.example.test';
const perRound = 40;

const rows = (port: number): string => `127.0.0.1:${port} inet n - n - - smtpd
${masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry showq')}
`;

/** Takes connections and never says a word. */
async function openSilence(): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => sockets.add(socket.on('error', () => undefined)));
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

interface Said { readonly status: number | null; readonly out: string }

class Stage {
  readonly instance: Instance;
  readonly taken: string[];
  /** Queue ids of what was acknowledged, by subject. */
  readonly ids = new Map<string, string>();
  readonly #port: number;

  constructor(instance: Instance, port: number, taken: string[]) {
    this.instance = instance;
    this.#port = port;
    this.taken = taken;
  }

  /** Half for each destination, all at once. */
  async accept(round: string): Promise<void> {
    await Promise.all(Array.from({ length: perRound }, async (_, index) => {
      const subject = `${round}-${index}`;
      const recipient = index % 2 === 0 ? 'joe@silent.example.test' : 'joe@slow.example.test';
      this.ids.set(subject, await submit({ port: this.#port, sender, recipients: [recipient], text: `Subject: ${subject}\n\nthis is ${subject}\n` }));
    }));
  }

  run(command: string, ...argv: string[]): Promise<Said> {
    return new Promise((resolve) => {
      let out = '';
      const child = spawn(process.execPath, [runner, command, '-c', `${this.instance.directory}/etc`, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString('latin1'); });
      child.stderr.resume();
      child.on('close', (status) => resolve({ status, out }));
    });
  }

  async listed(): Promise<string[]> {
    const { out } = await this.run('postqueue', '-p');
    return [...out.matchAll(/^([0-9A-F]{6,})[*!]? /gm)].map(([, id]) => id!).sort();
  }

  /** Acknowledged, and not at its destination. */
  missing(): string[] {
    const there = new Set(this.taken.map((text) => /^Subject: (\S+)/m.exec(text)![1]!));
    return [...this.ids].filter(([subject]) => !there.has(subject)).map(([, id]) => id).sort();
  }

  get journal(): string[] {
    const path = `${this.instance.directory}/queue/journal`;
    return existsSync(path) ? readdirSync(path) : [];
  }
}

test('kill -9 of everything within the first second: all that was acknowledged is in the queue, and the commands see it', async (t) => {
  const [port, taken, silence] = [await freePort(), [] as string[], await openSilence()];
  const sink = await openSink((text) => taken.push(text), { wait: 400 });
  const instance = await Instance.create({ compiled: true, masterCf: rows(port), mainCf: `mydestination =
local_recipient_maps =
alias_maps =
relay_domains = silent.example.test, slow.example.test
transport_maps = inline:{{slow.example.test = smtp:[127.0.0.1]:${sink.port}}, {silent.example.test = smtp:[127.0.0.1]:${silence.port}}}
smtpd_client_connection_count_limit = 0
service_throttle_time = 1s
transport_retry_time = 1s
` });
  t.after(async () => {
    if (!t.passed) t.diagnostic(instance.log());
    await instance.killAll();
    silence.close();
    await Promise.all([sink.close(), instance.stop()]);
  });
  const stage = new Stage(instance, port, taken);
  const isThere = async (when: string): Promise<void> => {
    // In this order: what is delivered meanwhile is in the list, and not missing afterwards.
    const listed = await stage.listed();
    const missing = stage.missing();
    assert.deepEqual(missing.filter((id) => !listed.includes(id)), [], `missing from mailq ${when}`);
    assert.deepEqual(listed.filter((id) => ![...stage.ids.values()].includes(id)), [], `strangers in mailq ${when}`);
  };
  /** One that is surely not delivered. */
  const silent = (round: string): string => stage.ids.get(`${round}-0`)!;

  await instance.start();
  await stage.accept('first');
  await instance.killAll();

  await t.test('nothing runs: mailq, postcat and postsuper -d', { skip: process.getuid!() !== 0 && 'only root reads the queue' }, async () => {
    await isThere('before the restart');
    assert.ok(stage.journal.some((name) => /^[0-9A-F]{8}$/.test(name)), 'the mail is in the journal');
    const shown = await stage.run('postcat', '-q', silent('first'));
    assert.equal(shown.status, 0);
    assert.match(shown.out, /^this is first-0$/m);
    assert.equal((await stage.run('postsuper', '-d', silent('first'))).status, 0);
    stage.ids.delete('first-0');
    await isThere('after one was deleted');
  });

  await t.test('it runs again', async () => {
    await instance.start();
    await isThere('after the restart');
  });

  await t.test('killed once more, with new mail and what was recovered', async () => {
    await stage.accept('second');
    await instance.killAll();
    await instance.start();
    await isThere('after the second restart');
  });

  await t.test('postsuper -s while nothing runs leaves files only', { skip: process.getuid!() !== 0 && 'only root may' }, async () => {
    await stage.accept('third');
    await instance.killAll();
    assert.equal((await stage.run('postsuper', '-s')).status, 0);
    assert.deepEqual(stage.journal, []);
    await isThere('after postsuper -s');
    await instance.start();
    await isThere('after the third restart');
  });

  await t.test('what can be delivered is; a clean stop leaves files only', async () => {
    const undelivered = (): string[] => [...stage.ids].filter(([subject]) => Number(subject.split('-')[1]) % 2 === 0).map(([, id]) => id).sort();
    await eventually('the slow destination has all of its mail', () => stage.missing().length === undelivered().length);
    assert.deepEqual(stage.missing(), undelivered());
    await stage.accept('fourth');
    assert.equal(await instance.end(), 0);
    assert.deepEqual(stage.journal, []);
    await isThere('after the stop');
    assert.deepEqual(instance.lines(/panic|fatal/), []);
  });
});
