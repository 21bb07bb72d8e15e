import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import test from 'node:test';
import { ears } from '../../delivery/testing.ts';
import { connectInet } from '../../network/connect.ts';
import type { Verdict } from '../../protocol/smtp-server/steps.ts';
import { noSideEffects } from './access/state.ts';
import { ProxyFilter } from './proxy-filter.ts';
import { ProxySpool } from './proxy-spool.ts';
import { ProxyTransaction } from './proxy-transaction.ts';
import type { OwnName, TransactionFacts } from './transaction.ts';

const stages = ['greeting', 'EHLO', 'XFORWARD', 'MAIL', 'RCPT', 'DATA', 'end'] as const;
type Stage = (typeof stages)[number];
type Speak = (socket: net.Socket) => void;

const good: Readonly<Record<Stage, string>> = {
  greeting: '220 filter', EHLO: '250-filter\r\n250 XFORWARD NAME ADDR', XFORWARD: '250 Ok', MAIL: '250 Ok', RCPT: '250 Ok', DATA: '354 go', end: '250 2.0.0 Ok: taken',
};

const own: OwnName = { hostname: 'mx.example.org', mailName: 'Postern', hideClient: false, date: () => 'now' };

/** What came of one message, by the road of a client that keeps on trying. */
interface Course {
  readonly said: string[];
  readonly verdict: Verdict | undefined;
  readonly lines: readonly string[];
  /** What the filter took for whole messages. */
  readonly messages: readonly string[];
  /** What it was told. */
  readonly commands: readonly string[];
}

interface Play { readonly expiresInContent?: boolean; readonly faults?: Partial<Record<Stage, Speak>>; readonly hangs?: boolean; readonly speedAdjust?: boolean; readonly content?: Buffer; readonly requireTls?: 'marked' | 'unmarked' }

/** A filter that speaks well but for the faults, and one transaction with it. With `hangs` the time limit is over as soon as a wait begins that the fault is for. */
async function play({ expiresInContent = false, faults = {}, hangs = false, speedAdjust = false, requireTls, content = Buffer.from('Subject: x\r\n\r\ntext\r\n') }: Play): Promise<Course> {
  const timers = new Set<() => void>();
  const sockets = new Set<net.Socket>();
  const messages: string[] = [];
  const commands: string[] = [];
  const expireNow = (): void => { for (const run of [...timers]) run(); };
  const expire = (): void => void (hangs && setImmediate(expireNow));
  const server = net.createServer((socket) => {
    sockets.add(socket);
    let input = '';
    let inData = false;
    const speak = (stage: Stage): void => {
      const fault = faults[stage];
      if (fault === undefined) socket.write(`${good[stage]}\r\n`);
      else {
        fault(socket);
        expire();
      }
      inData = stage === 'DATA' && fault === undefined;
    };
    socket.on('error', () => undefined).on('data', (bytes) => {
      input += bytes.toString('latin1');
      for (;;) {
        const mark = inData ? '\r\n.\r\n' : '\r\n';
        const end = input.indexOf(mark);
        if (end < 0) return;
        const found = input.slice(0, end);
        input = input.slice(end + mark.length);
        const stage = inData ? 'end' : stages.find((name) => found.startsWith(name));
        (inData ? messages : commands).push(found);
        if (stage !== undefined) speak(stage);
      }
    });
    speak('greeting');
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as net.AddressInfo;
  const ticker = { monotonic: () => 0, after: (_milliseconds: number, run: () => void) => (timers.add(run), { cancel: () => void timers.delete(run) }) };
  const filter = new ProxyFilter({
    name: 'test', ehlo: 'mx.example.org', speedAdjust, marksRequireTls: requireTls === 'marked', timeout: 100, lineLimit: 2048, utf8: true, ticker, connect: () => connectInet('127.0.0.1', port, { ticker, timeout: 0 }),
  });
  const { log, lines } = ears();
  const directory = fs.mkdtempSync(`${os.tmpdir()}/proxy-test-`);
  const client = { name: 'unknown', address: '192.0.2.1', literal: '192.0.2.1', port: '25', label: 'unknown[192.0.2.1]' };
  const state = { client, log, helo: 'client.test', protocol: 'ESMTP', effects: noSideEffects() };
  const facts = { state, sender: 'ann@example.org', parameters: { smtputf8: false, requireTls: requireTls !== undefined }, arrival: 0, isLocalRewriting: false } as unknown as TransactionFacts;
  const transaction = new ProxyTransaction({ filter, facts, command: `MAIL FROM:<ann@example.org>${requireTls === undefined ? '' : ' SIZE=7 requireTLS BODY=8BITMIME'}`, opened: () => lines.push('opened'), spool: speedAdjust ? new ProxySpool(directory) : undefined });
  const said: string[] = [];
  let verdict: Verdict | undefined;
  try {
    const note = (stage: string, refusal: Awaited<ReturnType<ProxyTransaction['recipient']>>): boolean => {
      if (refusal !== undefined) said.push(`${stage}: ${refusal.code} ${refusal.status ?? ''} ${String(refusal.text)}`);
      return refusal === undefined;
    };
    if (note('RCPT', await transaction.recipient('joe@example.org', 0, '', 'RCPT TO:<joe@example.org>')) && note('DATA', await transaction.begin(own))) {
      if (!transaction.content(content)) {
        if (expiresInContent) setImmediate(expireNow);
        await transaction.drained();
      }
      ({ verdict } = await transaction.end());
      if (!verdict.accept) note('end', verdict.reply);
    }
    return { said, verdict, lines, messages, commands };
  } finally {
    transaction.abort();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => { server.close(resolve); });
    assert.deepEqual(fs.readdirSync(directory), []);
    fs.rmdirSync(directory);
  }
}

for (const speedAdjust of [false, true]) {
  for (const [requireTls, mail, line] of [['marked', ' SIZE=7 BODY=8BITMIME', 'Require-TLS-ESMTP: yes\r\n'], ['unmarked', ' SIZE=7 BODY=8BITMIME', ''], [undefined, '', '']] as const) {
    test(`${speedAdjust ? 'speed_adjust: ' : ''}REQUIRETLS is no word for a filter, and a header tells who is behind it: ${requireTls ?? 'not asked for'}`, async () => {
      const { commands, messages } = await play({ speedAdjust, ...(requireTls === undefined ? {} : { requireTls }) });
      assert.ok(commands.includes(`MAIL FROM:<ann@example.org>${mail}`), commands.join('\n'));
      assert.ok(messages[0]!.endsWith(`Subject: x\r\n${line}\r\ntext`), messages[0]);
    });
  }
}

const tenMegabytes = Buffer.alloc(10 << 20, 'x');
const manyLines = Buffer.from('250-more and more and more\r\n'.repeat(400_000), 'latin1');

const faults: readonly (readonly [title: string, fault: Speak, hangs?: boolean])[] = [
  ['hangs up', (socket) => socket.destroy()],
  ['hangs up politely', (socket) => socket.end()],
  ['says nothing', () => undefined, true],
  ['says half of it', (socket) => socket.write('25'), true],
  ['hangs up after half of it', (socket) => socket.end('250 O')],
  ['hangs up within several lines', (socket) => socket.end('250-one\r\n250-two\r\n')],
  ['talks junk', (socket) => socket.end('what do you want?\r\n')],
  ['talks junk, then the reply', (socket) => socket.write('\0\xff junk\r\n250 Ok\r\n', 'latin1')],
  ['says ten megabytes without a line end', (socket) => socket.end(tenMegabytes)],
  ['says ten megabytes of lines, and no last one', (socket) => socket.end(manyLines)],
  ['says that it goes on where it should be done', (socket) => socket.write('334 Z28gb24=\r\n')],
  ['says 199', (socket) => socket.write('199 well\r\n')],
  ['says 1000', (socket) => socket.end('1000 well\r\n')],
  ['says both', (socket) => socket.write('250-yes\r\n550 no\r\n')],
];

for (const speedAdjust of [false, true]) {
  for (const stage of stages) {
    for (const [title, fault, hangs] of faults) {
      if (stage === 'DATA' && title.includes('goes on')) continue;
      test(`${speedAdjust ? 'speed_adjust: ' : ''}a filter that ${title} (${stage}): the client is told to come again`, async () => {
        const { said, verdict, lines } = await play({ faults: { [stage]: fault }, hangs: hangs ?? false, speedAdjust });
        const heardAt = speedAdjust || stage === 'end' ? 'end' : stage === 'DATA' ? 'DATA' : 'RCPT';
        assert.deepEqual(said, [`${heardAt}: 451 4.3.0 Error: queue file write error`]);
        assert.notEqual(verdict?.accept, true);
        assert.ok(lines.some((line) => /proxy/.test(line)), lines.join('\n'));
      });
    }
  }
}

for (const stage of stages) {
  test(`a filter that hangs up after every byte it was sent at ${stage}`, async () => {
    const { verdict } = await play({ faults: { [stage]: (socket: net.Socket) => { socket.write('2'); socket.destroy(); } } });
    assert.notEqual(verdict?.accept, true);
  });
}

for (const speedAdjust of [false, true]) {
  test(`all is well${speedAdjust ? ', with speed_adjust' : ''}`, async () => {
    const { verdict, lines, messages } = await play({ speedAdjust, content: Buffer.from('Subject: x\r\n\r\n.\r\n\r.\r\n\n.\n') });
    assert.deepEqual(verdict, { accept: true, reply: { code: 250, status: '2.0.0', text: ['Ok: taken'] } });
    assert.deepEqual(lines, ['opened', 'proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: taken; from=<ann@example.org> to=<joe@example.org> proto=ESMTP helo=<client.test>']);
    assert.equal(messages[0]!.slice(messages[0]!.indexOf('Subject')), 'Subject: x\r\n\r\n..\r\n .\r\n\r\n..');
  });

  test(`three megabytes arrive as they are${speedAdjust ? ', with speed_adjust' : ''}`, async () => {
    const line = `${'a'.repeat(98)}\r\n`;
    const { verdict, messages } = await play({ speedAdjust, content: Buffer.from(line.repeat(30_000)) });
    assert.equal(verdict?.accept, true);
    assert.equal(messages[0]!.length - messages[0]!.indexOf('aaa'), 3_000_000 - 2);
  });

  for (const reply of ['554 5.7.1 virus', '451 4.7.1 later']) {
    test(`the message is refused with ${reply.slice(0, 3)}${speedAdjust ? ', with speed_adjust' : ''}`, async () => {
      const { said, lines } = await play({ speedAdjust, faults: { end: (socket) => socket.write(`${reply}\r\n`) } });
      assert.deepEqual(said, [`end: ${reply}`]);
      assert.equal(lines.at(-1), `proxy-reject: END-OF-MESSAGE: ${reply}; from=<ann@example.org> to=<joe@example.org> proto=ESMTP helo=<client.test>`);
    });
  }
}

test('an acceptance that came before the message counts for nothing', async () => {
  const { said, messages } = await play({ faults: { DATA: (socket) => socket.write('354 go\r\n250 2.0.0 Ok: already\r\n') } });
  assert.deepEqual(said, ['end: 451 4.3.0 Error: queue file write error']);
  assert.deepEqual(messages, []);
});

test('a filter that takes nothing: the wait for it has an end, and the rest of the message is passed over', async () => {
  const { said, lines } = await play({ expiresInContent: true, content: tenMegabytes, faults: { DATA: (socket) => { socket.write('354 go\r\n'); socket.pause(); } } });
  assert.deepEqual(said, ['end: 451 4.3.0 Error: queue file write error']);
  assert.ok(lines.includes('warning: timeout talking to proxy test'), lines.join('\n'));
});


test('a client that goes away while the filter is being reached leaves no connection behind', async () => {
  const server = net.createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const ended = new Promise<void>((resolve) => server.once('connection', (socket) => socket.on('error', () => undefined).resume().on('close', () => resolve())));
  const ticker = { monotonic: () => 0, after: () => ({ cancel: () => undefined }) };
  const { port } = server.address() as net.AddressInfo;
  const filter = new ProxyFilter({
    name: 'test', ehlo: 'mx', speedAdjust: false, timeout: 100, lineLimit: 2048, utf8: true, ticker, connect: () => connectInet('127.0.0.1', port, { ticker, timeout: 0 }),
  });
  const { log, lines } = ears();
  const facts = { state: { log, effects: noSideEffects() }, parameters: { requireTls: false } } as unknown as TransactionFacts;
  const transaction = new ProxyTransaction({ filter, facts, command: 'MAIL FROM:<>', opened: () => lines.push('opened'), spool: undefined });
  const answer = transaction.recipient('joe@example.org', 0, '', 'RCPT TO:<joe@example.org>');
  transaction.abort();
  assert.equal((await answer)?.code, 451);
  await ended;
  await new Promise((resolve) => { server.close(resolve); });
  assert.deepEqual(lines, []);
});

test('content that we refuse ourselves is told of in the log, with what the filter said last', async () => {
  const said: string[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined).on('data', (bytes) => {
      said.push(bytes.toString('latin1'));
      socket.write(bytes.includes('DATA\r\n') ? '354 go\r\n' : '250 Ok\r\n');
    });
    socket.write('220 filter\r\n');
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as net.AddressInfo;
  const ticker = { monotonic: () => 0, after: () => ({ cancel: () => undefined }) };
  const filter = new ProxyFilter({
    name: 'test', ehlo: 'mx', speedAdjust: false, timeout: 100, lineLimit: 2048, utf8: true, ticker, connect: () => connectInet('127.0.0.1', port, { ticker, timeout: 0 }),
  });
  const { log, lines } = ears();
  const client = { name: 'unknown', literal: '192.0.2.1', port: '25' };
  const facts = { state: { log, client, helo: undefined, protocol: 'SMTP', effects: noSideEffects() }, sender: '', parameters: {}, arrival: 0 } as unknown as TransactionFacts;
  const transaction = new ProxyTransaction({ filter, facts, command: 'MAIL FROM:<>', opened: () => undefined, spool: undefined });
  await transaction.recipient('joe@example.org', 0, '', 'RCPT TO:<joe@example.org>');
  transaction.refused();
  await transaction.begin(own);
  transaction.content(Buffer.from('too much\r\n'));
  transaction.refused();
  transaction.abort();
  await new Promise((resolve) => { server.close(resolve); });
  assert.deepEqual(lines, ['proxy-reject: END-OF-MESSAGE: 354 go; from=<> to=<joe@example.org> proto=SMTP']);
  assert.ok(!said.join('').includes('\r\n.\r\n'));
});
