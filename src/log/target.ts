/**
 * Where the log goes, decided by main.cf: the system log, or maillog_file, which may be standard output.
 *
 * Throws an Error with the text of Postfix's fatal line when the setting cannot be followed.
 */
import { splitList } from '../text/ascii.ts';
import { errorText } from '../host/libc.ts';
import { afterThisTurn } from '../host/turn.ts';
import type { LogSink } from './log.ts';
import { facilityNumber, FileSink, openLogFile, SyslogSink } from './sinks.ts';
import { flushedByTurn } from './turn.ts';

export interface LogSettings {
  /** maillog_file; '' is the system log. */
  readonly file: string;
  /** maillog_file_prefixes */
  readonly prefixes: string;
  /** maillog_file_permissions: 0600, 0640 or 0644. */
  readonly permissions: string;
  /** syslog_facility */
  readonly facility: string;
  /** myhostname */
  readonly hostname: string;
}

export type LogTarget =
  | { readonly kind: 'descriptor'; readonly fd: number; readonly hostname: string }
  | { readonly kind: 'syslog'; readonly facility: number };

const permissions: ReadonlyMap<string, number> = new Map([['600', 0o600], ['640', 0o640], ['644', 0o644]]);

/** Opens what has to be opened once; descriptor 1 stands for standard output and stays open. */
export function openLogTarget(settings: LogSettings): LogTarget {
  if (settings.file === '') return { kind: 'syslog', facility: facility(settings.facility) };
  const hostname = settings.hostname.split('.', 1)[0] || 'amnesiac';
  const prefixes = splitList(settings.prefixes);
  if (!prefixes.some((prefix) => settings.file.startsWith(prefix)))
    throw new Error(`maillog_file value '${settings.file}' does not match any prefix in maillog_file_prefixes`);
  if (settings.file === '/dev/stdout') return { kind: 'descriptor', fd: 1, hostname };
  const mode = permissions.get(settings.permissions.replace(/^0+/, '')) ?? 0o600;
  try {
    return { kind: 'descriptor', fd: openLogFile(settings.file, mode), hostname };
  } catch (error) {
    throw new Error(`open logfile '${settings.file}': ${errorText(error)}`);
  }
}

function facility(name: string): number {
  const number = facilityNumber(name);
  if (number === undefined) throw new Error(`file main.cf: parameter syslog_facility: unrecognized value: ${name}`);
  return number;
}

/** When lines are written: `step` together with those of the same step, `turn` with those of a turn of the loop (turn.ts). */
type When = 'at once' | 'step' | 'turn';

const laters: { readonly [W in When]: (work: () => void) => void } = { 'at once': (work) => work(), step: queueMicrotask, turn: afterThisTurn };

/** The sink of an open target. A command writes each line at once: it waits for other programs that log too. */
export function sinkOf(target: LogTarget, use: 'daemon' | 'command' | 'services' = 'daemon'): LogSink {
  if (target.kind === 'syslog') return new SyslogSink({ facility: target.facility });
  const { fd, hostname } = target;
  const when: When = use === 'command' ? 'at once' : use === 'services' ? 'turn' : 'step';
  const sink = new FileSink({ fd, hostname, later: laters[when] });
  if (when === 'turn') flushedByTurn(() => sink.flush());
  return sink;
}
