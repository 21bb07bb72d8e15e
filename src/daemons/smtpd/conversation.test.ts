import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import type { Cleanup, CleanupSession } from '../../ipc/cleanup.ts';
import { ears } from '../../delivery/testing.ts';
import { defaultSettings } from '../../protocol/smtp-server/settings.ts';
import type { Session } from '../../server/daemon.ts';
import type { Client, Decision } from './access/state.ts';
import { Conversation } from './conversation.ts';
import type { Hall } from './hall.ts';
import type { Policy } from './policy.ts';
import type { ServerTls } from './tls.ts';

const client = { name: 'unknown', address: '192.0.2.1', literal: '192.0.2.1', port: '2525', label: 'unknown[192.0.2.1]', serverAddress: '192.0.2.9', serverPort: '25' } as Client;

/** A promise and the hand that settles it. */
function later<T>(): { promise: Promise<T>; settle: (value: T) => void } {
  let settle!: (value: T) => void;
  const promise = new Promise<T>((resolve) => { settle = resolve; });
  return { promise, settle };
}

function cleanupSession(told: string[]): CleanupSession {
  const note = (what: string) => (): void => void told.push(what);
  return {
    queueId: '4bXyZ1', record: note('record'), message: note('message'), content: () => true, drained: async () => {}, extracted: note('extracted'),
    end: async () => ({ status: 0, reason: '' }), abort: note('abort'),
  };
}

type Question = 'recipient' | 'data' | 'cleanup' | 'nothing';

/** What a conversation needs around it. One question is not answered until `release`; `asked` resolves when it has been asked. */
class Scene {
  readonly told: string[] = [];
  readonly ears = ears();
  readonly asked = later<void>();
  readonly #held: Question;
  readonly #decision = later<Decision>();
  readonly #session = later<CleanupSession>();

  constructor(held: Question) {
    this.#held = held;
  }

  /** What was waited for comes, too late. */
  async release(): Promise<void> {
    this.#decision.settle(undefined);
    this.#session.settle(cleanupSession(this.told));
    await new Promise((resolve) => setImmediate(resolve));
  }

  #hold<T>(what: Question, promise: Promise<T>, otherwise: T): T | Promise<T> {
    if (what !== this.#held) return otherwise;
    this.asked.settle();
    return promise;
  }

  hall(): Hall {
    const nothing = (): undefined => undefined;
    const policy = {
      connect: nothing, hello: nothing, sender: nothing, endOfData: nothing, logRefusal: nothing,
      recipient: () => this.#hold('recipient', this.#decision.promise, undefined), data: () => this.#hold('data', this.#decision.promise, undefined),
    };
    const cleanup: Cleanup = { open: () => this.#hold('cleanup', this.#session.promise, cleanupSession(this.told)) };
    return {
      policy: policy as unknown as Policy, cleanup, log: this.ears.log,
      counts: () => ({ connected: nothing, message: nothing, recipient: nothing, auth: nothing, mayStartTls: () => true, startedTls: nothing, gone: nothing }),
      tls: { level: { isUsed: false, isRequired: false, isWrapped: false, authOnly: false } } as ServerTls,
      own: { hostname: 'mx.example.org', mailName: 'Postern', hideClient: false, date: () => '' },
      settings: () => defaultSettings('mx.example.org', client.label),
      isMalformed: () => false, hasSpace: () => true, isLocalRewriting: () => false, now: () => 0,
      ticker: { monotonic: () => 0, after: () => ({ cancel: nothing }) }, contentFilter: '', withoutFlags: 0, nextInstance: () => ({ begun: 1, number: 2 }),
    };
  }
}

const commands = ['EHLO client.example.org', 'MAIL FROM:<ann@example.org>', 'RCPT TO:<joe@example.org>', 'DATA'];

/** A client that waits for each reply and hangs up as soon as the question has been asked. */
async function hangUp(scene: Scene): Promise<void> {
  const server = net.createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const socket = net.connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1' }).on('error', () => {});
  let replies = '';
  let sent = 0;
  socket.on('data', (chunk: Buffer) => {
    replies += chunk.toString('latin1');
    const finished = replies.match(/^[0-9]{3} /gm)?.length ?? 0;
    for (; sent < finished && sent < commands.length; sent++) socket.write(`${commands[sent]}\r\n`);
  });
  const conversation = new Conversation({ socket: (await accepted).on('error', () => {}), log: scene.ears.log } as unknown as Session, client, scene.hall());
  const served = conversation.served();
  await scene.asked.promise;
  socket.resetAndDestroy();
  await served;
  server.close();
}

for (const [held, want] of [
  ['recipient', []],
  ['cleanup', ['abort']],
  ['data', ['abort']],
] as const) {
  test(`a client that hangs up while ${held} is being asked leaves no message open`, async () => {
    const scene = new Scene(held);
    await hangUp(scene);
    await scene.release();
    assert.deepEqual(scene.told.filter((what) => what === 'abort' || what === 'message'), want);
    assert.deepEqual(scene.ears.lines.filter((line) => line.startsWith('warning')), []);
  });
}

test('a group of commands whose answers are at hand is answered in one write', async () => {
  const scene = new Scene('nothing');
  const server = net.createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
  const peer = net.connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1' }).on('error', () => {});
  const socket = (await accepted).on('error', () => {});
  const written: string[] = [];
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  socket.write = ((bytes: string | Buffer, ...rest: unknown[]) => {
    written.push(bytes.toString('latin1'));
    return write(bytes, ...rest);
  }) as typeof socket.write;
  const served = new Conversation({ socket, log: scene.ears.log } as unknown as Session, client, scene.hall()).served();
  let heard = '';
  const talk = [`${commands[0]}\r\n`, `${commands.slice(1).join('\r\n')}\r\n`, 'Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n'];
  peer.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
    const ready = /^(?:220|250|354) .*\r\n$/m.test(heard.slice(heard.lastIndexOf('\n', heard.length - 2) + 1));
    if (ready && talk.length > 0) peer.write(talk.shift()!);
  });
  await served;
  server.close();
  assert.deepEqual(written.map((text) => text.match(/^[0-9]{3}(?= )/gm)?.join(' ')), ['220', '250', '250 250 354', '250 221']);
  assert.deepEqual(scene.ears.lines, [
    'connect from unknown[192.0.2.1]', '4bXyZ1: client=unknown[192.0.2.1]', 'disconnect from unknown[192.0.2.1] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5',
  ]);
});
