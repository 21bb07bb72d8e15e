import test from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import type { Machine } from '../protocol/machine.ts';
import { Pump } from './pump.ts';
import { HandTicker } from './testing.ts';

type Step = { kind: 'send'; bytes: Buffer } | { kind: 'note'; text: string } | { kind: 'delay'; milliseconds: number } | { kind: 'close' };

/** Echoes lines; `wait` is performed slowly, `quit` closes, `pause` delays, ten seconds of silence are too long. */
class Echo implements Machine<Step> {
  private text = '';
  private readonly steps: Step[] = [];
  private now = 0;
  private due: number | undefined;

  receive(bytes: Buffer): void {
    this.text += bytes.toString('latin1');
    this.due = this.now + 10_000;
  }

  next(): Step | undefined {
    const end = this.text.indexOf('\n');
    if (this.steps.length === 0 && end >= 0) {
      const line = this.text.slice(0, end);
      this.text = this.text.slice(end + 1);
      if (line === 'quit') this.steps.push({ kind: 'send', bytes: Buffer.from('bye\n') }, { kind: 'close' });
      else if (line === 'end') this.steps.push({ kind: 'close' });
      else if (line === 'pause') this.steps.push({ kind: 'delay', milliseconds: 500 });
      else if (line.startsWith('wait') || line === 'bad') this.steps.push({ kind: 'note', text: line });
      else this.steps.push({ kind: 'send', bytes: Buffer.from(`${line}\n`) });
    }
    return this.steps.shift();
  }

  expire(now: number): void {
    this.now = now;
    if (this.due !== undefined && now >= this.due) {
      this.due = undefined;
      this.steps.push({ kind: 'send', bytes: Buffer.from('too slow\n') }, { kind: 'close' });
    }
  }

  deadline(): number | undefined {
    return this.due;
  }

  end(): void {
    this.receive(Buffer.from('end\n'));
  }
}

interface Stage {
  client: net.Socket;
  pump: Pump<Step>;
  ticker: HandTicker;
  notes: string[];
  release: () => void;
  heard: (wanted: string) => Promise<void>;
}

async function stage(use: (stage: Stage) => Promise<void>): Promise<void> {
  const server = net.createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const accepted = new Promise<net.Socket>((resolve) => { server.on('connection', resolve); });
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const ticker = new HandTicker();
  const notes: string[] = [];
  let release = (): void => {};
  let text = '';
  let check = (): void => {};
  client.on('data', (chunk) => { text += chunk.toString('latin1'); check(); });
  client.on('error', () => {});
  const pump: Pump<Step> = new Pump<Step>({
    socket: await accepted, machine: new Echo(), ticker,
    perform: (step) => {
      notes.push(step.kind === 'note' ? step.text : step.kind);
      if (step.kind === 'note' && step.text === 'bad') throw new Error('a bad step');
      return step.kind === 'note' ? new Promise((resolve) => { release = resolve; }) : undefined;
    },
  });
  const heard = (wanted: string): Promise<void> => new Promise((resolve) => {
    check = () => { if (text === wanted) resolve(); };
    check();
  });
  await use({ client, pump, ticker, notes, release: () => release(), heard });
  client.destroy();
  await new Promise((resolve) => { server.close(resolve); });
}

const until = async (ready: () => boolean): Promise<void> => {
  while (!ready()) await new Promise((resolve) => { setImmediate(resolve); });
};

test('bytes go through the machine and back; close flushes what was written', async () => {
  await stage(async ({ client, pump, heard, notes }) => {
    client.write('one\ntw');
    await heard('one\n');
    client.write('o\nquit\nnever\n');
    await heard('one\ntwo\nbye\n');
    await pump.closed;
    assert.deepEqual(notes, ['close']);
  });
});

test('a step that takes time holds the next ones back, a delay too', async () => {
  await stage(async ({ client, ticker, heard, notes, release }) => {
    client.write('wait\none\npause\ntwo\n');
    await until(() => notes.length === 1);
    await heard('');
    release();
    await heard('one\n');
    await until(() => ticker.waiting === 1);
    ticker.pass(500);
    await heard('one\ntwo\n');
  });
});

test('the deadline of the machine passes', async () => {
  await stage(async ({ client, ticker, heard, pump }) => {
    client.write('one\n');
    await heard('one\n');
    ticker.pass(9_000);
    client.write('two\n');
    await heard('one\ntwo\n');
    ticker.pass(9_999);
    await heard('one\ntwo\n');
    ticker.pass(1);
    await heard('one\ntwo\ntoo slow\n');
    await pump.closed;
  });
});

test('a peer that hangs up, gently or not, ends the machine', async () => {
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    await stage(async ({ client, pump, heard, notes }) => {
      client.write('one\n');
      await heard('one\n');
      client[leave]();
      await pump.closed;
      assert.deepEqual(notes, ['close']);
    });
  }
});

test('a peer that hangs up while a step is performed: what follows is performed too', async () => {
  await stage(async ({ client, pump, notes, release }) => {
    client.write('wait one\nwait two\n');
    await until(() => notes.length === 1);
    client.resetAndDestroy();
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => { setImmediate(resolve); });
    release();
    await until(() => notes.length === 2);
    release();
    await pump.closed;
    assert.deepEqual(notes, ['wait one', 'wait two', 'close']);
  });
});

test('a throw of a step closes the stream and is told', async () => {
  await stage(async ({ client, pump }) => {
    client.write('bad\n');
    await assert.rejects(pump.closed, /a bad step/);
  });
});

test('a peer that hung up before anybody listened to it ends the machine, too', async () => {
  const server = net.createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const accepted = new Promise<net.Socket>((resolve) => { server.on('connection', resolve); });
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1').end();
  const socket = await accepted;
  // With reads that share memory a stream comes to its end without being listened to.
  await until(() => (socket.read(0), socket.readableEnded));
  const notes: string[] = [];
  await new Pump<Step>({ socket, machine: new Echo(), ticker: new HandTicker(), perform: (step) => void notes.push(step.kind) }).closed;
  assert.deepEqual(notes, ['close']);
  client.destroy();
  await new Promise((resolve) => { server.close(resolve); });
});
