/**
 * What is remembered of one address, `status:probed:updated:text` as Postfix writes it, and what its age means. Pure: seconds since
 * the epoch are handed in.
 */
import { probeStatus } from '../../ipc/verify.ts';
import { allDigits } from '../../text/ascii.ts';

export interface Entry {
  /** A value of probeStatus. */
  readonly status: number;
  /** When the probe was sent that is under way; 0: there is none. */
  readonly probed: number;
  /** When the result came; 0: there is none yet. */
  readonly updated: number;
  readonly text: string;
}

/** The address_verify_*_time parameters, seconds. */
export interface Lives {
  readonly positiveExpire: number;
  readonly positiveRefresh: number;
  readonly negativeExpire: number;
  readonly negativeRefresh: number;
}

/** Seconds after which a probe without result counts as lost. */
const probeLife = 1000;

export const unknown: Entry = { status: probeStatus.todo, probed: 0, updated: 0, text: 'Address verification in progress' };

const statuses: ReadonlySet<number> = new Set(Object.values(probeStatus));

/** Undefined: this was never written by us or by Postfix. */
export function parseEntry(raw: string): Entry | undefined {
  const parts = raw.split(':', 3);
  if (parts.length < 3 || !parts.every(allDigits)) return undefined;
  const start = parts.join(':').length;
  if (raw[start] !== ':') return undefined;
  const [status, probed, updated] = parts.map(Number) as [number, number, number];
  return statuses.has(status) && (probed > 0 || updated > 0) ? { status, probed, updated, text: raw.slice(start + 1) } : undefined;
}

export function renderEntry({ status, probed, updated, text }: Entry): string {
  return `${status}:${probed}:${updated}:${text}`;
}

/** No probe is under way, as far as one can tell: a new one may be sent. */
export function mayProbe({ probed }: Entry, now: number): boolean {
  return now - probed > probeLife;
}

/** Does the entry still count? While a probe is under way it always does. */
export function counts(entry: Entry, now: number, { positiveExpire, negativeExpire }: Lives): boolean {
  return !mayProbe(entry, now) || entry.updated + (entry.status === probeStatus.ok ? positiveExpire : negativeExpire) >= now;
}

export function wantsProbe(entry: Entry, now: number, { positiveRefresh, negativeRefresh }: Lives): boolean {
  return mayProbe(entry, now) && entry.updated + (entry.status === probeStatus.ok ? positiveRefresh : negativeRefresh) < now;
}
