/**
 * The logs beside the queue that say why recipients were deferred or bounced: files `defer/ID`, `bounce/ID`, `trace/ID`.
 *
 * Entries are `name=value` lines, separated by empty lines; each begins, for older readers, with a line `<recipient>: reason`. What is
 * malformed is reported to `warn` and passed over (bounce_log(3)). Memory is bounded by the longest line, which is bounded itself.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { errorText } from '../host/libc.ts';
import { dsnNotifyValid } from '../message/dsn.ts';
import { splitAttribute } from '../message/envelope-names.ts';
import { printable } from '../text/ascii.ts';
import type { LogName } from './store.ts';

export interface LogEntry {
  /** External (quoted) form. */
  address: string;
  /** As before rewriting, when that was different; else ''. */
  originalAddress: string;
  dsnOrcpt: string;
  dsnNotify: number;
  /** Of the recipient record in the queue file; 0: not known. */
  offset: number;
  status: string;
  action: string;
  reason: string;
  diagnosticType: string;
  diagnosticText: string;
  remoteMtaType: string;
  remoteMta: string;
}

export interface LogOptions {
  readonly warn: (text: string) => void;
  /** Well-formed UTF-8 stays as it is (smtputf8_enable). */
  readonly utf8?: boolean;
}

const chunkSize = 64 << 10;
/** Longer than any reply of a server that we keep; the rest of such a line is lost. */
const lineLimit = 1 << 20;
const nobody = '(MAILER-DAEMON)';

/** The entries of a log file; none when it is not there. */
export function* readLog(path: string, log: LogName, options: LogOptions): Generator<LogEntry, void, undefined> {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') options.warn(`open ${path}: ${errorText(error)}`);
    return;
  }
  try {
    yield* entriesOf(linesOf(fd), { path, log, ...options });
  } finally {
    closeSync(fd);
  }
}

function* linesOf(fd: number): Generator<string, void, undefined> {
  const chunk = Buffer.allocUnsafe(chunkSize);
  let rest = '';
  for (let length = readSync(fd, chunk); length > 0; length = readSync(fd, chunk)) {
    const lines = (rest + chunk.toString('latin1', 0, length)).split('\n');
    rest = lines.pop()!.slice(0, lineLimit);
    yield* lines;
  }
  if (rest !== '') yield rest;
}

interface Place extends LogOptions { readonly path: string; readonly log: LogName }

function* entriesOf(lines: Iterable<string>, place: Place): Generator<LogEntry, void, undefined> {
  let entry: LogEntry | undefined;
  for (const line of lines) {
    // The last entry counts only with the empty line behind it: without, it is still being written.
    if (line === '') {
      if (entry) yield complete(entry, place.log);
      entry = undefined;
      continue;
    }
    entry ??= emptyEntry();
    takeLine(entry, printable(line, '?', place.utf8), place);
  }
}

function emptyEntry(): LogEntry {
  return {
    address: '', originalAddress: '', dsnOrcpt: '', dsnNotify: 0, offset: 0, status: '', action: '', reason: '',
    diagnosticType: '', diagnosticText: '', remoteMtaType: '', remoteMta: '',
  };
}

function complete(entry: LogEntry, log: LogName): LogEntry {
  const deferred = log === 'defer';
  entry.address ||= '(recipient address unavailable)';
  entry.status ||= deferred ? '4.0.0' : '5.0.0';
  entry.action ||= deferred ? 'delayed' : 'failed';
  entry.reason ||= '(description unavailable)';
  return entry;
}

function takeLine(entry: LogEntry, line: string, { path, warn }: Place): void {
  if (/^[0-9A-Za-z]/.test(line)) {
    const attribute = splitAttribute(line);
    if ('error' in attribute) warn(`${path}: malformed record: ${attribute.error}`);
    else if (!takeAttribute(entry, attribute.name, attribute.value)) warn(`${path}: unknown attribute name: ${attribute.name}, ignored`);
    return;
  }
  const end = line.indexOf('>: ');
  if (!line.startsWith('<') || end < 0) return warn(`${path}: malformed record: ${line.slice(0, 30)}...`);
  entry.address = line.slice(1, end) || nobody;
  entry.reason = line.slice(end + 3).replace(/^[ \t]+/, '');
}

const texts: ReadonlyMap<string, 'dsnOrcpt' | 'status' | 'action' | 'reason' | 'diagnosticType' | 'diagnosticText' | 'remoteMtaType' | 'remoteMta'> = new Map([
  ['dsn_orig_rcpt', 'dsnOrcpt'], ['status', 'status'], ['action', 'action'], ['reason', 'reason'],
  ['diag_type', 'diagnosticType'], ['diag_text', 'diagnosticText'], ['mta_type', 'remoteMtaType'], ['mta_mname', 'remoteMta'],
]);

function takeAttribute(entry: LogEntry, name: string, value: string): boolean {
  const field = texts.get(name);
  const number = /^[0-9]{1,15}/.test(value) ? parseInt(value, 10) : 0;
  if (field) entry[field] = value;
  else if (name === 'recipient') entry.address = value || nobody;
  else if (name === 'original_recipient') entry.originalAddress = value || nobody;
  else if (name === 'offset') entry.offset = number || entry.offset;
  else if (name === 'notify_flags') entry.dsnNotify = dsnNotifyValid(number) ? number : entry.dsnNotify;
  else return false;
  return true;
}
