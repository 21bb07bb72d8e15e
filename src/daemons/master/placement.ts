/**
 * Which rows of master.cf share a process, how many processes there may be, and how a row's process limit is split among them.
 *
 * Pure. Rows share a process when their daemons are of one placement group, the group is named in service_groups, and the
 * rows run as the same user in the same root directory.
 */
import type { MasterRow } from '../../config/master-cf.ts';
import type { KnownDaemon } from '../daemons.ts';

export interface PlacementSettings {
  /** service_groups: 'network-in', 'queue', ... */
  readonly groups: readonly string[];
  /** service_processes, for services that strangers connect to. */
  readonly processes: number;
  readonly defaultProcessLimit: number;
  readonly serviceClientLimit: number;
}

export interface PlacedRow {
  readonly row: MasterRow;
  /** Clients at once in all processes together; 0: no limit. */
  readonly limit: number;
  /** One process serves the row at a time: the first of several alike. */
  readonly alone?: boolean;
}

/** Rows that run together, in one process or in several alike. */
export interface Placement {
  /** The same over a reload when the same rows would share a process. */
  readonly key: string;
  /** For ps(1) and the log. */
  readonly title: string;
  readonly rows: readonly PlacedRow[];
  /** Rows of a placement group: many services and clients depend on one process. */
  readonly shared: boolean;
  /** Processes at once; 0: no limit. */
  readonly processes: number;
  /** Each process serves one client at a time, and a busy one calls for another. */
  readonly oneClient: boolean;
  readonly resident: boolean;
  readonly unprivileged: boolean;
  readonly chroot: boolean;
}

export interface Candidate {
  readonly row: MasterRow;
  readonly daemon: KnownDaemon;
  /** process_clients = 1 for this row: the old isolation, a process per client. */
  readonly oneClient: boolean;
  /** It could not be opened in its group's process: give it one of its own. */
  readonly apart: boolean;
}

/** Identifies a row over reloads. */
export function rowKey({ type, service, private: isPrivate }: MasterRow): string {
  return `${type} ${type === 'inet' ? '' : isPrivate ? 'private/' : 'public/'}${service}`;
}

export function place(candidates: readonly Candidate[], settings: PlacementSettings): Placement[] {
  const shared = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const key = placementKey(candidate, settings);
    const together = shared.get(key);
    if (together === undefined) shared.set(key, [candidate]);
    else together.push(candidate);
  }
  return [...shared].map(([key, together]) => placement(key, together, settings));
}

function groupName({ daemon }: Candidate): string {
  return daemon.group.replaceAll(' ', '-');
}

function placementKey(candidate: Candidate, { groups }: PlacementSettings): string {
  const { row, oneClient, apart } = candidate;
  const walls = `${row.unprivileged ? 'owner' : 'root'} ${row.chroot ? 'chroot' : 'host'}`;
  const group = groupName(candidate);
  if (oneClient || apart || !groups.includes(group)) return `row ${rowKey(row)} ${walls}`;
  return `group ${group} ${walls}`;
}

function placement(key: string, together: readonly Candidate[], settings: PlacementSettings): Placement {
  const first = together[0]!;
  const { row, oneClient } = first;
  const grouped = key.startsWith('group ');
  const rows = together.map((candidate) => placed(candidate, oneClient, settings));
  return {
    key, rows, oneClient, shared: grouped,
    title: grouped ? groupName(first) : processTitle(row),
    processes: oneClient ? row.maxproc ?? settings.defaultProcessLimit : processCount(first, rows, settings),
    resident: together.some(({ daemon }) => daemon.resident ?? false),
    unprivileged: row.unprivileged,
    chroot: row.chroot,
  };
}

function placed(candidate: Candidate, oneClient: boolean, settings: PlacementSettings): PlacedRow {
  const { row, daemon } = candidate;
  if (oneClient) return { row, limit: 1 };
  const limit = clientLimit(candidate, settings);
  return daemon.alone && row.maxproc === 1 ? { row, limit, alone: true } : { row, limit };
}

/** As Postfix starts it: `smtpd -n smtp -t inet -u`. */
function processTitle({ program, service, type, unprivileged, chroot }: MasterRow): string {
  const name = program === service ? '' : ` -n ${service}`;
  return `${program}${name} -t ${type}${unprivileged ? ' -u' : ''}${chroot ? ' -c' : ''}`;
}

/** maxproc says how many clients are served at once; `-` where strangers connect is more than a process limit would allow. */
function clientLimit({ row, daemon }: Candidate, settings: PlacementSettings): number {
  if (daemon.alone && row.maxproc === 1) return daemon.public ? settings.serviceClientLimit : settings.defaultProcessLimit;
  return row.maxproc ?? (daemon.public ? settings.serviceClientLimit : settings.defaultProcessLimit);
}

/** Only services that strangers connect to gain from several processes, and no more of them than clients may come. */
function processCount({ daemon }: Candidate, rows: readonly PlacedRow[], { processes }: PlacementSettings): number {
  if (daemon.group !== 'network in') return 1;
  const most = Math.max(...rows.map(({ limit }) => limit || processes));
  return Math.max(1, Math.min(processes, most));
}

/** What process number `index` of `count` may take of a row's limit; undefined: it does not serve that row. */
export function share(limit: number, index: number, count: number, alone = false): number | undefined {
  if (alone) return index === 0 ? limit : undefined;
  if (limit === 0 || count <= 1) return limit;
  const part = Math.floor(limit / count) + (index < limit % count ? 1 : 0);
  return part === 0 ? undefined : part;
}
