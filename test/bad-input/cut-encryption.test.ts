/**
 * A client that ends TLS in the middle of a chunk and goes on in plain text (CVE-2026-45185), and one whose commands lie behind STARTTLS
 * in the same packet (CVE-2011-0411): what is not encrypted is never taken for what is.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { openScene, type HordeScene } from '../faults/horde-scene.ts';
import { processNamed, served } from '../faults/horde.ts';
import { eventually } from '../instance.ts';

let scene: HordeScene;
before(async () => { scene = await openScene(); });
after(() => scene?.instance.stop());

/** Talks over a socket, one reply for each line. */
function talk(socket: net.Socket): (line: string | undefined) => Promise<string> {
  let input = '';
  socket.on('data', (bytes: Buffer) => { input += bytes.toString('latin1'); });
  return async (line) => {
    if (line !== undefined) socket.write(`${line}\r\n`, 'latin1');
    const found = await eventually(`an answer to ${line}`, () => /^(?:[0-9]{3}-[^\n]*\n)*[0-9]{3} [^\n]*\n/.exec(input));
    input = input.slice(found[0].length);
    return found[0];
  };
}

async function encrypted(behind = ''): Promise<{ plain: net.Socket; secret: tls.TLSSocket }> {
  const plain = net.connect(scene.port, '127.0.0.1');
  plain.on('error', () => undefined);
  const say = talk(plain);
  assert.match(await say(undefined), /^220 /);
  assert.match(await say('EHLO a'), /STARTTLS/);
  assert.match(await say(`STARTTLS${behind}`), /^220 /);
  plain.removeAllListeners('data');
  // TLS has a stream of its own, so that its end is not the end of the connection.
  const [inner, outer] = duplexPair();
  outer.on('data', (bytes: Buffer) => plain.write(bytes));
  plain.on('data', (bytes: Buffer) => outer.write(bytes));
  const secret = tls.connect({ socket: inner as net.Socket, rejectUnauthorized: false });
  secret.on('error', () => undefined);
  await once(secret, 'secureConnect');
  return { plain, secret };
}

for (const rest of ['X', `X${'x'.repeat(89)}`, `${'x'.repeat(90)}BDAT 0 LAST\r\n`, 'QUIT\r\n']) {
  test(`plain text behind the end of TLS in a chunk: ${JSON.stringify(rest.slice(0, 20))}`, async () => {
    const { plain, secret } = await encrypted();
    const say = talk(secret);
    assert.match(await say('EHLO a'), /CHUNKING/);
    for (const line of ['MAIL FROM:<a@example.test>', 'RCPT TO:<joe@example.test>']) assert.match(await say(line), /^250 /);
    const delivered = scene.delivered();
    const server = processNamed(scene.instance, 'network-in');
    let heard = '';
    secret.write('BDAT 100 LAST\r\n0123456789', 'latin1');
    secret.on('data', (bytes: Buffer) => { heard += bytes.toString('latin1'); });
    plain.on('data', (bytes: Buffer) => { heard += bytes.toString('latin1'); });
    const closed = once(plain, 'close');
    await new Promise<void>((resolve) => { secret.end(() => setImmediate(resolve)); });
    plain.write(rest, 'latin1');
    await closed;
    assert.doesNotMatch(heard, /250|queued/);
    await eventually('the session has ended', () => scene.instance.lines(/disconnect from/).length === scene.instance.lines(/: connect from/).length);
    assert.equal(await served(scene.port, 1), 1);
    await eventually('only the other message is delivered', () => scene.delivered() === delivered + 1);
    assert.ok(scene.instance.children().has(server));
    assert.deepEqual(scene.instance.lines(/(panic|fatal|unexpected|internal error)/), []);
  });
}

test('commands in the packet of STARTTLS are not served after the handshake', async () => {
  const { secret } = await encrypted('\r\nRSET\r\nNOOP\r\nMAIL FROM:<evil@example.test>');
  const say = talk(secret);
  assert.match(await say('EHLO a'), /^250-/);
  assert.match(await say('RCPT TO:<joe@example.test>'), /^503 /);
  assert.match(await say('QUIT'), /^221 /);
  secret.destroy();
});
