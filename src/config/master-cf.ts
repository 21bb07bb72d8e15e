// Reads master.cf: one row per service, eight columns and arguments (master(5)). Text is a byte string.
// A row that cannot be used is left out and reported with file, line and the form that was probably meant; the others stay
// usable. Only a file that cannot be read throws (ConfigurationError).
import { allDigits, splitListGroups } from '../text/ascii.ts';
import { validHostaddr, validHostname } from '../text/hostname.ts';
import { nearestName } from '../text/nearest.ts';
import { logicalLines } from './logical-lines.ts';
import type { LogicalLine, Warn } from './logical-lines.ts';
import { readConfigurationFile } from './main-cf.ts';
import { normalizeArguments, readOptions } from './master-arguments.ts';
import type { Override } from './configuration.ts';
import { tcpPort } from './tcp-ports.ts';

const serviceTypes = ['inet', 'unix', 'fifo', 'pass', 'unix-dgram'] as const;
export type ServiceType = (typeof serviceTypes)[number];

export interface MasterRow {
  readonly service: string;
  readonly type: ServiceType;
  readonly private: boolean;
  readonly unprivileged: boolean;
  readonly chroot: boolean;
  /** Seconds between wakeups; 0: never. */
  readonly wakeup: number;
  /** The `?` behind the number: wake it up only once it was used. */
  readonly wakeupOnlyIfUsed: boolean;
  /** 0: no limit; undefined: `-`, the limit is default_process_limit. */
  readonly maxproc: number | undefined;
  readonly program: string;
  /** What follows the options: the arguments of `pipe`, `spawn`, ... Outer braces are taken off. */
  readonly args: readonly string[];
  /** `-o name=value`, in order. */
  readonly overrides: readonly Override[];
  /** How many `-v`. */
  readonly verbose: number;
  /** `-D`: run under a debugger. */
  readonly debug: boolean;
  /** For inet: what is before the port, without brackets ('' for every address of inet_interfaces), and the port as written. */
  readonly host: string;
  readonly port: string;
  /** All columns as written, then options and arguments normalised as `postconf -M` shows them. */
  readonly fields: readonly string[];
  readonly file: string;
  /** First line of the row, from 1. */
  readonly line: number;
}

export interface Trouble {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

export interface MasterCf {
  /** Of several rows for the same service the last, in the place of the first. */
  readonly rows: readonly MasterRow[];
  readonly troubles: readonly Trouble[];
}

export interface MasterCfOptions {
  readonly warn?: Warn | undefined;
  /** What `-` means in the chroot column. */
  readonly chrootDefault?: boolean | undefined;
}

/** The number of columns that every row has. */
export const columnCount = 8;

export function readMasterCf(file: string, options: MasterCfOptions = {}): MasterCf {
  return parseMasterCf(readConfigurationFile(file), file, options);
}

export function parseMasterCf(text: string, file: string, { warn = () => {}, chrootDefault = false }: MasterCfOptions = {}): MasterCf {
  const rows = new Map<string, MasterRow>();
  const troubles: Trouble[] = [];
  for (const line of logicalLines(text, file, warn)) {
    try {
      const row = new RowReader(line, file, chrootDefault).row();
      const endpoint = endpointOf(row);
      if (rows.has(endpoint))
        warn(`duplicate master.cf entry for service "${row.service}" (${endpointName(row)}) -- using the last entry`);
      rows.set(endpoint, row);
    } catch (error) {
      if (!(error instanceof BadRow)) throw error;
      troubles.push({ file, line: line.first, text: error.message });
    }
  }
  return { rows: [...rows.values()], troubles };
}

/** The trouble as master(8) words it in the log. */
export function describeTrouble({ file, line, text }: Trouble): string {
  return `${file}: line ${line}: ${text}`;
}

// Two rows are one service when they would listen at the same place; a fifo is served as a socket of the same name.
function endpointOf(row: MasterRow): string {
  return `${row.type === 'fifo' ? 'unix' : row.type} ${endpointName(row)}`;
}

function endpointName({ type, service, host, port, private: isPrivate }: MasterRow): string {
  if (type !== 'inet') return `${isPrivate ? 'private' : 'public'}/${service}`;
  const number = tcpPort(port) ?? port;
  return host === '' ? `${number}` : `[${host}]:${number}`;
}

class BadRow extends Error {}

/** Reads the columns of one row from left to right. */
class RowReader {
  readonly #line: LogicalLine;
  readonly #file: string;
  readonly #chrootDefault: boolean;
  readonly #fields: readonly string[];

  constructor(line: LogicalLine, file: string, chrootDefault: boolean) {
    this.#line = line;
    this.#file = file;
    this.#chrootDefault = chrootDefault;
    this.#fields = splitListGroups(line.text, ' \t\r\n');
  }

  row(): MasterRow {
    const service = this.#field(0, 'service name');
    const type = this.#type();
    const { host, port } = type === 'inet' ? splitEndpoint(service) : { host: '', port: '' };
    if (type !== 'inet') checkSocketName(service);
    const isPrivate = this.#yesNo(2, 'private', true);
    if (type === 'inet' && isPrivate)
      throw new BadRow('inet service cannot be private (write n in the third column)');
    const program = { unprivileged: this.#yesNo(3, 'unprivileged', true), chroot: this.#yesNo(4, 'chroot', this.#chrootDefault), ...this.#wakeup(), maxproc: this.#maxproc(), program: this.#program() };
    const normal = normalizeArguments(this.#fields.slice(columnCount));
    if ('trouble' in normal) throw new BadRow(normal.trouble);
    const options = readOptions(normal.args);
    if ('trouble' in options) throw new BadRow(options.trouble);
    const fields = [...this.#fields.slice(0, columnCount), ...normal.args];
    return { service, type, private: isPrivate, ...program, ...options, host, port, fields, file: this.#file, line: this.#line.first };
  }

  #field(column: number, name: string): string {
    const field = this.#fields[column];
    if (field === undefined) throw new BadRow(`missing "${name}" field (a row has ${columnCount} columns: ${stockForm})`);
    return field;
  }

  #type(): ServiceType {
    const field = this.#field(1, 'transport type');
    if (field === '-') throw new BadRow(`field "transport type" has no default value (write one of: ${serviceTypes.join(', ')})`);
    const type = serviceTypes.find((known) => known === field);
    if (type) return type;
    throw new BadRow(`bad transport type: ${field}${meant(field, serviceTypes)}`);
  }

  #yesNo(column: number, name: string, defaultValue: boolean): boolean {
    const field = this.#field(column, name);
    if (field === '-') return defaultValue;
    if (field === 'y' || field === 'n') return field === 'y';
    throw this.#bad(name, field, /^[yYtT1]/.test(field) ? 'write y' : /^[nNfF0]/.test(field) ? 'write n' : 'write y, n or -');
  }

  #wakeup(): { wakeup: number; wakeupOnlyIfUsed: boolean } {
    const field = this.#field(5, 'wakeup_time');
    if (field === '-') return { wakeup: 0, wakeupOnlyIfUsed: false };
    const number = field.endsWith('?') ? field.slice(0, -1) : field;
    if (!isCount(number)) throw this.#bad('wakeup_time', field, 'write seconds, seconds and ?, or -');
    return { wakeup: Number(number), wakeupOnlyIfUsed: Number(number) > 0 && field.endsWith('?') };
  }

  #maxproc(): number | undefined {
    const field = this.#field(6, 'max_proc');
    if (field === '-') return undefined;
    if (!isCount(field)) throw this.#bad('max_proc', field, 'write a number, 0 for no limit, or -');
    return Number(field);
  }

  #program(): string {
    const field = this.#field(7, 'command');
    if (field === '-') throw new BadRow('field "command" has no default value (write the name of the program)');
    return field;
  }

  #bad(name: string, field: string, fix: string): BadRow {
    return new BadRow(`field "${name}": bad value: "${field}" (${fix})`);
  }
}

// The service's name is the name of its socket, and a socket's path has room for 107 bytes.
function checkSocketName(service: string): void {
  if (service.includes('/')) throw new BadRow(`bad service name "${service}" (it is the name of a file, without "/")`);
  if (service.includes('\0')) throw new BadRow('null byte in service name');
  if (service.length > longestName) throw new BadRow(`bad service name "${service.slice(0, 30)}..." (write ${longestName} characters or less)`);
}

const longestName = 90;

const stockForm = 'service type private unpriv chroot wakeup maxproc command';

function isCount(text: string): boolean {
  return allDigits(text) && Number(text) <= 0x7fffffff;
}

function meant(word: string, known: readonly string[]): string {
  const near = nearestName(word, known);
  return near === undefined ? ` (write one of: ${known.join(', ')})` : ` (did you mean ${near}?)`;
}

// `port`, `host:port`, `address:port` or `[address]:port`. Throws BadRow in Postfix's words.
function splitEndpoint(service: string): { host: string; port: string } {
  const bad = (why: string): BadRow => new BadRow(`${why} in "${service}"`);
  let [host, port] = ['', service];
  if (service[0] === '[') {
    const close = service.indexOf(']');
    if (close < 0) throw bad('missing "]"');
    host = service.slice(1, close).replace(/^ipv6:/i, '');
    if (service.length > close + 1 && service[close + 1] !== ':') throw bad('garbage after "]"');
    port = service.slice(close + 2);
  } else if (service.includes(':')) {
    host = service.slice(0, service.lastIndexOf(':'));
    port = service.slice(service.lastIndexOf(':') + 1);
  }
  if (port === '') throw bad('missing service information');
  if (host !== '' && !validHostname(host) && !validHostaddr(host)) throw bad('valid hostname or network address required');
  if (/^[0-9]/.test(port) && !allDigits(port)) throw bad('garbage after numerical service');
  return { host, port };
}
