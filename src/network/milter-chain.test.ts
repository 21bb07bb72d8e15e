/** Filters that misbehave: each is worth the default action, no later than its time limits say. Time is the test's. */
import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import type { Edit } from '../protocol/milter/edit.ts';
import type { FilterVerdict } from '../protocol/milter/reply.ts';
import { connectInet } from './connect.ts';
import { long, packetBytes } from '../protocol/milter/testing.ts';
import { MilterChain } from './milter-chain.ts';
import { Filter, type Script } from './milter-testing.ts';

/** Timers that run when the test says so. */
class Clock {
  readonly waiting = new Set<{ readonly due: number; readonly run: () => void }>();
  monotonic(): number { return 0; }
  after(milliseconds: number, run: () => void, idle = false): { cancel(): void } {
    const timer = { due: milliseconds, run };
    if (!idle) this.waiting.add(timer);
    return { cancel: () => void this.waiting.delete(timer) };
  }

  /** The time for waiting is over. */
  strike(): void {
    for (const timer of [...this.waiting]) {
      this.waiting.delete(timer);
      timer.run();
    }
  }
}

const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

interface Scene { readonly chain: MilterChain; readonly clock: Clock; readonly warnings: string[] }

function chainTo(ports: readonly number[], defaultAction = 'tempfail'): Scene {
  const clock = new Clock();
  const warnings: string[] = [];
  const settings = ports.map((port) => ({ name: `inet:127.0.0.1:${port}`, connectTimeout: 1, commandTimeout: 2, contentTimeout: 3, protocol: '6', defaultAction }));
  const macros = { connect: '', hello: '', mail: 'i', rcpt: '', data: '', endOfHeaders: '', endOfData: '', unknown: '' };
  const surroundings = {
    ticker: clock, softBounce: false, warn: (text: string) => void warnings.push(text),
    connect: (_kind: string, place: string) => connectInet('127.0.0.1', Number(place.split(':').at(-1)), { ticker: { monotonic: () => 0, after: () => ({ cancel: () => undefined }) }, timeout: 5 }),
  };
  return { chain: new MilterChain(settings, { macros, macroDefaults: new Map() }, surroundings, () => undefined), clock, warnings };
}

const client = { name: 'host.test', address: '192.0.2.1', port: 25, family: 'inet' } as const;

/** The whole of a session with one message; the first verdict. */
async function session({ chain }: Scene, edits: Edit[] = [], body = 'body\r\n'): Promise<FilterVerdict> {
  const steps = [() => chain.connect(client), () => chain.hello('host.test'), () => chain.mail(['<a@b>']), () => chain.rcpt(['<c@d>']), () => chain.data()];
  for (const step of steps) {
    const verdict = await step();
    if (verdict !== undefined) return verdict;
  }
  const inspection = chain.inspection();
  for (let pass = await inspection.next(); pass !== undefined; pass = await inspection.next()) {
    if (await pass.header('Subject', ' x')) if (await pass.endOfHeaders()) await pass.body(Buffer.from(body));
    const verdict = await pass.end((edit) => void edits.push(edit));
    if (verdict !== undefined) return verdict;
  }
  inspection.close();
  return chain.lasting;
}

const unavailable = '451 4.7.1 Service unavailable - try again later';
const event = ['O', 'C', 'H', 'M', 'R', 'T', 'L', 'N', 'B', 'E'] as const;

for (const at of event) {
  for (const [how, answer] of [['closes', 'close'], ['is silent', 'silence'], ['speaks junk', { bytes: Buffer.from('HTTP/1.1 200 OK\r\n\r\n') }], ['answers with 10 MB', { bytes: Buffer.concat([Buffer.from([0, 0x9f, 0xff, 0xff]), Buffer.alloc(10 << 20, 'x')]) }], ['answers half', { bytes: Buffer.from([0, 0]) }]] as const) {
    test(`a filter that ${how} at ${at} is worth the default action`, async () => {
      const filter = new Filter();
      await filter.start();
      const scene = chainTo([filter.port]);
      try {
        filter.begin({ answers: { [at]: [answer] } } as Script);
        const verdict = session(scene);
        let isOver = false;
        void verdict.then(() => { isOver = true; });
        // Nothing but time passes, and only after the filter was heard.
        for (let turns = 0; !isOver && turns < 10_000; turns++) {
          await turn();
          if (filter.heard.some((each) => each.startsWith(at)) && turns > 50) scene.clock.strike();
        }
        assert.equal(await verdict, unavailable);
        assert.ok(scene.warnings.length > 0);
      } finally {
        scene.chain.quit();
        await filter.stop();
      }
    });
  }
}

test('a filter that sends a byte at a time and closes in the middle is worth the default action, wherever that is', async () => {
  const agreement = packetBytes(['O', long(6) + long(0x1ff) + long(0)]);
  for (let length = 0; length < agreement.length; length++) {
    const server = createServer((socket: Socket) => {
      socket.on('error', () => undefined).once('data', () => {
        for (const byte of agreement.subarray(0, length)) socket.write(Buffer.from([byte]));
        socket.end();
      });
    });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    const scene = chainTo([(server.address() as AddressInfo).port]);
    assert.equal(await session(scene), unavailable);
    scene.chain.quit();
    await new Promise((resolve) => { server.close(resolve); });
  }
});

test('a filter that says progress is waited for, and its edits come before the verdict', async () => {
  const filter = new Filter();
  await filter.start();
  const scene = chainTo([filter.port]);
  filter.begin({ answers: { E: [[['p'], ['h', 'X-A\0b\0'], ['c']]] } });
  const edits: Edit[] = [];
  assert.equal(await session(scene, edits), undefined);
  assert.deepEqual(edits, [{ kind: 'add-header', name: 'X-A', space: ' ', value: 'b' }]);
  assert.equal(scene.clock.waiting.size, 0);
  scene.chain.quit();
  await filter.stop();
});

test('a body goes to filters in pieces of 65535 bytes, whatever pieces it comes in', async () => {
  const filter = new Filter();
  await filter.start();
  const scene = chainTo([filter.port]);
  filter.begin({});
  assert.equal(await session(scene, [], 'x'.repeat(200_000)), undefined);
  assert.deepEqual(filter.heard.filter((each) => each.startsWith('B ')).map((each) => Number(each.split(' ')[1])), [65_535, 65_535, 65_535, 3395]);
  scene.chain.quit();
  await filter.stop();
});

test('a session that ends while a filter thinks has no verdict that lets the message pass', async () => {
  const filter = new Filter();
  await filter.start();
  const scene = chainTo([filter.port], 'accept');
  filter.begin({ answers: { E: ['silence'] } });
  const verdict = session(scene);
  while (!filter.heard.includes('E')) await turn();
  scene.chain.quit();
  assert.match((await verdict)!, /^4/);
  await filter.stop();
});
