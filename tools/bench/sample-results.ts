/**
 * Results to test the pages with: no figures of any machine.
 */
import type { Measured, Results, Row } from './results.ts';

export function sampleMeasured(rate: number, cpu: number, more: Partial<Measured> = {}): Measured {
  return {
    messages: 1000, accept: { median: rate, min: rate * 0.9, max: rate * 1.1 }, endToEnd: { median: rate, min: rate * 0.9, max: rate * 1.1 },
    cpu: { median: cpu, min: cpu, max: cpu }, peakPss: 100, processes: 4, ...more,
  };
}

export function sampleRow(more: Partial<Row> = {}): Row {
  return {
    name: 'relay-5k', title: '5 kB, 20 sessions', variant: 'shipped', status: 'measured', goal: 4.5,
    postern: sampleMeasured(4000, 0.3, { systemCalls: 40 }), postfix: sampleMeasured(800, 2.1, { systemCalls: 500, peakPss: 90, processes: 70 }), ...more,
  };
}

export function sampleResults(rows: readonly Row[]): Results {
  const latency = { accept: { p50: 1, p99: 2 }, delivery: { p50: 3, p99: 4 } };
  const growth = { deferred: 10_000, start: 1, idlePss: 90, peakPss: 100, endToEnd: 4000, cpu: 0.3 };
  return {
    format: 1, date: '2001-02-03', quick: false, rounds: 3, machine: { cpu: 'A CPU', cores: 2, memory: '4 GiB', kernel: 'Linux 6.1', fileSystem: 'ext4' },
    versions: { postern: '1.0.0', node: '24.0.0', postfix: '3.7.11' }, meter: 'cgroup v1', rows,
    idle: { postern: { pss: 80, processes: 4 }, postfix: { pss: 10, processes: 5 } }, latency: { postern: latency, postfix: latency },
    growth: [{ postern: growth, postfix: growth }],
  };
}
