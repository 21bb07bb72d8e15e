/**
 * How long one message takes under a light load: to the reply that accepts it, and to the next hop.
 */
import { latencyLoad } from './workloads.ts';
import type { MailSystem } from './mail-system.ts';
import { endProgram, startProgram, within } from './processes.ts';
import type { Latency, Quantiles } from './results.ts';
import { sender, sinkRecipient } from './drivers.ts';
import { nodeSink } from './setups.ts';
import type { LoadOrder } from './smtp-load.ts';
import { quantile } from './statistics.ts';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('smtp-load.ts', import.meta.url));
const loadLimit = 120_000;
const drainLimit = 30_000;

function quantiles(durations: readonly number[]): Quantiles {
  return { p50: quantile(durations, 0.5), p99: quantile(durations, 0.99) };
}

/** The last line of JSON in what a program wrote. */
export function lastDurations(output: string): number[] {
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(line) as number[];
}

async function send(order: LoadOrder): Promise<number[]> {
  const program = startProgram(process.execPath, [source, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  program.child.stdout!.on('data', (chunk: Buffer) => { output += chunk.toString('latin1'); });
  try {
    const { status } = await within(loadLimit, 'the messages were sent', program.ended);
    if (status !== 0) throw new Error(program.said());
    return lastDurations(output);
  } finally {
    await endProgram(program);
  }
}

export async function measureLatency(system: MailSystem, messages: number): Promise<Latency> {
  const { size, sessions, pause } = latencyLoad;
  const sink = nodeSink(system, false);
  await sink.open();
  try {
    const accepted = await send({ port: system.port, messages, size, sessions, pause, keep: false, tls: false, from: sender, to: sinkRecipient });
    await sink.all(messages, drainLimit);
    await sink.close();
    const delivered = lastDurations(sink.output);
    if (accepted.length !== messages || delivered.length !== messages) throw new Error(`${messages} messages sent, ${accepted.length} accepted, ${delivered.length} delivered`);
    return { accept: quantiles(accepted), delivery: quantiles(delivered) };
  } finally {
    await sink.close();
  }
}
