/**
 * One run of a load through one mail system: rates, CPU and memory. The count must come out exactly, else the run is an error.
 */
import type { Arrivals } from './arrivals.ts';
import type { Driver, Load } from './drivers.ts';
import type { MailSystem } from './mail-system.ts';
import { assertGoing, delay } from './processes.ts';

export interface Run {
  readonly messages: number;
  /** Messages acknowledged per second. */
  readonly accept: number;
  /** Messages per second until all were acknowledged and the last had arrived (Postfix may deliver before it acknowledges). */
  readonly endToEnd: number;
  /** Milliseconds of CPU per message, the whole mail system. */
  readonly cpu: number;
  /** Peak memory in MB and number of processes. */
  readonly pss: number;
  readonly processes: number;
}

const runLimit = 180_000;
/** What the mail system still does when the last message has arrived (removing, done notes) is its CPU too. */
const aftermath = 700;
const sampleEvery = 1000;

/** The highest of the memory figures, taken once a second and at the end. */
class Peak {
  pss = 0;
  processes = 0;
  readonly #system: MailSystem;
  readonly #timer: NodeJS.Timeout;

  constructor(system: MailSystem) {
    this.#system = system;
    this.#timer = setInterval(() => this.sample(), sampleEvery);
  }

  sample(): void {
    const { pss, processes } = this.#system.memory();
    this.pss = Math.max(this.pss, pss);
    this.processes = Math.max(this.processes, processes);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

export async function runLoad(system: MailSystem, load: Load, driver: Driver, arrivals: Arrivals): Promise<Run> {
  assertGoing();
  await arrivals.open();
  const peak = new Peak(system);
  try {
    return await measure(system, load, driver, arrivals, peak);
  } finally {
    peak.stop();
    await arrivals.close();
  }
}

async function measure(system: MailSystem, load: Load, driver: Driver, arrivals: Arrivals, peak: Peak): Promise<Run> {
  const { messages } = load;
  const cpuBefore = system.cpu();
  const begin = performance.now();
  const arrived = arrivals.all(messages, runLimit);
  arrived.catch(() => undefined); // a driver that fails is heard first
  await driver(system, load, runLimit);
  const accepted = performance.now();
  peak.sample();
  const end = await arrived;
  await delay(aftermath);
  const cpu = system.cpu() - cpuBefore;
  if (arrivals.count() !== messages) throw new Error(`${arrivals.count()} messages arrived of ${messages} sent`);
  return {
    messages, cpu: cpu / messages, pss: peak.pss, processes: peak.processes,
    accept: messages / (accepted - begin) * 1000, endToEnd: messages / (Math.max(end, accepted) - begin) * 1000,
  };
}
