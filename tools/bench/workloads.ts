/**
 * What is measured: one row per workload and variant of main.cf. The order is that of the report. Pure.
 */
import type { Load } from './drivers.ts';
import type { Variant } from './main-cf.ts';
import type { Side } from './mail-system.ts';

/** How mail comes in, and what it meets; each is made by one function in setups.ts. */
export type SetupName = 'relay' | 'maildir' | 'mailbox' | 'submission' | 'tls' | 'tls-in' | 'restrictions' | 'slow-disk' | 'destinations';

export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly setup: SetupName;
  readonly variants: readonly Variant[];
  /** Messages of one run: about as long on both sides. */
  readonly messages: { readonly [side in Side]: number };
  readonly load: Omit<Load, 'messages'>;
  /** The least ratio of end-to-end rates that is wanted. */
  readonly goal?: { readonly [variant in Variant]?: number };
  /** Count system calls as well. */
  readonly systemCalls?: true;
}

const both: readonly Variant[] = ['shipped', 'tuned'];
const asShipped: readonly Variant[] = ['shipped'];
const five = 5000;

export const workloads: readonly Workload[] = [
  { name: 'relay-5k', title: '5 kB, 20 sessions', setup: 'relay', variants: both, messages: { postern: 8000, postfix: 2500 }, load: { size: five, sessions: 20 }, goal: { shipped: 4.5, tuned: 4 }, systemCalls: true },
  { name: 'relay-5k-kept', title: '5 kB, 20 sessions, kept connections', setup: 'relay', variants: both, messages: { postern: 12_000, postfix: 2500 }, load: { size: five, sessions: 20, keep: true }, goal: { shipped: 6, tuned: 5 }, systemCalls: true },
  { name: 'relay-5k-1', title: '5 kB, 1 session', setup: 'relay', variants: both, messages: { postern: 2500, postfix: 1200 }, load: { size: five, sessions: 1 }, goal: { shipped: 1.8, tuned: 1.8 } },
  { name: 'relay-5k-1-kept', title: '5 kB, 1 session, kept connection', setup: 'relay', variants: asShipped, messages: { postern: 3000, postfix: 1200 }, load: { size: five, sessions: 1, keep: true } },
  { name: 'relay-5k-100', title: '5 kB, 100 sessions', setup: 'relay', variants: both, messages: { postern: 8000, postfix: 2500 }, load: { size: five, sessions: 100 }, goal: { shipped: 5, tuned: 4.5 } },
  { name: 'relay-5k-100-kept', title: '5 kB, 100 sessions, kept connections', setup: 'relay', variants: asShipped, messages: { postern: 12_000, postfix: 2500 }, load: { size: five, sessions: 100, keep: true } },
  { name: 'relay-1k', title: '1 kB, 20 sessions', setup: 'relay', variants: both, messages: { postern: 8000, postfix: 2500 }, load: { size: 1000, sessions: 20 } },
  { name: 'relay-50k', title: '50 kB, 20 sessions', setup: 'relay', variants: both, messages: { postern: 5000, postfix: 2000 }, load: { size: 50_000, sessions: 20 }, goal: { shipped: 4, tuned: 3.5 } },
  { name: 'relay-1m', title: '1 MB, 20 sessions', setup: 'relay', variants: both, messages: { postern: 500, postfix: 400 }, load: { size: 1_000_000, sessions: 20 }, goal: { shipped: 1.5, tuned: 1.5 } },
  { name: 'relay-50-recipients', title: '5 kB, 20 sessions, 50 recipients', setup: 'relay', variants: both, messages: { postern: 2000, postfix: 500 }, load: { size: five, sessions: 20, recipients: 50 }, goal: { shipped: 6, tuned: 5 } },
  { name: 'maildir', title: 'to a virtual Maildir, 5 kB, 20 sessions', setup: 'maildir', variants: both, messages: { postern: 5000, postfix: 2500 }, load: { size: five, sessions: 20 }, goal: { shipped: 2.5, tuned: 2.5 } },
  { name: 'mailbox', title: 'to four local mailboxes, 5 kB, 20 sessions', setup: 'mailbox', variants: both, messages: { postern: 4000, postfix: 2000 }, load: { size: five, sessions: 20 } },
  { name: 'submission', title: 'sendmail, 10 at a time, 5 kB, relayed', setup: 'submission', variants: asShipped, messages: { postern: 200, postfix: 800 }, load: { size: five, sessions: 10 } },
  { name: 'tls-in', title: 'TLS in, plain text out, 5 kB, 20 sessions', setup: 'tls-in', variants: asShipped, messages: { postern: 2500, postfix: 1000 }, load: { size: five, sessions: 20 } },
  { name: 'tls-in-kept', title: 'TLS in, plain text out, 5 kB, 20 sessions, kept connections', setup: 'tls-in', variants: asShipped, messages: { postern: 8000, postfix: 2000 }, load: { size: five, sessions: 20, keep: true } },
  { name: 'tls', title: 'TLS on both sides, 5 kB, 20 sessions', setup: 'tls', variants: asShipped, messages: { postern: 1500, postfix: 1000 }, load: { size: five, sessions: 20 } },
  { name: 'tls-kept', title: 'TLS on both sides, 5 kB, 20 sessions, kept connections', setup: 'tls', variants: asShipped, messages: { postern: 5000, postfix: 2000 }, load: { size: five, sessions: 20, keep: true } },
  { name: 'restrictions', title: '50 restrictions and four tables, 5 kB, 20 sessions', setup: 'restrictions', variants: asShipped, messages: { postern: 5000, postfix: 2000 }, load: { size: five, sessions: 20 } },
  { name: 'slow-disk', title: 'one 5 ms flush at a time, 5 kB, 100 sessions', setup: 'slow-disk', variants: both, messages: { postern: 6000, postfix: 600 }, load: { size: five, sessions: 100 }, goal: { shipped: 12, tuned: 12 } },
  { name: 'slow-disk-20', title: 'one 5 ms flush at a time, 5 kB, 20 sessions', setup: 'slow-disk', variants: asShipped, messages: { postern: 4000, postfix: 600 }, load: { size: five, sessions: 20 } },
  { name: 'destinations', title: '1,000 destinations, 5 kB, 20 sessions', setup: 'destinations', variants: asShipped, messages: { postern: 5000, postfix: 2500 }, load: { size: five, sessions: 20, numbered: true } },
];

/** Deferred messages in the queue while others are relayed. */
export const queueDepths: readonly number[] = [0, 10_000, 100_000];

/** A light load, for the times that one message takes. */
export const latencyLoad = { messages: 1500, size: five, sessions: 20, pause: 150 } as const;

/** Fewer messages: a look, not a record. */
export function quicker(workload: Workload): Workload {
  const fewer = (count: number): number => Math.max(Math.ceil(count / 5), Math.min(count, 100));
  return { ...workload, messages: { postern: fewer(workload.messages.postern), postfix: fewer(workload.messages.postfix) } };
}
