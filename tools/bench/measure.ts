/**
 * What `npm run bench` runs with the pinned Node; tools/bench/bench.mjs installs and builds first. Exit status: 0 done, 1 failed or
 * past a budget, 2 bad usage. However it ends, what it started is ended and its directory is removed.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { root } from '../install.mjs';
import { changeLine, compare, readResults } from './baseline.ts';
import { findDebianPostfix, testPrograms } from './debian-postfix.ts';
import { measureGrowth } from './growth.ts';
import { fuzz } from './fuzz.ts';
import { guard } from './guard.ts';
import { measureLatency } from './latency.ts';
import { measureLookups } from './lookups.ts';
import { describeMachine, ownVersion } from './machine.ts';
import { measureWorkload, type Bench, type Pair } from './matrix.ts';
import { postfixPrograms, posternPrograms } from './mail-system.ts';
import { parseOptions, UsageError, type BenchOptions } from './options.ts';
import { ratioPlot } from './plot.ts';
import { atEnd, endAll } from './processes.ts';
import { reportPage, summaryLines } from './report.ts';
import type { BySide, Growth, Idle, Latency, Results, Row } from './results.ts';
import { figure } from './statistics.ts';
import { latencyLoad, queueDepths, quicker, workloads, type Workload } from './workloads.ts';

/** The row whose pair also tells idle memory and latency. */
const plainRelay = 'relay-5k';
const place = `${root}/docs/performance`;

function makeBase(options: BenchOptions): string {
  const base = mkdtempSync(`${realpathSync(options.directory ?? os.tmpdir())}/postern-bench-`);
  chmodSync(base, 0o755);
  // On ext4: each side's directory in a part of the disk of its own, so that neither pays for inodes that the other has freed.
  spawnSync('chattr', ['+T', base]);
  atEnd(() => rmSync(base, { recursive: true, force: true }));
  return base;
}

interface Extras { idle?: BySide<Idle>; latency?: BySide<Latency> | undefined; meter: string; failures: number }

/** A part that fails is told of, and does not cost what the others found. */
async function attempt<T>(what: string, extras: Extras, part: () => Promise<T>): Promise<T | undefined> {
  try {
    return await part();
  } catch (error) {
    extras.failures++;
    console.error(`bench: ${what}: ${(error as Error).message}`);
    return undefined;
  }
}

async function latencyOf({ systems: { postern, postfix } }: Pair, quick: boolean): Promise<BySide<Latency>> {
  console.log('latency under a light load');
  const messages = quick ? latencyLoad.messages / 5 : latencyLoad.messages;
  const found = { postern: await measureLatency(postern, messages), postfix: await measureLatency(postfix, messages) };
  for (const [side, { accept, delivery }] of Object.entries(found)) {
    console.log(`  ${side}: accepted p50 ${figure(accept.p50)} ms, p99 ${figure(accept.p99)} ms; delivered p50 ${figure(delivery.p50)} ms, p99 ${figure(delivery.p99)} ms`);
  }
  return found;
}

/** What is asked of the plain relay beside its rows. */
async function besides(pair: Pair, { only, quick }: BenchOptions, extras: Extras): Promise<void> {
  extras.idle = pair.idle;
  if (only === undefined || only.test('latency')) extras.latency = await attempt('latency', extras, () => latencyOf(pair, quick));
}

function chosen({ only, quick }: BenchOptions): Workload[] {
  const named = workloads.filter(({ name }) => only === undefined || only.test(name) || (name === plainRelay && only.test('latency')));
  return quick ? named.map(quicker) : named;
}

async function growthOf(bench: Bench, { only, quick }: BenchOptions): Promise<BySide<Growth>[]> {
  if (only !== undefined && !only.test('growth')) return [];
  return measureGrowth(bench, quick ? queueDepths.map((depth) => depth / 10) : queueDepths);
}

async function measureAll(options: BenchOptions, bench: Bench, postfixVersion: string, extras: Extras): Promise<Results> {
  const rows: Row[] = [];
  for (const workload of chosen(options)) {
    for (const variant of workload.variants) {
      rows.push(await measureWorkload(bench, workload, variant, async (pair) => {
        extras.meter = pair.systems.postern.meterWay;
        if (workload.name === plainRelay && variant === 'shipped') await besides(pair, options, extras);
      }));
    }
  }
  const growth = await attempt('growth', extras, () => growthOf(bench, options)) ?? [];
  const { meter, idle, latency } = extras;
  return {
    format: 1, date: new Date().toISOString().slice(0, 10), quick: options.quick, rounds: bench.rounds, machine: describeMachine(bench.base),
    versions: { postern: ownVersion(), node: process.versions.node, postfix: postfixVersion }, meter, rows,
    ...(idle === undefined ? {} : { idle }), ...(latency === undefined ? {} : { latency }), growth,
  };
}

/** Five digits are more than the noise leaves. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
}

function write(results: Results): void {
  mkdirSync(place, { recursive: true });
  const page = `${place}/README.md`;
  writeFileSync(`${place}/results.json`, `${JSON.stringify(results, rounded, 1)}\n`);
  writeFileSync(page, reportPage(results, existsSync(page) ? readFileSync(page, 'utf8') : undefined));
  writeFileSync(`${place}/relay.svg`, ratioPlot(results.rows, 'Messages per second end to end, Postern to Postfix'));
  console.log('bench: written to docs/performance/');
}

async function matrix(options: BenchOptions, base: string): Promise<number> {
  const baseline = options.baseline === undefined ? undefined : readResults(readFileSync(options.baseline, 'utf8'));
  if (process.getuid!() !== 0) throw new Error("only root can run Debian's Postfix beside Postern; \"npm run bench -- guard\" needs no root");
  const debian = findDebianPostfix(base, options.fetchPostfix);
  const bench: Bench = { base, programs: { postern: posternPrograms(), postfix: postfixPrograms(debian) }, test: testPrograms(debian), rounds: options.rounds, quick: options.quick };
  const extras: Extras = { meter: 'nothing', failures: 0 };
  const results = await measureAll(options, bench, debian.version, extras);
  console.log(`\n${summaryLines(results).join('\n')}\n`);
  if (baseline !== undefined) console.log(`Against the baseline of ${baseline.date}:\n${compare(baseline, results).map(changeLine).join('\n')}\n`);
  if (options.write) write(results);
  return extras.failures > 0 || results.rows.some(({ status }) => status === 'failed') ? 1 : 0;
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options.mode === 'list') {
    console.log([...workloads.map(({ name, title }) => `${name}: ${title}`), 'latency: time of one message', 'growth: long queues'].join('\n'));
    return 0;
  }
  if (options.mode === 'fuzz') return fuzz(options) ? 0 : 1;
  const base = makeBase(options);
  if (options.mode === 'guard') return (await guard(options, base, testPrograms(findDebianPostfix(base, options.fetchPostfix)))) ? 0 : 1;
  if (options.mode === 'tables') return measureLookups(options, base, findDebianPostfix(base, options.fetchPostfix)) ? 0 : 1;
  return matrix(options, base);
}

let ending = false;

function endNow(why: string): void {
  if (ending) return;
  ending = true;
  console.error(`bench: ${why}: ending what was started`);
  void endAll().then(() => process.exit(1));
}

// A terminal's interrupt comes twice: from itself, and handed on by bench.mjs.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => endNow(signal));
process.stdout.on('error', () => endNow('nobody reads the output'));
process.stderr.on('error', () => endNow('nobody reads the messages'));
process.on('uncaughtException', (error) => endNow(error.stack ?? String(error)));

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!ending) console.error(error instanceof UsageError ? error.message : `bench: ${(error as Error).message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
} finally {
  // A signal's own ending is under way, and exits when it is done.
  if (ending) await new Promise(() => {});
  await endAll();
}
