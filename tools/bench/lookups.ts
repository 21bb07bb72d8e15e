/**
 * `npm run bench -- tables`: look-ups per second for every type of table that lies in files, in one of our processes and through
 * `postmap -q -`, beside Debian's `postmap -q -` on the same files.
 *
 * A command's rate leaves out its start: what is measured is the time for many keys less that for two. Half of the keys are there.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { openTable } from '../../src/tables/open.ts';
import type { TableContext } from '../../src/tables/table.ts';
import { root } from '../install.mjs';
import { environmentWith, type DebianPostfix } from './debian-postfix.ts';
import { describeMachine, ownVersion } from './machine.ts';
import { posternPrograms } from './mail-system.ts';
import type { BenchOptions } from './options.ts';

/** Milliseconds that one measurement is to last, and keys that it takes at most. */
const enough = 500;
const mostKeys = 400_000;

interface Side {
  readonly postmap: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly etc: string;
}

interface Sides { readonly postern: Side; readonly postfix: Side }

interface TableType {
  readonly type: string;
  readonly sizes: readonly number[];
  /** Makes what `type:path` needs. */
  make(path: string, rows: number, sides: Sides): void;
  key(number: number): string;
}

const address = (number: number): string => `user${number}@d${number % 1000}.example.org`;
const network = (number: number): string => `${number >> 16 & 127}.${number >> 8 & 255}.${number & 255}`;

/** In pieces, so that a million lines are never one string. */
function writeLines(path: string, rows: number, line: (number: number) => string): void {
  const fd = openSync(path, 'w');
  for (let from = 0; from < rows; from += 10_000) {
    writeSync(fd, Array.from({ length: Math.min(10_000, rows - from) }, (_, index) => `${line(from + index)}\n`).join(''));
  }
  closeSync(fd);
  // Postfix waits for a file that was written a moment ago.
  utimesSync(path, 1_000_000_000, 1_000_000_000);
}

const addressLines = (path: string, rows: number): void => writeLines(path, rows, (number) => `${address(number)}\tvalue${number}`);

function indexed(path: string, rows: number, type: string, side: Side): void {
  addressLines(path, rows);
  const { status, stderr } = spawnSync(side.postmap, ['-c', side.etc, `${type}:${path}`], { env: side.environment, encoding: 'latin1' });
  if (status !== 0) throw new Error(`postmap ${type}: ${stderr}`);
  // Of a file that nobody has touched for a while our reader keeps pages; so is every file that is in use.
  if (type === 'hash' || type === 'btree') utimesSync(`${path}.db`, 1_000_000_000, 1_000_000_000);
}

function sqlite(path: string, rows: number): void {
  rmSync(`${path}.db`, { force: true });
  const database = new DatabaseSync(`${path}.db`);
  database.exec('pragma journal_mode = off; create table rows (name text primary key, value text) without rowid; begin');
  const insert = database.prepare('insert into rows values (?, ?)');
  for (let number = 0; number < rows; number++) insert.run(address(number), `value${number}`);
  database.exec('commit');
  database.close();
  writeFileSync(path, `dbpath = ${path}.db\nquery = select value from rows where name = '%s'\n`);
}

const many = [10_000, 1_000_000];
/** Patterns are tried one after the other: a million of them are no table, for anybody. */
const few = [200, 10_000];

const types: readonly TableType[] = [
  ...['lmdb', 'cdb', 'hash', 'btree'].map((type) => ({
    type, sizes: many, key: address, make: (path: string, rows: number, sides: Sides) => indexed(path, rows, type, sides.postfix),
  })),
  { type: 'texthash', sizes: many, key: address, make: addressLines },
  { type: 'sqlite', sizes: many, key: address, make: sqlite },
  { type: 'cidr', sizes: many, key: (number) => `${network(number)}.7`, make: (path, rows) => writeLines(path, rows, (number) => `${network(number)}.0/24 value${number}`) },
  ...['regexp', 'pcre'].map((type) => ({
    type, sizes: few, key: address, make: (path: string, rows: number) => writeLines(path, rows, (number) => `/^user${number}@.*\\.example\\.org$/ value${number}`),
  })),
];

/** Every second one is beyond the end of the table, and so not there. */
function keysOf({ key }: TableType, rows: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => key((index * 7919) % (2 * rows)));
}

/**
 * Look-ups per second, found with ever more keys until it takes long enough: also beside the time that reading the table takes,
 * which is never the same twice. `time` gives milliseconds.
 */
function rateOf(time: (count: number) => number, idle: number): number {
  for (let count = 100; ; count *= 4) {
    const took = time(Math.min(count, mostKeys)) - idle;
    if (took >= Math.max(enough, idle / 3) || count >= mostKeys) return Math.min(count, mostKeys) / Math.max(took, 1) * 1000;
  }
}

function commandRate(type: TableType, path: string, rows: number, side: Side): number {
  const input = `${path}.keys`;
  const time = (count: number): number => {
    writeFileSync(input, keysOf(type, rows, count).map((key) => `${key}\n`).join(''));
    const stdin = openSync(input, 'r');
    const before = performance.now();
    const { status, stderr } = spawnSync(side.postmap, ['-c', side.etc, '-q', '-', `${type.type}:${path}`], { env: side.environment, stdio: [stdin, 'ignore', 'pipe'], encoding: 'latin1' });
    const took = performance.now() - before;
    closeSync(stdin);
    if (status !== 0 && stderr !== '') throw new Error(stderr);
    return took;
  };
  return rateOf(time, Math.min(time(2), time(2)));
}

function ownRate(type: TableType, path: string, rows: number): number {
  const context: TableContext = {
    parameter: (name) => (name === 'smtputf8_enable' ? 'yes' : name === 'default_database_type' ? 'lmdb' : ''),
    warn: (text) => { throw new Error(text); },
  };
  const table = openTable(`${type.type}:${path}`, context);
  const time = (count: number): number => {
    const keys = keysOf(type, rows, count);
    const before = performance.now();
    for (const key of keys) table.find(key);
    return performance.now() - before;
  };
  time(2000 / Math.ceil(rows / 10_000));
  const rate = rateOf(time, 0);
  table.close();
  return rate;
}

function sideOf(postmap: string, environment: NodeJS.ProcessEnv, etc: string, mainCf: string): Side {
  mkdirSync(etc);
  writeFileSync(`${etc}/main.cf`, `${mainCf}myhostname = bench.test\n`);
  writeFileSync(`${etc}/master.cf`, '');
  return { postmap, environment, etc };
}

function sidesOf(base: string, debian: DebianPostfix): Sides {
  const environment = environmentWith(debian.libraryPath);
  const postfix = sideOf(`${debian.commands}/postmap`, environment, `${base}/postfix`, `compatibility_level = 3.6\nshlib_directory = ${debian.libraries}\n`);
  debian.writeMetaFiles(postfix.etc);
  writeFileSync(`${postfix.etc}/main.cf`, `compatibility_level = 3.6\nshlib_directory = ${debian.libraries}\nmeta_directory = ${postfix.etc}\nmyhostname = bench.test\n`);
  return { postern: sideOf(`${posternPrograms().commands}/postmap`, process.env, `${base}/postern`, 'compatibility_level = 3.12\n'), postfix };
}

function rateText(rate: number | undefined): string {
  if (rate === undefined) return '-';
  return rate >= 10_000 ? `${Math.round(rate / 1000)} 000` : rate.toFixed(0);
}

function attempt(what: string, work: () => number): number | undefined {
  try {
    return work();
  } catch (error) {
    console.error(`bench: ${what}: ${(error as Error).message.trim()}`);
    return undefined;
  }
}

interface LookupRow {
  readonly type: string;
  readonly rows: number;
  readonly rates: readonly (number | undefined)[];
}

function page(rows: readonly LookupRow[], base: string, version: string): string {
  const { cpu, cores, memory, kernel } = describeMachine(base);
  const lines = rows.map(({ type, rows: count, rates }) => `| ${type} | ${count} | ${[0, 1, 2].map((at) => rateText(rates[at])).join(' | ')} |`);
  return `# Look-ups per second

Measured by \`npm run bench -- tables\` on ${new Date().toISOString().slice(0, 10)}: Postern ${ownVersion()} on Node ${process.versions.node},
Postfix ${version} of Debian; ${cpu}, ${cores} cores, ${memory} of memory, ${kernel}.

The files are the same for all. Half of the keys are there. In a daemon: in one of our processes, as a message meets it. A command's time
to start and to read the table is left out. Rules of patterns are tried one after the other, so those tables are smaller.

| type | rows | in a daemon | \`postmap -q -\` | Postfix's \`postmap -q -\` |
| --- | ---: | ---: | ---: | ---: |
${lines.join('\n')}
`;
}

/** True when everything could be measured. */
export function measureLookups({ only, quick, write }: BenchOptions, base: string, debian: DebianPostfix): boolean {
  const sides = sidesOf(base, debian);
  const found: LookupRow[] = [];
  console.log(`look-ups per second; Postfix is Debian's ${debian.version}`);
  console.log(['type'.padEnd(9), 'rows'.padStart(9), 'in a daemon'.padStart(12), 'postmap -q -'.padStart(13), "Postfix's".padStart(11)].join(' '));
  for (const type of types.filter((one) => only === undefined || only.test(one.type))) {
    for (const rows of quick ? type.sizes.slice(0, 1) : type.sizes) {
      const path = `${base}/${type.type}${rows}`;
      const makes = attempt(type.type, () => (type.make(path, rows, sides), 1));
      const rates = makes === undefined ? [] : [
        attempt(`${type.type} in a process`, () => ownRate(type, path, rows)),
        attempt(`our postmap ${type.type}`, () => commandRate(type, path, rows, sides.postern)),
        attempt(`Postfix's postmap ${type.type}`, () => commandRate(type, path, rows, sides.postfix)),
      ];
      found.push({ type: type.type, rows, rates });
      const [own, command, theirs] = rates;
      console.log([type.type.padEnd(9), String(rows).padStart(9), rateText(own).padStart(12), rateText(command).padStart(13), rateText(theirs).padStart(11)].join(' '));
      for (const suffix of ['', '.db', '.lmdb', '.cdb', '.keys']) rmSync(`${path}${suffix}`, { force: true });
    }
  }
  const isWhole = found.every(({ rates }) => rates.length === 3 && !rates.includes(undefined));
  if (isWhole && write && !quick && only === undefined) writeFileSync(`${root}/docs/performance/tables.md`, page(found, base, debian.version));
  return isWhole;
}
