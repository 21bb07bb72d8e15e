/**
 * `npm run bench -- guard`: CPU and system calls per relayed message of Postern alone, against the budget. Both hardly depend on
 * what else the machine does, and what noise there is only adds: so the quietest of the runs counts.
 */
import { smtpSink, type SinkArrivals } from './arrivals.ts';
import type { TestPrograms } from './debian-postfix.ts';
import { smtpSource, type Driver, type Load } from './drivers.ts';
import { shipped } from './main-cf.ts';
import { MailSystem, posternPrograms } from './mail-system.ts';
import type { BenchOptions } from './options.ts';
import { runLoad, type Run } from './run.ts';
import { figure, spread } from './statistics.ts';
import { countSystemCalls, noStrace } from './system-calls.ts';

export const guardLoad: Load = { messages: 4000, size: 5000, sessions: 20 };
const warmUp = 2000;
const tracedMessages = 1000;

function isWithin(what: string, value: number, budget: number, unit: string): boolean {
  const good = value <= budget;
  console.log(`guard: ${what} per message: ${figure(value)}${unit}, budget ${figure(budget)}${unit}: ${good ? 'good' : 'PAST THE BUDGET'}`);
  return good;
}

async function cpuOf(system: MailSystem, driver: Driver, arrivals: SinkArrivals, rounds: number): Promise<number> {
  await runLoad(system, { ...guardLoad, messages: warmUp }, driver, arrivals);
  const runs: Run[] = [];
  for (let round = 1; round <= rounds; round++) {
    const run = await runLoad(system, guardLoad, driver, arrivals);
    runs.push(run);
    console.log(`guard: run ${round} of ${rounds}: ${figure(run.cpu)} ms of CPU per message, ${figure(run.endToEnd)} messages/s`);
  }
  const { median, min, max } = spread(runs.map(({ cpu }) => cpu));
  console.log(`guard: CPU by ${system.meterWay}: median ${figure(median)} ms, ${figure(min)} to ${figure(max)}`);
  return min;
}

/** True when within the budget. */
export async function guard(options: BenchOptions, base: string, test: TestPrograms): Promise<boolean> {
  const driver = smtpSource(test);
  const system = await MailSystem.create(posternPrograms(), base, shipped);
  try {
    await system.start();
    const arrivals = smtpSink(test, system.sinkPort);
    const cpu = isWithin('CPU', await cpuOf(system, driver, arrivals, options.rounds), options.cpuBudget, ' ms');
    const reason = noStrace();
    if (reason !== undefined) {
      console.log(`guard: system calls not counted: ${reason}`);
      return cpu;
    }
    const { total, calls } = await countSystemCalls(system, { ...guardLoad, messages: tracedMessages }, driver, arrivals);
    const most = [...calls].sort(([, one], [, other]) => other - one).slice(0, 8).map(([name, count]) => `${name} ${figure(count / tracedMessages)}`);
    console.log(`guard: most of them: ${most.join(', ')}`);
    return isWithin('system calls', total / tracedMessages, options.syscallBudget, '') && cpu;
  } finally {
    await system.remove();
  }
}
