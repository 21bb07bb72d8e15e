import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { connectInet } from '../../network/connect.ts';
import { security } from '../../protocol/sasl/security-options.ts';
import type { Clock } from '../../server/clock.ts';
import { DovecotServer } from './sasl-dovecot.ts';
import { SaslTrouble, type SaslSession } from './sasl-server.ts';

const handshake = 'VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tCRAM-MD5\tdictionary\tactive\nSPID\t1\nCUID\t1\nDONE\n';
const session: SaslSession = { clientAddress: '192.0.2.1', clientPort: '4000', serverAddress: '192.0.2.9', serverPort: '25', isEncrypted: false };
const lost = { kind: 'unavailable', reason: 'Connection lost to authentication server' };

/** What the peer says to a line; '': nothing. */
type Serve = (line: string, socket: net.Socket) => string;

interface Seen {
  connections: number;
  readonly lines: string[];
  readonly warnings: string[];
  /** All that is waited for has taken too long. */
  expire(): void;
  /** Resolves when so many lines have come. */
  heard(count: number): Promise<void>;
  close(): Promise<void>;
}

/** A peer that we made ourselves, and a clock whose timers run only when a test says so. */
async function scene(serve: Serve, run: (server: DovecotServer, seen: Seen) => Promise<void>, greeting: string | ((socket: net.Socket) => void) = handshake): Promise<void> {
  const timers = new Set<() => void>();
  const waiters: (() => void)[] = [];
  const sockets = new Set<net.Socket>();
  const seen: Seen = {
    connections: 0, lines: [], warnings: [],
    expire: () => { for (const timer of [...timers]) timer(); },
    heard: async (count) => { while (seen.lines.length < count) await new Promise<void>((resolve) => { waiters.push(resolve); }); },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => { peer.close(resolve); });
    },
  };
  const peer = net.createServer((socket) => {
    seen.connections++;
    sockets.add(socket);
    let text = '';
    socket.on('error', () => undefined).on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        if (/^(VERSION|CPID)/.test(line)) continue;
        seen.lines.push(line);
        const answer = serve(line, socket);
        if (answer !== '' && !socket.destroyed) socket.write(answer, 'latin1');
        for (const wake of waiters.splice(0)) wake();
      }
    });
    if (typeof greeting === 'string') socket.write(greeting);
    else greeting(socket);
  });
  await new Promise<void>((resolve) => { peer.listen(0, '127.0.0.1', resolve); });
  const clock: Clock = {
    now: () => 0, monotonic: () => 0,
    after: (_milliseconds, go) => {
      timers.add(go);
      return { cancel: () => void timers.delete(go) };
    },
  };
  const { port } = peer.address() as net.AddressInfo;
  const server = new DovecotServer({
    name: 'private/auth', service: 'smtp', plainOptions: security.noAnonymous, tlsOptions: 0, clock,
    connect: () => connectInet('127.0.0.1', port, { ticker: clock, timeout: 0 }), warn: (text) => seen.warnings.push(text),
  });
  try {
    await run(server, seen);
  } finally {
    server.close();
    if (peer.listening) await seen.close();
  }
}

const number = (line: string): string => line.split('\t')[1]!;
const welcome: Serve = (line) => (line.startsWith('CANCEL') ? '' : `OK\t${number(line)}\tuser=joe\n`);
const silence: Serve = () => '';

test('logins of many sessions share one connection', () => scene(welcome, async (server, seen) => {
  assert.deepEqual(await server.mechanisms(false), ['PLAIN', 'CRAM-MD5']);
  const answers = await Promise.all(Array.from({ length: 20 }, () => server.begin(session).first('plain', 'YQ==')));
  assert.ok(answers.every((answer) => answer.kind === 'done'));
  assert.equal(seen.connections, 1);
  assert.equal(seen.lines[0], 'AUTH\t1\tplain\tservice=smtp\tnologin\tlip=192.0.2.9\trip=192.0.2.1\tresp=YQ==');
  assert.deepEqual(seen.lines.map(number), Array.from({ length: 20 }, (_, at) => String(at + 1)));
}));

test('each hears its own answer, whatever the order', () => {
  const held: string[] = [];
  return scene((line, socket) => {
    held.push(`${line.endsWith('resp=eA==') ? 'OK' : 'FAIL'}\t${number(line)}\tuser=joe\n`);
    if (held.length === 2) socket.write(held.reverse().join(''));
    return '';
  }, async (server) => {
    const [one, other] = await Promise.all([server.begin(session).first('PLAIN', 'eA=='), server.begin(session).first('PLAIN', 'eQ==')]);
    assert.deepEqual([one.kind, other.kind], ['done', 'failed']);
  });
});

test('challenge and response', () => scene((line) => (line.startsWith('AUTH') ? `CONT\t${number(line)}\tYWJj\n` : `OK\t${number(line)}\tuser=joe\n`), async (server, seen) => {
  const exchange = server.begin(session);
  assert.deepEqual(await exchange.first('CRAM-MD5', undefined), { kind: 'more', challenge: 'YWJj' });
  assert.deepEqual(await exchange.next('eHl6'), { kind: 'done', username: 'joe' });
  assert.deepEqual(seen.lines.slice(1), ['CONT\t1\teHl6']);
}));

test('what is not worth a question', () => scene(welcome, async (server, seen) => {
  for (const [mechanism, initial, reason] of [
    ['PLAIN', 'a b', 'Invalid base64 data in initial response'], ['FOO', undefined, "Invalid authentication mechanism: 'FOO'"],
    ['PLAIN\tservice=x', undefined, "Invalid authentication mechanism: 'PLAIN?service=x'"],
  ] as const) assert.deepEqual(await server.begin(session).first(mechanism, initial), { kind: 'failed', reason });
  assert.deepEqual(seen.lines, []);
}));

test('a cancelled login is over for the server too, and its late answer is for nobody', () => {
  let late = '';
  return scene((line) => {
    if (line.startsWith('AUTH\t1')) late = `OK\t1\tuser=mallory\n`;
    return line.startsWith('AUTH\t2') ? `${late}FAIL\t2\tuser=joe\n` : '';
  }, async (server, seen) => {
    await server.mechanisms(false);
    const first = server.begin(session);
    const answer = first.first('PLAIN', 'YQ==');
    await seen.heard(1);
    first.end();
    assert.deepEqual(await answer, lost);
    assert.deepEqual(await server.begin(session).first('PLAIN', 'YQ=='), { kind: 'failed', reason: '', username: 'joe' });
    assert.equal(seen.lines[1], 'CANCEL\t1');
  });
});

test('from one mechanism to another, a thousand times', () => scene((line) => (line.startsWith('AUTH') && line.includes('CRAM') ? `CONT\t${number(line)}\tYWJj\n` : line.startsWith('AUTH') ? `FAIL\t${number(line)}\n` : ''), async (server, seen) => {
  for (let turn = 0; turn < 1000; turn++) {
    const exchange = server.begin(session);
    assert.equal((await exchange.first('CRAM-MD5', undefined)).kind, 'more');
    exchange.end();
    assert.equal((await server.begin(session).first('PLAIN', 'YQ==')).kind, 'failed');
    assert.deepEqual(await exchange.next('YQ=='), lost);
  }
  assert.equal(seen.connections, 1);
  assert.equal(seen.lines.filter((line) => line.startsWith('CANCEL')).length, 1000);
}));

for (const [name, serve] of [
  ['closes', (_line, socket) => (socket.destroy(), '')],
  ['says half an answer and closes', (line, socket) => (socket.end(`OK\t${number(line)}\tuser=jo`), '')],
  ['answers another login', (_line, socket) => (socket.end('OK\t999\tuser=joe\n'), '')],
  ['answers with 10 MB', (line) => `OK\t${number(line)}\tuser=${'x'.repeat(10_000_000)}`],
  ['answers with 10 MB and an end', (line) => `OK\t${number(line)}\tuser=${'x'.repeat(10_000_000)}\n`],
] as const satisfies readonly (readonly [string, Serve])[]) {
  test(`a server that ${name}: later`, () => scene(serve, async (server) => {
    await server.mechanisms(false);
    assert.deepEqual(await server.begin(session).first('PLAIN', 'YQ=='), lost);
  }));
}

test('a server that says OK to nobody in particular: later', () => scene((line) => `OK\t${number(line)}\n`, async (server) => {
  assert.deepEqual(await server.begin(session).first('PLAIN', 'YQ=='), { kind: 'unavailable', reason: 'Authentication backend error' });
}));

for (const [name, junk] of [['junk', 'HTTP/1.1 200 OK\r\n\r\n'], ['an answer without a number', 'OK\tuser=joe\n'], ['zeros', '\0\0\0\n']] as const) {
  test(`a server that answers with ${name} and then nothing: later`, () => scene(() => junk, async (server, seen) => {
    await server.mechanisms(false);
    const answer = server.begin(session).first('PLAIN', 'YQ==');
    await seen.heard(1);
    seen.expire();
    assert.deepEqual(await answer, lost);
  }));
}

test('a server that hangs gets no more on that connection', () => scene(silence, async (server, seen) => {
  await server.mechanisms(false);
  const answers = [1, 2].map(() => server.begin(session).first('PLAIN', 'YQ=='));
  await seen.heard(2);
  seen.expire();
  assert.deepEqual(await Promise.all(answers), [lost, lost]);
  void server.begin(session).first('PLAIN', 'YQ==');
  await seen.heard(3);
  assert.equal(seen.connections, 2);
}));

test('a login that has to wait alone does not cost the others their connection', () => scene((line) => (line.endsWith('eA==') ? '' : welcome(line, undefined as never)), async (server, seen) => {
  await server.mechanisms(false);
  const slow = server.begin(session).first('PLAIN', 'eA==');
  await seen.heard(1);
  assert.equal((await server.begin(session).first('PLAIN', 'eQ==')).kind, 'done');
  seen.expire();
  assert.deepEqual(await slow, lost);
  assert.equal((await server.begin(session).first('PLAIN', 'eQ==')).kind, 'done');
  assert.equal(seen.connections, 1);
}));

test('a server that was started anew in between is asked once more', () => {
  let isOld = true;
  return scene((line, socket) => {
    if (!isOld || line.endsWith('eA==')) return welcome(line, socket);
    isOld = false;
    socket.destroy();
    return '';
  }, async (server, seen) => {
    assert.equal((await server.begin(session).first('PLAIN', 'eA==')).kind, 'done');
    assert.equal((await server.begin(session).first('PLAIN', 'eQ==')).kind, 'done');
    assert.equal(seen.connections, 2);
  });
});

for (const [name, greeting, warning] of [
  ['closes at once', (socket: net.Socket) => socket.destroy(), /connection lost in the handshake/],
  ['says half a handshake and closes', (socket: net.Socket) => socket.end(handshake.slice(0, 40)), /connection lost in the handshake/],
  ['speaks another protocol', 'VERSION\t3\t0\n', /^SASL: Protocol version mismatch \(3 vs\. 1\)$/],
  ['is the wrong one', 'VERSION\t1\t2\nSPID\t1\n', /^SASL: Connected to wrong auth socket/],
  ['says too much', 'x'.repeat(10_000_000), /^SASL: line too long$/],
] as const) {
  test(`a server that ${name} has no mechanisms`, () => scene(welcome, async (server, seen) => {
    await assert.rejects(async () => server.mechanisms(false), SaslTrouble);
    assert.match(seen.warnings[0]!, warning);
    assert.deepEqual(await server.begin(session).first('PLAIN', 'YQ=='), lost);
  }, greeting));
}

test('a server that says nothing is given up', () => scene(welcome, async (server, seen) => {
  const mechanisms = Promise.resolve(server.mechanisms(false));
  const refused = assert.rejects(mechanisms, SaslTrouble);
  while (seen.warnings.length === 0) {
    await new Promise((resolve) => { setImmediate(resolve); });
    seen.expire();
  }
  await refused;
}, ''));

test('a server that closes after any byte of its handshake or its answer: later', async () => {
  for (let after = 0; after < handshake.length; after++) {
    await scene(welcome, async (server) => {
      assert.deepEqual(await server.begin(session).first('PLAIN', 'YQ=='), lost, `after ${after} bytes`);
    }, (socket) => socket.end(handshake.slice(0, after)));
  }
  for (let after = 0; after < 'OK\t1\tuser=joe\n'.length; after++) {
    await scene((line, socket) => (socket.end(`OK\t${number(line)}\tuser=joe\n`.slice(0, after)), ''), async (server) => {
      assert.deepEqual(await server.begin(session).first('PLAIN', 'YQ=='), lost, `after ${after} bytes`);
    });
  }
});

test('a server that is gone: what it had is still announced, and nobody logs in', () => scene(welcome, async (server, seen) => {
  await server.mechanisms(false);
  await seen.close();
  while (seen.warnings.length === 0) {
    assert.deepEqual(await server.mechanisms(true), ['PLAIN', 'CRAM-MD5']);
    await new Promise((resolve) => { setImmediate(resolve); });
  }
  assert.match(seen.warnings[0]!, /^SASL: Connect to Dovecot auth socket 'private\/auth' failed: Connection refused$/);
  assert.deepEqual(await server.begin(session).first('PLAIN', 'YQ=='), lost);
}));
