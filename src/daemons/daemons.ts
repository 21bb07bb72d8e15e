/**
 * The table of daemons: program names of master.cf, where their modules are, and what master(8) must know of them before any
 * process runs. A module is loaded when a process serves a row of it; a test holds this table to the daemons' own cards.
 */
import type { PlacementGroup } from '../server/daemon.ts';

export interface KnownDaemon {
  /** Folder (and module) below this one. */
  readonly folder: string;
  readonly group: PlacementGroup;
  /** Strangers connect to it, so `-` in the maxproc column means service_client_limit. */
  readonly public?: true;
  /** A process limit of 1 means one process; that one serves default_process_limit clients at once. */
  readonly alone?: true;
  /** Its process never ends for want of work, and is started again as soon as it ended. */
  readonly resident?: true;
}

const daemons: ReadonlyMap<string, KnownDaemon> = new Map<string, KnownDaemon>([
  ['anvil', { folder: 'anvil', group: 'queue', alone: true }],
  ['bounce', { folder: 'bounce', group: 'queue' }],
  ['cleanup', { folder: 'cleanup', group: 'queue' }],
  ['discard', { folder: 'discard', group: 'queue' }],
  ['dnsblog', { folder: 'dnsblog', group: 'network in' }],
  ['error', { folder: 'error', group: 'queue' }],
  ['flush', { folder: 'flush', group: 'queue' }],
  ['lmtp', { folder: 'smtp', group: 'network out' }],
  ['local', { folder: 'local', group: 'delivery' }],
  ['nqmgr', { folder: 'qmgr', group: 'queue', resident: true }],
  ['oqmgr', { folder: 'qmgr', group: 'queue', resident: true }],
  ['pickup', { folder: 'pickup', group: 'queue', alone: true }],
  ['pipe', { folder: 'pipe', group: 'delivery' }],
  ['postlogd', { folder: 'postlogd', group: 'queue', alone: true }],
  ['postscreen', { folder: 'postscreen', group: 'network in', public: true, alone: true }],
  ['proxymap', { folder: 'proxymap', group: 'tables', alone: true }],
  ['qmgr', { folder: 'qmgr', group: 'queue', resident: true }],
  ['qmqpd', { folder: 'qmqpd', group: 'network in', public: true }],
  ['showq', { folder: 'showq', group: 'queue' }],
  ['smtp', { folder: 'smtp', group: 'network out' }],
  ['smtpd', { folder: 'smtpd', group: 'network in', public: true }],
  ['spawn', { folder: 'spawn', group: 'delivery' }],
  ['tlsmgr', { folder: 'tlsmgr', group: 'keys', alone: true }],
  ['trivial-rewrite', { folder: 'trivial-rewrite', group: 'queue' }],
  ['verify', { folder: 'verify', group: 'tables', alone: true }],
  ['virtual', { folder: 'virtual', group: 'delivery' }],
]);

/** Programs that Postfix has and this release does not, so that a stock master.cf is not called wrong for naming them. */
export const laterPrograms: ReadonlySet<string> = new Set([
  'nbdb_reindexd', 'scache',
]);

/** Programs of Postfix whose work others of ours do themselves: their rows are taken, and need no process. See docs/decisions/postscreen.md. */
export const needlessPrograms: ReadonlySet<string> = new Set(['tlsproxy']);

export function knownDaemon(program: string): KnownDaemon | undefined {
  return daemons.get(program);
}

export function knownPrograms(): string[] {
  return [...daemons.keys()];
}
