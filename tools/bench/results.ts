/**
 * What a run of the bench found out, as it stands in results.json. Pure.
 */
import type { Variant } from './main-cf.ts';
import type { Side } from './mail-system.ts';
import type { Run } from './run.ts';
import { spread, type Spread } from './statistics.ts';

/** Rates in messages per second, CPU in milliseconds per message, memory in MB. */
export interface Measured {
  readonly messages: number;
  readonly accept: Spread;
  readonly endToEnd: Spread;
  readonly cpu: Spread;
  /** The highest of all runs. */
  readonly peakPss: number;
  readonly processes: number;
  /** Per message. */
  readonly systemCalls?: number;
  /** Per message, on the slow disk. */
  readonly flushes?: number;
}

export interface Row {
  readonly name: string;
  readonly title: string;
  readonly variant: Variant;
  /** The least ratio of end-to-end rates that is wanted. */
  readonly goal?: number;
  readonly status: 'measured' | 'not yet' | 'skipped' | 'failed';
  /** Why it is not measured. */
  readonly reason?: string;
  readonly postern?: Measured;
  readonly postfix?: Measured;
}

export interface Quantiles { readonly p50: number; readonly p99: number }

/** Milliseconds from the opening of the connection. */
export interface Latency { readonly accept: Quantiles; readonly delivery: Quantiles }

export interface Idle { readonly pss: number; readonly processes: number }

/** A queue of deferred messages, and others relayed meanwhile. */
export interface Growth {
  readonly deferred: number;
  /** Seconds from `postfix start` to the delivery of a fresh message. */
  readonly start: number;
  readonly idlePss: number;
  readonly peakPss: number;
  readonly endToEnd: number;
  readonly cpu: number;
}

export type BySide<T> = { readonly [side in Side]: T };

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory: string;
  readonly kernel: string;
  readonly fileSystem: string;
}

export interface Results {
  readonly format: 1;
  readonly date: string;
  readonly quick: boolean;
  readonly rounds: number;
  readonly machine: Machine;
  readonly versions: { readonly postern: string; readonly node: string; readonly postfix: string };
  /** How CPU was counted. */
  readonly meter: string;
  readonly rows: readonly Row[];
  readonly idle?: BySide<Idle>;
  readonly latency?: BySide<Latency>;
  readonly growth: readonly BySide<Growth>[];
}

export function measured(runs: readonly Run[], more: { systemCalls?: number; flushes?: number } = {}): Measured {
  return {
    messages: runs[0]!.messages,
    accept: spread(runs.map(({ accept }) => accept)),
    endToEnd: spread(runs.map(({ endToEnd }) => endToEnd)),
    cpu: spread(runs.map(({ cpu }) => cpu)),
    peakPss: Math.max(...runs.map(({ pss }) => pss)),
    processes: Math.max(...runs.map(({ processes }) => processes)),
    ...more,
  };
}

export interface Ratios {
  /** Postern's rate in Postfix's. */
  readonly accept: number;
  readonly endToEnd: number;
  /** Postfix's CPU and memory in Postern's: above one, Postern needs less. */
  readonly cpu: number;
  readonly pss: number;
}

export function ratios({ postern, postfix }: Row): Ratios | undefined {
  if (postern === undefined || postfix === undefined) return undefined;
  return {
    accept: postern.accept.median / postfix.accept.median,
    endToEnd: postern.endToEnd.median / postfix.endToEnd.median,
    cpu: postfix.cpu.median / postern.cpu.median,
    pss: postfix.peakPss / postern.peakPss,
  };
}
