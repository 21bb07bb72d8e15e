/**
 * A thousand clients that hang up rudely (RST) in every state of a session, in plain text and under TLS, and a thousand strange
 * handshakes: no process ends, and neither descriptors nor memory are lost with them.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { eventually } from '../instance.ts';
import { descriptorsOf, processNamed, served, treeSize } from './horde.ts';
import { openScene, type HordeScene } from './horde-scene.ts';

const count = 1000;
const atOnce = 40;
/** Kilobytes: garbage that is not yet collected, and what V8 keeps for more of the same. */
const growth = 60_000;
const slack = 20;

let scene: HordeScene;
before(async () => {
  scene = await openScene('smtpd_client_connection_count_limit = 0\nsmtpd_error_sleep_time = 0\n');
  assert.equal(await served(scene.port, 1), 1);
});
after(() => scene?.instance.stop());

/** `one` so many times, some at once; then everything is as before. */
async function thousand(one: (number: number) => Promise<void>): Promise<void> {
  const { instance, port } = scene;
  const server = processNamed(instance, 'network-in');
  const [descriptors, pids] = [descriptorsOf(server), [...instance.children().keys()]];
  const memory = treeSize(instance);
  let next = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => { while (next < count) await one(next++); }));
  assert.equal(await served(port, 3), 3);
  await eventually('their descriptors are free again', () => descriptorsOf(server) <= descriptors + slack);
  await eventually('every session has ended in the log', () => instance.lines(/: connect from /).length === instance.lines(/: disconnect from /).length);
  for (const pid of pids) assert.ok(instance.children().has(pid), `process ${pid} is still there`);
  assert.deepEqual(instance.lines(/(panic|fatal|unexpected|internal error)/), []);
  assert.ok(treeSize(instance) - memory < growth, `${treeSize(instance) - memory} kB more`);
}

/** Say this, a reply for each but the last, and be gone. */
function hangUp(port: number, said: readonly string[], waits: boolean): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    const left = [...said];
    const go = (): void => {
      const words = left.shift();
      if (words !== undefined) socket.write(words, 'latin1', () => { if (left.length === 0 || !waits) go(); });
      else socket.resetAndDestroy();
    };
    socket.on('error', () => undefined).on('close', () => resolve());
    socket.on('data', (bytes: Buffer) => { if (/^[0-9]{3} /m.test(bytes.toString('latin1'))) go(); });
    socket.setTimeout(15_000, () => socket.destroy());
    if (!waits) socket.on('connect', go);
  });
}

const dialogue = [
  'EHLO x\r\n', 'MAIL FROM:<a@example.test>\r\n', 'RCPT TO:<joe@example.test>\r\n', 'DATA\r\n', 'Subject: x\r\n\r\ntext', '\r\n.\r', '\n', 'QUIT\r\n',
];

test(`${count} resets, in every state of a session`, () => thousand((number) => {
  const length = number % (dialogue.length + 1);
  // Every other one does not wait for replies.
  return hangUp(scene.port, dialogue.slice(0, length), number % 2 === 0 && length < 5);
}));

const hello = '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + '\0'.repeat(300);

test(`${count} handshakes that are cut, behind STARTTLS and before the greeting`, () => thousand((number) => {
  const said = hello.slice(0, [0, 1, 5, 11, 100, 311][number % 6]);
  return number % 2 === 0 ? hangUp(scene.port, ['EHLO x\r\n', 'STARTTLS\r\n', said], true) : hangUp(scene.tlsPort, [said], false);
}));

const names = ['__proto__', 'constructor', 'a'.repeat(255), 'x'.repeat(63), '-', 'a..b', '\u00ff.test', 'mx.example.test', 'xn--', '127.0.0.1', ' ', '*'];
const protocols: readonly (readonly string[])[] = [[], ['smtp'], ['h2', 'http/1.1'], ['\xff\0'], ['x'.repeat(255)]];

/** The whole handshake, if they let us; a name that this end's library refuses to send is sent as none. */
function shake(number: number): Promise<void> {
  return new Promise((resolve) => {
    const asked = protocols[number % protocols.length]!;
    const servername = names[number % names.length]!;
    const options = { port: scene.tlsPort, host: '127.0.0.1', rejectUnauthorized: false, ...(asked.length > 0 ? { ALPNProtocols: asked } : {}) } as const;
    let socket: tls.TLSSocket;
    try {
      socket = tls.connect({ ...options, ...(net.isIP(servername) === 0 ? { servername } : {}) });
    } catch {
      socket = tls.connect(options);
    }
    socket.on('error', () => undefined).on('close', () => resolve());
    socket.setTimeout(15_000, () => socket.destroy());
    // Some leave in the middle of a record, some without a farewell, some with one.
    socket.on('data', () => (number % 3 === 0 ? socket.destroy() : number % 3 === 1 ? socket.end('QUIT\r\n') : socket.write('NOOP\r\n', () => socket.destroy())));
  });
}

test(`${count} handshakes with strange names and protocols`, () => thousand(shake));
