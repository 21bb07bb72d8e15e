import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import test from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import { parseMasterCf } from '../../config/master-cf.ts';
import { ears } from '../../delivery/testing.ts';
import { hasLmdb } from '../../host/lmdb.ts';
import { LmdbReader } from '../../host/lmdb-reader.ts';
import { changeLmdb } from '../../host/lmdb-writer.ts';
import type { CleanupOptions } from '../../ipc/cleanup.ts';
import type { Calls } from '../../ipc/service.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import type { verifyService } from '../../ipc/verify.ts';
import type { Service, Tools } from '../../server/daemon.ts';
import { memoryCache } from '../../tables/cache.ts';
import { Sweep } from '../../tables/cache-sweep.ts';
import { daemon } from './verify.ts';

const start = 1_700_000_000;
const hour = 3600;
const day = 86_400;

interface Probe { readonly records: string[]; readonly options: CleanupOptions; content: string }

/** verify(8) with a clock of its own; probes are caught, and cleanup may be `down`. */
class Bench {
  readonly lines: string[];
  readonly probes: Probe[] = [];
  readonly service: Service;
  readonly calls: Calls<typeof verifyService>;
  down = false;
  now = start;
  #timers: { due: number; run: () => void }[] = [];

  constructor(settings: Record<string, string> = {}) {
    const { log, lines } = ears();
    this.lines = lines;
    const clock = {
      now: () => this.now * 1000, monotonic: () => this.now * 1000,
      after: (milliseconds: number, run: () => void) => {
        const timer = { due: this.now + milliseconds / 1000, run };
        this.#timers.push(timer);
        return { cancel: () => { this.#timers = this.#timers.filter((one) => one !== timer); } };
      },
    };
    const services = { cleanup: () => ({ open: (options: CleanupOptions) => this.#open(options) }) };
    const config = new Configuration('/', new Map(), Object.entries({ compatibility_level: '3.12', myhostname: 'host.example.test', address_verify_map: '', ...settings }));
    const [row] = parseMasterCf(daemon.card.row, 'master.cf').rows;
    this.service = daemon.open({ row, config, log, clock, services, restart: () => undefined } as unknown as Tools) as Service;
    this.calls = this.service.calls as Calls<typeof verifyService>;
  }

  #open(options: CleanupOptions) {
    if (this.down) throw new ServiceTrouble('cleanup', 'not there');
    const probe: Probe = { records: [], options, content: '' };
    return {
      queueId: 'AB12', message: () => undefined, extracted: () => undefined,
      record: (type: number, text: string) => void probe.records.push(String.fromCharCode(type) + text),
      content: (chunk: Buffer) => void (probe.content += chunk.toString('latin1')),
      end: async () => (this.probes.push(probe), { status: 0, reason: '' }),
    };
  }

  /** Time passes; timers that are due run. */
  async pass(seconds: number): Promise<void> {
    const end = this.now + seconds;
    for (let timer = this.#due(end); timer !== undefined; timer = this.#due(end)) {
      this.#timers = this.#timers.filter((one) => one !== timer);
      this.now = Math.max(this.now, timer.due);
      timer.run();
      await this.settle();
    }
    this.now = end;
  }

  #due(end: number) {
    return this.#timers.filter(({ due }) => due <= end).sort((one, other) => one.due - other.due)[0];
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Status and text of an address. */
  async ask(address: string): Promise<[status: number, reason: string]> {
    const { status, recipient_status: known, reason } = await this.calls.query({ address });
    assert.equal(status, 0);
    await this.settle();
    return [known, reason];
  }

  async tell(address: string, status: number, reason = 'text'): Promise<number> {
    return (await this.calls.update({ address, recipient_status: status, reason })).status;
  }
}

const todo: [number, string] = [3, 'Address verification in progress'];

test('an address that nobody knows is probed, once, and remembered', async () => {
  const bench = new Bench();
  assert.deepEqual(await bench.ask('joe@example.org'), todo);
  assert.deepEqual(await bench.ask('joe@example.org'), todo);
  assert.equal(bench.probes.length, 1);
  const [{ records, content, options }] = bench.probes as [Probe];
  assert.deepEqual(records, ['T1700000000 0', 'Alog_message_origin=local', 'Atrace_flags=256', 'Sdouble-bounce', 'Rjoe@example.org']);
  assert.match(content, /^Received: by host\.example\.test \(.*\)\n\tid AB12; .*\nDate: .*\n$/);
  // CLEANUP_FLAG_MAP_OK, and SMTPUTF8 where the address wants it.
  assert.deepEqual(options, { flags: 0x20 | 0x200, lineEnd: 'lf' });
  assert.equal(await bench.tell('joe@example.org', 0, '250 2.1.5 Ok'), 0);
  assert.deepEqual(await bench.ask('joe@example.org'), [0, '250 2.1.5 Ok']);
  assert.equal(bench.probes.length, 1);
});

test('results are asked for again, and given while they count', async () => {
  const bench = new Bench();
  await bench.tell('good@example.org', 0);
  await bench.tell('bad@example.org', 2, 'unknown\u0007');
  await bench.pass(3 * hour + 1);
  assert.deepEqual([await bench.ask('bad@example.org'), bench.probes.length], [[2, 'unknown?'], 1]);
  await bench.pass(7 * day);
  assert.deepEqual([await bench.ask('good@example.org'), bench.probes.length], [[0, 'text'], 2]);
  await bench.tell('good@example.org', 2, 'gone');
  assert.deepEqual(await bench.ask('good@example.org'), [0, 'text'], 'a failed probe does not take a good address away');
  await bench.pass(24 * day);
  assert.deepEqual([await bench.ask('good@example.org'), await bench.ask('bad@example.org')], [todo, todo]);
});

test('a probe that nobody answers is sent again', async () => {
  const bench = new Bench();
  await bench.ask('joe@example.org');
  await bench.pass(1000);
  await bench.ask('joe@example.org');
  assert.equal(bench.probes.length, 1);
  await bench.pass(1);
  await bench.ask('joe@example.org');
  assert.equal(bench.probes.length, 2);
});

test('without a negative cache nothing is noted of a new address, and what has expired is removed', async () => {
  const bench = new Bench({ address_verify_negative_cache: 'no' });
  await bench.ask('joe@example.org');
  await bench.ask('joe@example.org');
  assert.equal(bench.probes.length, 2);
  await bench.tell('joe@example.org', 0);
  await bench.pass(8 * day);
  await bench.ask('joe@example.org');
  await bench.ask('joe@example.org');
  assert.equal(bench.probes.length, 3, 'of a known address it is noted that a probe is under way');
});

test('a sender that changes with time, and colons in keys', async () => {
  const bench = new Bench({ address_verify_sender: 'probe@example.test', address_verify_sender_ttl: '1h' });
  await bench.ask('joe@[IPv6:2001:db8::1]');
  assert.deepEqual(bench.probes[0]!.records.slice(3), ['SprobeHVCZ@example.test', 'Rjoe@[IPv6:2001:db8::1]']);
  await bench.tell('joe@[IPv6:2001:db8::1]', 0, 'fine');
  assert.deepEqual(await bench.ask('joe@[IPv6_2001_db8__1]'), [0, 'fine']);
});

test('a probe that does not get on its way is not waited for', async () => {
  const bench = new Bench();
  bench.down = true;
  assert.deepEqual(await bench.ask('joe@example.org'), todo);
  assert.match(bench.lines.at(-1)!, /^warning: probe of joe@example\.org: .*not there/);
  bench.down = false;
  await bench.ask('joe@example.org');
  assert.equal(bench.probes.length, 1);
});

test('no more probes at once than may be in the queue', async () => {
  const bench = new Bench({ address_verify_pending_request_limit: '2' });
  await Promise.all(['a', 'b', 'c'].map((name) => bench.calls.query({ address: `${name}@example.org` })));
  await bench.settle();
  assert.equal(bench.probes.length, 2);
  await bench.ask('c@example.org');
  assert.equal(bench.probes.length, 3);
});

test('what is no status is not kept', async () => {
  const bench = new Bench();
  assert.equal(await bench.tell('joe@example.org', 3), -2);
  assert.deepEqual(bench.lines, ['warning: bad recipient status 3 for recipient joe@example.org']);
});

test('a sender that makes no sense ends the process', () => {
  assert.throws(() => new Bench({ address_verify_sender: '@example.org' }), /exit 1/);
});

test('old entries go, the others stay, every 12 hours', async () => {
  const bench = new Bench();
  bench.service.start!();
  await bench.settle();
  await bench.pass(0);
  await bench.tell('good@example.org', 0);
  await bench.tell('bad@example.org', 2);
  await bench.pass(3 * day + 12 * hour);
  const told = bench.lines.filter((line) => line.startsWith('cache internal:verify full cleanup: '));
  assert.equal(told.length, 8);
  assert.deepEqual([told[0], told[6], told[7]].map((line) => line!.slice(36)), ['retained=0 dropped=0 entries', 'retained=2 dropped=0 entries', 'retained=1 dropped=1 entries']);
  assert.deepEqual(await bench.ask('good@example.org'), [0, 'text']);
  assert.equal(bench.service.busy!(), true);
  await bench.service.drain!(true);
});

test('what is in memory has a limit: the oldest goes', () => {
  const cache = memoryCache(2);
  for (const key of ['a', 'b', 'a', 'c']) cache.put(key, key);
  assert.deepEqual([...cache.entries()].map(([key]) => key), ['a', 'c']);
});

test('a cleanup in many turns lets go when the process ends, and says how far it came', async () => {
  const { log, lines } = ears();
  const cache = memoryCache();
  for (let number = 0; number < 1200; number++) cache.put(`u${number}@example.org`, number % 2 === 0 ? 'old' : 'new');
  const waiting: (() => void)[] = [];
  const clock = { now: () => start * 1000, monotonic: () => 0, after: (_milliseconds: number, run: () => void) => (waiting.push(run), { cancel: () => undefined }) };
  const sweep = new Sweep(cache, { log, clock, interval: 60, keeps: (raw) => raw === 'new' });
  await sweep.start();
  waiting.shift()!();
  while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal([...cache.entries()].length, 950, 'of the first 500');
  sweep.stop();
  waiting.shift()!();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(lines, ['cache internal:verify partial cleanup: retained=250 dropped=250 entries']);
  assert.equal([...cache.entries()].length, 950);
});

const noLmdb = !hasLmdb() && 'liblmdb is missing';

test('a file that Postfix wrote is read, and written as Postfix writes it; nobody else may read it', { skip: noLmdb }, async (t) => {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/verify-map-`);
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const settings = { address_verify_map: `lmdb:${directory}/cache`, data_directory: directory };
  changeLmdb(`${directory}/cache.lmdb`, [['joe@example.org', `0:0:${start - 10}:250 fine`], ['Ann@example.org', 'rubbish']], { mapSize: 1 << 20, replace: true, mode: 0o600 });
  const bench = new Bench(settings);
  assert.deepEqual(await bench.ask('joe@example.org'), [0, '250 fine']);
  assert.deepEqual(await bench.ask('Ann@example.org'), todo);
  assert.ok(bench.lines.includes('warning: bad address verify table entry: rubbish'));
  await bench.tell('Ann@example.org', 1, 'later');
  await bench.pass(12 * hour);
  bench.now += 5 * day;
  await bench.pass(0);
  await bench.settle();
  assert.ok(bench.lines.includes(`cache lmdb:${directory}/cache full cleanup: retained=1 dropped=1 entries`), bench.lines.join('\n'));
  const reader = new LmdbReader(`${directory}/cache.lmdb`);
  assert.deepEqual([...reader.entries()].map(([key, value]) => `${key} ${value}`), [`_LAST_CACHE_CLEANUP_COMPLETED_ ${bench.now}`, `joe@example.org 0:0:${start - 10}:250 fine`]);
  reader.close();
  assert.equal(fs.statSync(`${directory}/cache.lmdb`).mode & 0o777, 0o600);
});

test('a cache that cannot be made puts every address off, until it can', { skip: noLmdb }, async (t) => {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/verify-map-`);
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const bench = new Bench({ address_verify_map: `lmdb:${directory}/missing/cache`, data_directory: directory });
  assert.deepEqual(await bench.ask('joe@example.org'), [1, 'Address verification status unavailable']);
  assert.match(bench.lines[0]!, /^warning: lmdb:.*\/missing\/cache is unavailable\. No such file or directory/);
  assert.equal(await bench.tell('joe@example.org', 0), 0);
  fs.mkdirSync(`${directory}/missing`);
  assert.deepEqual(await bench.ask('joe@example.org'), todo);
  assert.equal(bench.probes.length, 1);
});

test('what strangers cause to be written does not go into a directory of somebody else', { skip: noLmdb || (process.geteuid!() !== 0 && 'only root can give directories away') }, async (t) => {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/verify-map-`);
  t.after(() => fs.rmSync(directory, { recursive: true }));
  fs.mkdirSync(`${directory}/theirs`);
  fs.chownSync(`${directory}/theirs`, 12_345, 12_345);
  const bench = new Bench({ address_verify_map: `lmdb:${directory}/theirs/cache`, data_directory: directory, mail_owner: 'postfix' });
  await bench.ask('joe@example.org');
  assert.deepEqual(bench.lines.slice(0, 2), [
    `warning: request to update table lmdb:${directory}/theirs/cache in non-postfix directory ${directory}/theirs`,
    `warning: redirecting the request to postfix-owned data_directory ${directory}`,
  ]);
  assert.ok(fs.existsSync(`${directory}/cache.lmdb`));
});
