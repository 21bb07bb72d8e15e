/**
 * The way from postscreen(8) to smtpd(8): a client keeps its socket, its address and what it has said, whoever takes it over and however;
 * nobody is lost by a reload, a stop, or a crowd. What is remembered of clients is Postfix's own.
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, copyFileSync, existsSync, statSync, symlinkSync } from 'node:fs';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { LmdbReader } from '../../src/host/lmdb-reader.ts';
import { eventually, freePort, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

const rest = masterRows('cleanup qmgr rewrite bounce defer trace smtp error retry discard local anvil tlsmgr proxymap');
const settings = `postscreen_greet_wait = 1s
postscreen_access_list =
postscreen_pre_queue_limit = 2000
postscreen_client_connection_count_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
smtpd_forbid_unauth_pipelining = no
alias_maps =
local_recipient_maps =
`;

/** Says and hears bytes. */
class Client {
  readonly #socket: net.Socket;
  #text = '';
  isOver = false;

  constructor(port: number, from = '127.0.0.1', first = '') {
    this.#socket = net.connect({ port, host: '127.0.0.1', localAddress: from });
    this.#socket.on('data', (chunk: Buffer) => { this.#text += chunk.toString('latin1'); });
    this.#socket.on('error', () => undefined).on('close', () => { this.isOver = true; });
    if (first !== '') this.#socket.write(first, 'latin1');
  }

  get port(): number {
    return this.#socket.localPort!;
  }

  say(text: string): this {
    this.#socket.write(text, 'latin1');
    return this;
  }

  /** Everything up to what matches. */
  async hear(pattern: RegExp): Promise<string> {
    return eventually(`the server says ${pattern.source}`, () => {
      const found = pattern.exec(this.#text);
      if (found === null && this.isOver) throw new Error(`closed after ${JSON.stringify(this.#text)}`);
      if (found === null) return undefined;
      const heard = this.#text.slice(0, found.index + found[0].length);
      this.#text = this.#text.slice(heard.length);
      return heard;
    });
  }

  async quit(): Promise<void> {
    await this.say('QUIT\r\n').hear(/221 2\.0\.0 Bye\r\n/);
    this.end();
  }

  end(): void {
    this.#socket.destroy();
  }
}

const screen = (port: number, chroot = 'n', ...options: string[]): string => `127.0.0.1:${port} inet n - ${chroot} - 1 postscreen\n${options.map((option) => `  -o ${option}\n`).join('')}`;
const others = `smtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\n${rest}\n`;

for (const [how, groups] of [['a function call', ''], ['a descriptor', 'service_groups =\n']] as const) describe(`handed over by ${how}`, () => {
  let instance: Instance;
  let plain: number;
  let proxied: number;
  before(async () => {
    [plain, proxied] = [await freePort(), await freePort()];
    const own = (name: string): string => `postscreen_cache_map=lmdb:$data_directory/${name}`;
    instance = await Instance.create({ mainCf: settings + groups, masterCf: screen(plain, 'n', own('one'), 'postscreen_greet_action=ignore') + screen(proxied, 'n', own('two'), 'postscreen_upstream_proxy_protocol=haproxy', 'postscreen_upstream_proxy_timeout=1s') + others });
    await instance.start();
  });
  after(() => instance.stop());

  test('the client is served under its own address, with a log of its own', async () => {
    const client = new Client(plain, '127.0.79.1');
    assert.equal(await client.hear(/\r\n220 .*\r\n/), '220-host.example.test ESMTP Postfix\r\n220 host.example.test ESMTP Postfix\r\n');
    await client.say('EHLO x\r\n').hear(/250 CHUNKING\r\n/);
    await client.quit();
    const left = await eventually('smtpd says who left', () => instance.lines(/smtpd\[\d+\]: disconnect from unknown\[127\.0\.79\.1\] ehlo=1 quit=1/)[0]);
    const pidOf = (text: string): number => Math.floor(Number(/\[(\d+)\]/.exec(text)![1]) / 10_000);
    const [passed] = instance.lines(/PASS NEW \[127\.0\.79\.1\]/);
    assert.equal(pidOf(left) === pidOf(passed!), groups === '');
  });

  test('what was said before the greeting is answered after it', async () => {
    const client = new Client(plain, '127.0.79.2', 'EHLO early\r\nNOOP\r\n');
    await client.hear(/\r\n220 .*\r\n/);
    await client.hear(/250 CHUNKING\r\n250 2\.0\.0 Ok\r\n/);
    await client.say('NOOP\r\n').hear(/250 2\.0\.0 Ok\r\n/);
    await client.quit();
    assert.equal(instance.lines(/PREGREET 18 after .* from \[127\.0\.79\.2\]:\d+: EHLO early\\r\\nNOOP\\r\\n/).length, 1);
  });

  test('who a proxy speaks for is who is served', async () => {
    const client = new Client(proxied, '127.0.79.3', 'PROXY TCP4 192.0.2.33 192.0.2.44 5555 25\r\n');
    await client.hear(/\r\n220 .*\r\n/);
    await client.quit();
    assert.equal(instance.lines(/postscreen.*: CONNECT from \[192\.0\.2\.33\]:5555 to \[192\.0\.2\.44\]:25$/).length, 1);
    await eventually('smtpd knows it', () => instance.lines(/smtpd.*: disconnect from unknown\[192\.0\.2\.33\]/).length === 1);
  });

  test('a header in pieces, and talk behind it', async () => {
    const client = new Client(proxied, '127.0.79.4', 'PROXY TCP6 2001:db8::1 ');
    await eventually('the client is connected', () => client.port);
    await new Promise((resolve) => setImmediate(resolve));
    client.say('2001:db8::2 7 25\r\nNOOP\r\n');
    await eventually('it spoke too early', () => instance.lines(/PREGREET 6 after .* from \[2001:db8::1\]:7: NOOP\\r\\n/).length === 1);
    client.end();
  });

  test('no header, no service', async () => {
    const client = new Client(proxied, '127.0.79.5', 'EHLO x\r\n');
    await client.hear(/421 4\.3\.2 No system resources\r\n/);
    await eventually('it is told why', () => instance.lines(/postscreen.*warning: haproxy read: unrecognized protocol header/).length === 1);
    const silent = new Client(proxied, '127.0.79.6');
    await silent.hear(/421 4\.3\.2 No system resources\r\n/);
    assert.equal(instance.lines(/postscreen.*warning: haproxy read: time limit exceeded/).length, 1);
  });

  test('a reload while clients wait loses none, and who was known stays known', async () => {
    const waiting = [1, 2, 3, 4, 5].map((last) => new Client(plain, `127.0.80.${last}`));
    await eventually('they wait', () => instance.lines(/CONNECT from \[127\.0\.80\./).length === 5);
    const before = instance.lines(/: reload/).length;
    instance.signal('SIGHUP');
    await eventually('master reloads', () => instance.lines(/: reload/).length > before);
    for (const client of waiting) {
      await client.hear(/\r\n220 .*\r\n/);
      await client.quit();
    }
    const known = new Client(plain, '127.0.79.1');
    assert.equal(await known.hear(/^220 .*\r\n/), '220 host.example.test ESMTP Postfix\r\n');
    await known.quit();
    await eventually('it is old', () => instance.lines(/PASS OLD \[127\.0\.79\.1\]/).length === 1);
  });
});

describe('postscreen in a crowd', () => {
  let instance: Instance;
  let port: number;
  before(async () => {
    port = await freePort();
    instance = await Instance.create({ mainCf: settings, masterCf: screen(port, 'n', 'postscreen_greet_wait=60s', 'postscreen_access_list=inline:{127.0.0.1=permit}') + others });
    await instance.start();
  });
  after(() => instance.stop());

  test('a thousand idle clients from forty addresses are in nobody\'s way, and are told when the mail system stops', async () => {
    const idle = Array.from({ length: 1000 }, (_, at) => new Client(port, `127.0.81.${1 + at % 40}`));
    await Promise.all(idle.map((client) => client.hear(/^220-.*\r\n/)));
    const client = new Client(port);
    await client.hear(/^220 .*\r\n/);
    await client.say('EHLO x\r\n').hear(/250 CHUNKING\r\n/);
    await client.say('MAIL FROM:<>\r\n').hear(/250 .*\r\n/);
    await client.say('RCPT TO:<nobody@host.example.test>\r\n').hear(/250 .*\r\n/);
    await client.quit();
    const ended = instance.end();
    await Promise.all(idle.map((one) => one.hear(/^421 4\.3\.2 Service currently unavailable\r\n/)));
    await ended;
  });
});

describe('postscreen at its limits', () => {
  test('clients wait for their turn at the SMTP server, and those who would wait for nothing are told', async () => {
    const port = await freePort();
    const instance = await Instance.create({ mainCf: `${settings}postscreen_greet_banner =\npostscreen_post_queue_limit = 5\n`, masterCf: `${screen(port)}smtpd pass - - n - 1 smtpd\ndnsblog unix - - n - 0 dnsblog\n${rest}\n` });
    try {
      await instance.start();
      const first = new Client(port, '127.0.82.1');
      await first.hear(/^220 .*\r\n/);
      const waiting = [2, 3, 4, 5, 6].map((last) => new Client(port, `127.0.82.${last}`));
      await eventually('they are let in', () => instance.lines(/CONNECT from \[127\.0\.82\.[2-6]\]/).length === 5);
      const refused = new Client(port, '127.0.82.7');
      assert.equal(await refused.hear(/\r\n/), '421 4.3.2 All server ports are busy\r\n');
      assert.equal(instance.lines(/NOQUEUE: reject: CONNECT from \[127\.0\.82\.7\]:\d+: all server ports busy/).length, 1);
      await first.quit();
      await Promise.all(waiting.map(async (client) => {
        await client.hear(/^220 .*\r\n/);
        await client.quit();
      }));
    } finally {
      await instance.stop();
    }
  });

  test('more clients than may be tested are told, and stress comes and goes', async () => {
    const port = await freePort();
    const instance = await Instance.create({ mainCf: settings.replace('= 2000', '= 10'), masterCf: screen(port, 'n', 'postscreen_greet_wait=${stress?{1}:{60}}s') + others });
    try {
      await instance.start();
      const clients = Array.from({ length: 8 }, (_, at) => new Client(port, `127.0.83.${1 + at}`));
      await Promise.all(clients.map((client) => client.hear(/^220-.*\r\n/)));
      assert.equal(instance.lines(/STRESS/).length, 0);
      const ninth = new Client(port, '127.0.83.9');
      await ninth.hear(/^220-.*\r\n/);
      assert.equal(instance.lines(/entering STRESS mode with 9 connections/).length, 1);
      const tenth = new Client(port, '127.0.83.10');
      assert.equal(await tenth.hear(/\r\n/), '421 4.3.2 All screening ports are busy\r\n');
      assert.equal(instance.lines(/: reject: connect from \[127\.0\.83\.10\]:\d+: all screening ports busy/).length, 1);
      // Under stress the ninth waits a second, not a minute.
      await ninth.hear(/^220 .*\r\n/);
      await ninth.quit();
      for (const client of clients) client.end();
      await eventually('it is over', () => instance.lines(/leaving STRESS mode with 7 connections/).length === 1);
    } finally {
      await instance.stop();
    }
  });
});

describe('postscreen with a cache that others serve', () => {
  test('what is remembered goes through proxymap(8), and is there after a restart', async () => {
    const port = await freePort();
    const mainCf = `${settings}postscreen_cache_map = proxy:lmdb:$data_directory/shared\n`;
    const instance = await Instance.create({ mainCf, masterCf: `${screen(port)}${others}proxywrite unix - - n - 1 proxymap\n` });
    try {
      for (const state of ['NEW', 'OLD']) {
        await instance.start();
        const client = new Client(port, '127.0.79.10');
        await client.hear(/(?:^|\n)220 .*\r\n/);
        await client.quit();
        await eventually(`it is ${state}`, () => instance.lines(new RegExp(`PASS ${state} \\[127\\.0\\.79\\.10\\]`)).length === 1);
        await eventually('the table is made', () => existsSync(`${instance.directory}/data/shared.lmdb`));
        const reader = new LmdbReader(`${instance.directory}/data/shared.lmdb`);
        await eventually('it is written', () => reader.get('127.0.79.10'));
        reader.close();
        await instance.end();
      }
    } finally {
      await instance.stop();
    }
  });
});

describe('postscreen in a jail', { skip: process.getuid!() === 0 ? false : 'only root can change the root directory' }, () => {
  test('clients are remembered there too, over a restart', async () => {
    const port = await freePort();
    const instance = await Instance.create({ mainCf: settings, masterCf: screen(port, 'y') + others });
    try {
      for (const state of ['NEW', 'OLD']) {
        await instance.start();
        const client = new Client(port, '127.0.79.9');
        await client.hear(/(?:^|\n)220 .*\r\n/);
        await client.quit();
        await eventually(`it is ${state}`, () => instance.lines(new RegExp(`PASS ${state} \\[127\\.0\\.79\\.9\\]`)).length === 1);
        await instance.end();
      }
      assert.equal(statSync(`${instance.directory}/data/postscreen_cache.lmdb`).mode & 0o777, 0o600);
    } finally {
      await instance.stop();
    }
  });
});

describe("postscreen beside Debian's Postfix", { skip: noDebianPostfix() }, () => {
  test("Debian's smtpd takes a client from ours", async () => {
    const port = await freePort();
    const debian = await DebianPostfix.create({ mainCf: `${settings}myhostname = debian.example.test\n`, masterCf: `smtpd pass n - n - - smtpd\n${rest}\n` });
    const instance = await Instance.create({ mainCf: settings, masterCf: screen(port, 'n', 'postscreen_upstream_proxy_protocol=haproxy') + others.slice(others.indexOf('dnsblog')) });
    try {
      await debian.start();
      chmodSync(`${debian.directory}/queue/public`, 0o755);
      symlinkSync(`${debian.directory}/queue/public/smtpd`, `${instance.directory}/queue/private/smtpd`);
      await instance.start();
      const client = new Client(port, '127.0.79.7', 'PROXY TCP4 192.0.2.77 192.0.2.78 999 25\r\n');
      assert.match(await client.hear(/\r\n220 .*\r\n/), /^220-host\.example\.test .*\r\n220 debian\.example\.test /);
      await client.quit();
      await eventually('it knows the client', () => debian.lines(/smtpd.*: disconnect from unknown\[192\.0\.2\.77\]/).length === 1);
    } finally {
      await instance.stop();
      await debian.stop();
    }
  });

  test('one goes on with what the other remembers', { skip: existsSync('/usr/lib/postfix/postfix-lmdb.so') ? false : "Debian's postfix-lmdb is not installed" }, async () => {
    const port = await freePort();
    const cache = 'postscreen_cache_map=lmdb:$data_directory/cache';
    const debian = await DebianPostfix.create({ mainCf: settings, masterCf: screen(port, 'n', cache) + others });
    const instance = await Instance.create({ mainCf: settings, masterCf: screen(port, 'n', cache) + others });
    const visit = async (system: DebianPostfix | Instance, from: string, state: string): Promise<void> => {
      await system.start();
      const client = new Client(port, from);
      await client.hear(/(?:^|\n)220 .*\r\n/);
      await client.quit();
      await eventually(`${from} is ${state}`, () => system.lines(new RegExp(`PASS ${state} \\[${from.replaceAll('.', '\\.')}\\]`)).length === 1);
      await system.end();
    };
    const carry = (from: { directory: string }, to: { directory: string }): void => {
      const target = `${to.directory}/data/cache.lmdb`;
      const { uid, gid } = statSync(`${to.directory}/data`);
      copyFileSync(`${from.directory}/data/cache.lmdb`, target);
      chownSync(target, uid, gid);
    };
    try {
      await visit(debian, '127.0.79.11', 'NEW');
      carry(debian, instance);
      await visit(instance, '127.0.79.11', 'OLD');
      await visit(instance, '127.0.79.12', 'NEW');
      carry(instance, debian);
      await visit(debian, '127.0.79.12', 'OLD');
    } finally {
      await instance.stop();
      await debian.stop();
    }
  });
});
