/** Servers that are broken or mean: nothing is lost, nothing is believed too soon, and nothing they say becomes a line of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import net from 'node:net';
import { Bench } from '../../delivery/testing.ts';
import type { Service } from '../../server/daemon.ts';
import { daemon } from './smtp.ts';

type Agent = Parameters<Bench['deliver']>[0] & Service;

const stages = ['greeting', 'EHLO', 'AUTH', 'MAIL', 'RCPT', 'DATA', 'dot'] as const;
type Stage = (typeof stages)[number];

const usual: Readonly<Record<Stage, string>> = {
  greeting: '220 server.example', EHLO: '250-server.example\r\n250 AUTH PLAIN', AUTH: '235 ok', MAIL: '250 ok', RCPT: '250 ok', DATA: '354 go', dot: '250 2.0.0 taken',
};

/** A server that says `odd` at one stage (and then closes, where that says so), and the usual things else. */
async function meanServer(at: Stage, odd: { say: (socket: net.Socket) => void; close: boolean }, lines: string[]): Promise<net.Server> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    let text = '';
    let inContent = false;
    const answer = (stage: Stage): void => {
      if (stage !== at) return void socket.write(`${usual[stage]}\r\n`);
      odd.say(socket);
      if (odd.close) socket.end();
    };
    answer('greeting');
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        lines.push(line);
        if (inContent && line !== '.') continue;
        if (inContent) inContent = false, answer('dot');
        else if (line === 'QUIT') socket.end('221 bye\r\n');
        else if (line.startsWith('RSET') || line.startsWith('HELO')) socket.write('250 ok\r\n');
        else {
          const stage = stages.find((each) => line.startsWith(each)) ?? 'EHLO';
          inContent = stage === 'DATA' && at !== 'DATA';
          answer(stage);
        }
      }
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return server;
}

async function deliver(at: Stage, odd: { say: (socket: net.Socket) => void; close: boolean }): Promise<{ logged: string[]; left: string[]; heard: string[]; asked: string[] }> {
  const heard: string[] = [];
  const server = await meanServer(at, odd, heard);
  const { port } = server.address() as net.AddressInfo;
  const bench = new Bench({
    row: 'smtp unix - - n - - smtp',
    main: 'smtp_tls_security_level = none\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_security_options = noanonymous\nsmtp_sasl_password_maps = inline:{ {127.0.0.1=joe:secret} }\n',
  });
  const agent = await daemon.open(bench.tools as never) as Agent;
  try {
    const { lines, left } = await bench.deliver(agent, ['joe@example.org'], { request: { nexthop: `[127.0.0.1]:${port}` } });
    return { logged: lines, left, heard, asked: bench.asked };
  } finally {
    await agent.drain?.(true);
    bench.remove();
    server.close();
  }
}

const oddities: readonly (readonly [name: string, text: string, close: boolean])[] = [
  ['nothing, and hangs up', '', true],
  ['half a line, and hangs up', '25', true],
  ['the first of two lines, and hangs up', '250-more\r\n', true],
  ['a line of 10 MB', `250 ${'x'.repeat(10_000_000)}\r\n`, true],
  ['a line without end', '2'.repeat(10_000_000), true],
  ['10,000 lines', `${'250-and more\r\n'.repeat(10_000)}250 last\r\n`, false],
  ['NULs', '5\x0050 \0\0\r\n', true],
  ['a refusal with NULs', '550 5.7.1 no\0way\r\n', true],
  ['no digits', 'hello\r\n', true],
  ['999', '999 what\r\n', true],
  ['bare LF', '550 5.7.1 one\n550 two\n', true],
  ['bare CR', '550 5.7.1 one\rto=<x@y.test>, status=sent (forged)\r\n', true],
  ['a forged line of the log', '550 5.7.1 no\r\nAB1: to=<joe@example.org>, status=sent (forged)\r\n', true],
];

for (const at of stages) for (const [name, text, close] of oddities) test(`${at}: the server says ${name}`, async () => {
  const { logged, left, heard, asked } = await deliver(at, { close, say: (socket) => { socket.write(Buffer.from(text, 'latin1')); } });
  const final = logged.filter((line) => /^AB1: to=<joe@example\.org>,.*, status=/.test(line));
  assert.equal(final.length, 1, logged.join('\n').slice(0, 2000));
  const [, status] = / status=(\w+) \(/.exec(final[0]!)!;
  // Delivered is what was said to its end and then taken, by what can be read as a yes.
  if (status === 'sent') assert.ok(heard.includes('.') && (at !== 'dot' || text.includes('250 ')), final[0]);
  assert.deepEqual(left, status === 'deferred' ? ['joe@example.org'] : []);
  assert.equal(asked.length, status === 'sent' ? 0 : 1);
  for (const line of [...logged, ...asked]) assert.ok(!/[\0\r\n]/.test(line) && line.length < 8000, line.slice(0, 300));
  // A login that did not come to its end is no reason to send the message.
  if (at === 'AUTH' && status !== 'sent') assert.ok(!heard.some((line) => line.startsWith('MAIL')));
});

test('what a server says before it is asked is not the answer to what it is asked later', async () => {
  const { logged, left, heard } = await deliver('DATA', { close: true, say: (socket) => { socket.write('354 go\r\n250 2.0.0 taken\r\n'); } });
  assert.ok(!heard.includes('.') || logged.at(-1)!.includes('status=deferred'), logged.at(-1));
  assert.deepEqual(left, ['joe@example.org']);
});

test('a slow server: a byte at a time is a reply all the same', async () => {
  const reply = '250 2.0.0 taken, slowly\r\n';
  const { logged } = await deliver('dot', {
    close: false,
    say: (socket) => {
      const next = (at: number): void => { if (at < reply.length) socket.write(reply[at]!, () => setImmediate(() => next(at + 1))); };
      next(0);
    },
  });
  assert.match(logged.at(-1)!, /status=sent \(250 2\.0\.0 taken, slowly\)/);
});
