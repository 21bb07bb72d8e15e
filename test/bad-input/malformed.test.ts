/**
 * The corpus and thousands of random clients against the running mail system, on a plain port and on one with TLS: every reply can be
 * read, nobody is left waiting, the log has no control byte, memory stays, and a message is taken and delivered all the while.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { openScene, type HordeScene } from '../faults/horde-scene.ts';
import { processNamed, served, treeSize } from '../faults/horde.ts';
import { eventually } from '../instance.ts';
import { corpus } from './corpus.ts';
import { falseEnds } from './line-ends.ts';
import { Dice, randomSpeech } from './random-dialogue.ts';

const clients = 2000;
const atOnce = 20;
/** Kilobytes, after the first quarter. */
const growth = 60_000;
const patience = 20_000;

let scene: HordeScene;
before(async () => {
  scene = await openScene('smtpd_client_connection_count_limit = 0\nsmtpd_error_sleep_time = 0\nsmtpd_timeout = 3\nsmtpd_starttls_timeout = 3\n');
});
after(() => scene?.instance.stop());

interface Heard { readonly text: string; readonly isClosed: boolean }

function say(pieces: readonly Buffer[], isEncrypted: boolean): Promise<Heard> {
  return new Promise((resolve) => {
    const place = { host: '127.0.0.1', port: isEncrypted ? scene.tlsPort : scene.port };
    const socket = isEncrypted ? tls.connect({ ...place, rejectUnauthorized: false }) : net.connect(place);
    let text = '';
    let isClosed = true;
    socket.on('error', () => undefined).on('data', (bytes: Buffer) => { text += bytes.toString('latin1'); });
    socket.on('close', () => resolve({ text, isClosed }));
    socket.setTimeout(patience, () => {
      isClosed = false;
      socket.destroy();
    });
    const left = [...pieces];
    // After the greeting, a piece for each turn of this loop; then nothing more is said, and the server's word is waited for.
    socket.once('data', () => {
      const go = (): void => {
        const piece = left.shift();
        if (socket.destroyed) return;
        if (piece === undefined) socket.end();
        else socket.write(piece, () => setImmediate(go));
      };
      go();
    });
  });
}

function cut(bytes: Buffer, dice: Dice): Buffer[] {
  if (dice.happens(0.5)) return [bytes];
  const at = dice.below(bytes.length + 1);
  return [bytes.subarray(0, at), bytes.subarray(at)].filter(({ length }) => length > 0);
}

/** What a random client says: nonsense of the grammar, noise, or both. */
function words(seed: number): Buffer[] {
  const dice = new Dice(seed);
  if (dice.happens(0.2)) return cut(Buffer.from(Array.from({ length: 1 + dice.below(3000) }, () => dice.below(256))), dice);
  return Array.from({ length: 1 + dice.below(6) }, () => Buffer.from(randomSpeech(dice), 'latin1')).flatMap((bytes) => cut(bytes, dice));
}

/** Behind STARTTLS the bytes are TLS's: an alert and its like. */
function assertReadable(text: string, what: string): void {
  const plain = text.includes('Ready to start TLS\r\n') ? text.slice(0, text.indexOf('Ready to start TLS\r\n')) : text;
  for (const line of plain.split('\r\n').slice(0, -1)) assert.match(line, /^[2-5][0-9]{2}[ -][^\x00-\x08\x0a-\x1f\x7f]*$/, what);
}

async function play(inputs: readonly (readonly [name: string, pieces: readonly Buffer[]])[]): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let at = next++; at < inputs.length; at = next++) {
      const [name, pieces] = inputs[at]!;
      const { text, isClosed } = await say(pieces, at % 4 === 3);
      assert.ok(isClosed, `${name}: the server neither answers nor hangs up`);
      assertReadable(text, name);
    }
  }));
}

test(`${corpus.size} bad dialogues, ${falseEnds().length} false ends and ${clients} random clients`, async () => {
  const { instance, port } = scene;
  assert.equal(await served(port, 1), 1);
  const server = processNamed(instance, 'network-in');
  const random = Array.from({ length: clients }, (_, seed) => [`random client ${seed}`, words(seed)] as const);
  const ends = falseEnds().map(({ name, bytes }) => [name, [Buffer.from(`EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<joe@example.test>\r\nDATA\r\n${bytes}NOOP\r\n`, 'latin1')]] as const);
  const bad = [...corpus].map(([name, bytes]) => [name, [Buffer.from(bytes, 'latin1')]] as const);
  await play([...bad, ...ends, ...random.slice(0, clients / 4)]);
  const memory = treeSize(instance);
  const [, health] = await Promise.all([play(random.slice(clients / 4)), served(port, 20)]);
  assert.equal(health, 20);
  assert.ok(treeSize(instance) - memory < growth, `${treeSize(instance) - memory} kB more`);
  assert.ok(instance.children().has(server));
  await eventually('every session has ended in the log', () => instance.lines(/: connect from /).length === instance.lines(/: disconnect from /).length);
  assert.deepEqual(instance.lines(/(panic|fatal|unexpected|internal error)/), []);
  assert.doesNotMatch(instance.log(), /[\x00-\x09\x0b-\x1f\x7f]/);
});
