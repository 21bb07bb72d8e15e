/**
 * The rows of the bench: for each row both sides stand up at once, with the same lines in main.cf, and the load goes through one and the other in turn.
 */
import type { TestPrograms } from './debian-postfix.ts';
import type { Driver, Load } from './drivers.ts';
import { variants, type Variant } from './main-cf.ts';
import { MailSystem, type Programs, type Side } from './mail-system.ts';
import { delay } from './processes.ts';
import { measured, ratios, type BySide, type Idle, type Measured, type Row } from './results.ts';
import { runLoad, type Run } from './run.ts';
import { arrivalsOf, driverOf, setups, type Setup } from './setups.ts';
import { figure, noise } from './statistics.ts';
import { countSystemCalls, noStrace } from './system-calls.ts';
import type { SetupName, Workload } from './workloads.ts';

export interface Bench {
  readonly base: string;
  readonly programs: BySide<Programs>;
  readonly test: TestPrograms;
  readonly rounds: number;
  readonly quick: boolean;
}

export const sides: readonly Side[] = ['postern', 'postfix'];

/** Milliseconds: before memory counts as that of an idle system, and between two runs. */
const settling = 3000;
const breath = 300;
const tracedMessages = 1000;
/** Messages that come before those that count: at most so many, so many bytes, and so many times those that count. */
const warmUp = { messages: 8000, bytes: 400 << 20, times: 4 };

/** A server runs for weeks: what compiles itself while it runs must have had the time for that. What is compiled already needs a run. */
function warmUpOf({ load, messages }: Workload, side: Side): Load {
  const enough = side === 'postern' ? messages.postern * warmUp.times : messages.postfix;
  return { ...load, messages: Math.min(enough, warmUp.messages, Math.ceil(warmUp.bytes / load.size)) };
}

/** Both sides with the same lines in main.cf, up and warm. */
export class Pair {
  readonly systems: BySide<MailSystem>;
  readonly setup: Setup;
  /** Before any message. */
  idle: BySide<Idle> = { postern: { pss: 0, processes: 0 }, postfix: { pss: 0, processes: 0 } };

  private constructor(systems: BySide<MailSystem>, setup: Setup) {
    this.systems = systems;
    this.setup = setup;
  }

  static async create(bench: Bench, setupName: SetupName, variant: Variant): Promise<Pair> {
    const setup = setups[setupName];
    const make = (side: Side): Promise<MailSystem> => MailSystem.create(bench.programs[side], bench.base, variants[variant]);
    const pair = new Pair({ postern: await make('postern'), postfix: await make('postfix') }, setup);
    try {
      for (const side of sides) {
        const system = pair.systems[side];
        if (setup.prepare !== undefined) system.addLines(await setup.prepare(system));
        await system.start();
      }
      await delay(settling);
      pair.idle = { postern: pair.systems.postern.memory(), postfix: pair.systems.postfix.memory() };
      return pair;
    } catch (error) {
      await pair.remove();
      throw error;
    }
  }

  async remove(): Promise<void> {
    for (const side of sides) await this.systems[side].remove();
  }
}

/** The runs of one workload and variant, both sides in turn. */
class RowRun {
  readonly #bench: Bench;
  readonly #pair: Pair;
  readonly #workload: Workload;
  readonly #driver: Driver;
  readonly #runs: BySide<Run[]> = { postern: [], postfix: [] };
  readonly #flushes = new Map<Side, number>();

  constructor(bench: Bench, pair: Pair, workload: Workload) {
    this.#bench = bench;
    this.#pair = pair;
    this.#workload = workload;
    this.#driver = driverOf(pair.setup, bench.test);
  }

  /** `able`: the sides that can do this. */
  async all(able: readonly Side[]): Promise<{ [side in Side]?: Measured }> {
    for (const side of able) await this.#run(side, warmUpOf(this.#workload, side));
    for (let round = 0; round < this.#bench.rounds; round++) {
      for (const side of able) await this.#measure(side);
    }
    const found: { [side in Side]?: Measured } = {};
    for (const side of able) found[side] = measured(this.#runs[side], { ...await this.#systemCalls(side), ...this.#flushed(side) });
    return found;
  }

  async #measure(side: Side): Promise<void> {
    const flushes = this.#pair.setup.flushes?.(this.#pair.systems[side]) ?? 0;
    const run = await this.#run(side, { ...this.#workload.load, messages: this.#workload.messages[side] });
    this.#runs[side].push(run);
    const flushed = (this.#pair.setup.flushes?.(this.#pair.systems[side]) ?? 0) - flushes;
    this.#flushes.set(side, (this.#flushes.get(side) ?? 0) + flushed / run.messages / this.#bench.rounds);
    console.log(`  ${side}: ${figure(run.endToEnd)}/s end to end, ${figure(run.accept)}/s accepted, ${figure(run.cpu)} ms CPU, ${figure(run.pss)} MB, ${run.processes} processes${flushed === 0 ? '' : `, ${figure(flushed / run.messages)} flushes per message`}`);
  }

  async #run(side: Side, load: Load): Promise<Run> {
    await delay(breath);
    const system = this.#pair.systems[side];
    const whole = this.#pair.setup.to === undefined ? load : { ...load, to: this.#pair.setup.to };
    try {
      return await runLoad(system, whole, this.#driver, arrivalsOf(this.#pair.setup, system, this.#bench.test));
    } catch (error) {
      throw new Error(`${side}: ${(error as Error).message}\n${system.lastLog()}`);
    }
  }

  async #systemCalls(side: Side): Promise<{ systemCalls?: number }> {
    if (!this.#workload.systemCalls || noStrace() !== undefined) return {};
    const system = this.#pair.systems[side];
    const { total, calls } = await countSystemCalls(system, { ...this.#workload.load, messages: tracedMessages }, this.#driver, arrivalsOf(this.#pair.setup, system, this.#bench.test));
    const most = [...calls].sort(([, one], [, other]) => other - one).slice(0, 6).map(([name, count]) => `${name} ${figure(count / tracedMessages)}`);
    console.log(`  ${side}: ${figure(total / tracedMessages)} system calls per message (${most.join(', ')})`);
    return { systemCalls: total / tracedMessages };
  }

  #flushed(side: Side): { flushes?: number } {
    if (this.#pair.setup.flushes === undefined) return {};
    const flushes = this.#flushes.get(side) ?? 0;
    if (flushes === 0) throw new Error(`${side}: no flush was seen: the slow disk is not in its way`);
    return { flushes };
  }
}

function told(row: Row): Row {
  const found = ratios(row);
  if (found === undefined) console.log(`  ${row.status}${row.reason === undefined ? '' : `: ${row.reason}`}`);
  else console.log(`  => ${figure(found.endToEnd)} times the rate end to end${row.goal === undefined ? '' : ` (wanted ${row.goal})`}, ${figure(found.cpu)} times less CPU, noise ±${noise(row.postern!.endToEnd).toFixed(0)} % and ±${noise(row.postfix!.endToEnd).toFixed(0)} %`);
  return row;
}

async function measureRow(bench: Bench, pair: Pair, workload: Workload, variant: Variant): Promise<Row> {
  const { name, title, goal } = workload;
  const base = { name, title, variant, ...(goal?.[variant] === undefined ? {} : { goal: goal[variant] }) };
  console.log(`${name}, ${variant}: ${title}`);
  const notYet = await pair.setup.notYet?.(pair.systems.postern);
  const found = await new RowRun(bench, pair, workload).all(notYet === undefined ? sides : ['postfix']);
  return told({ ...base, ...(notYet === undefined ? { status: 'measured' } : { status: 'not yet', reason: notYet }), ...found });
}

function unmeasured({ name, title }: Workload, variant: Variant, status: Row['status'], reason: string): Row {
  console.log(`${name}, ${variant}: ${status}: ${reason}`);
  return { name, title, variant, status, reason: reason.split('\n', 1)[0]! };
}

/**
 * One row, on a pair of its own: memory is that of this row, and no late message of another is counted. `besides` gets the pair once
 * the row is measured.
 */
export async function measureWorkload(bench: Bench, workload: Workload, variant: Variant, besides: (pair: Pair) => Promise<void>): Promise<Row> {
  const missing = setups[workload.setup].missing?.();
  if (missing !== undefined) return unmeasured(workload, variant, 'skipped', missing);
  let pair: Pair | undefined;
  try {
    pair = await Pair.create(bench, workload.setup, variant);
    const row = await measureRow(bench, pair, workload, variant);
    await besides(pair);
    return row;
  } catch (error) {
    return unmeasured(workload, variant, 'failed', (error as Error).message);
  } finally {
    await pair?.remove();
  }
}
