/** What tests of server tables share: a context that remembers what was said, settings files, and Debian's postmap with the same files. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { openTable } from '../src/tables/open.ts';
import { cases } from '../src/tables/suite-cases.ts';
import { TableTrouble, type LookupTable, type TableContext, type TableOptions } from '../src/tables/table.ts';

export interface TableStage {
  readonly folder: string;
  readonly context: TableContext;
  readonly said: string[];
  readonly clock: { now: number };
  /** A file with these lines; its name. */
  write(lines: string): string;
  open(typeAndName: string, options?: TableOptions): LookupTable;
  /** Debian's postmap with the same files: status and standard output, or that it had trouble. */
  postmap(table: string, key: string): Promise<readonly [status: number | null, stdout: string] | 'trouble'>;
  remove(): void;
}

const byteString = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

export function tableStage(parameters: Readonly<Record<string, string>> = {}): TableStage {
  const folder = mkdtempSync(`${tmpdir()}/table-stage-`);
  chmodSync(folder, 0o755);
  const all = new Map(Object.entries({ smtputf8_enable: 'yes', default_database_type: 'cdb', queue_directory: folder, ...parameters }));
  writeFileSync(`${folder}/main.cf`, `compatibility_level = 3.6\nmyhostname = test.example.org\n${[...all].map(([name, value]) => `${name} = ${value}\n`).join('')}`);
  writeFileSync(`${folder}/master.cf`, '');
  const said: string[] = [];
  const clock = { now: 1_800_000_000_000 };
  const context: TableContext = { parameter: (name) => all.get(name) ?? '', warn: (text) => said.push(text), now: () => clock.now, environment: {} };
  let number = 0;
  return {
    folder, context, said, clock,
    write: (lines) => {
      const file = `${folder}/settings${number++}.cf`;
      writeFileSync(file, lines);
      return file;
    },
    open: (typeAndName, options) => openTable(typeAndName, context, options),
    postmap: (table, key) => new Promise((resolve) => {
      const words = ['-c', folder, '-q', Buffer.from(key, 'latin1').toString('utf8'), table];
      // Trouble ends it with 1, as a key that is not there does, but not silently.
      execFile('/usr/sbin/postmap', words, { encoding: 'latin1', timeout: 30_000 }, (error, stdout, stderr) =>
        resolve(stderr.includes('fatal: ') ? 'trouble' : [error === null ? 0 : Number(error.code), stdout]));
    }),
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** Has Debian's Postfix this type? */
export function debianHas(type: string): boolean {
  return existsSync(`/usr/lib/postfix/postfix-${type}.so`);
}

/** Why Debian's Postfix cannot be asked; false: it can. */
export function noDebianPostmap(): string | false {
  return existsSync('/usr/sbin/postmap') ? false : "Debian's postfix is not installed";
}

/** Ours and theirs for these keys with one settings file. */
export async function comparePostmap(stage: TableStage, typeAndName: string, keys: readonly string[]): Promise<void> {
  const table = stage.open(typeAndName);
  await Promise.all(keys.map(async (key) => {
    const ours = await Promise.resolve().then(() => table.find(key)).then((value) => (value === undefined ? [1, ''] : [0, `${value}\n`]), () => 'trouble');
    assert.deepEqual(ours, await stage.postmap(typeAndName, key), key);
  }));
  table.close();
}

/** The cases of all tables; `skip` names those that the type cannot hold. */
export async function playCases(table: LookupTable, skip: readonly string[] = []): Promise<void> {
  for (const [why, key, want] of cases) if (!skip.includes(why)) assert.equal(await table.find(key), want, why);
  // Many at once, and in another order.
  const found = await Promise.all([...cases].reverse().map(([, key]) => table.find(key)));
  for (const [at, [why, , want]] of [...cases].reverse().entries()) if (!skip.includes(why)) assert.equal(found[at], want, `${why}, with others`);
}

/** Keys that mean something to somebody: none of them is found, and none does harm. */
export const hostileKeys: readonly string[] = [
  "a' or '1'='1", "' OR 1=1 -- ", "\\' OR 1=1 -- ", '" or ""="', "'; DROP TABLE aliases; --", '%s', '%', '$1', '*', '*)(uid=*', '(|(uid=*))', '\\2a', 'joe\0', "\xbf' or 1=1 -- ",
  '__proto__', 'a\r\nset x 0 0 1', 'a\nb', '{"$ne": ""}', 'x'.repeat(9000), '%u%d', ' ', "''''", '\\', byteString('ﬀ＇ or 1=1'),
];

export async function playHostileKeys(table: LookupTable): Promise<void> {
  for (const key of hostileKeys) assert.equal(await table.find(key), undefined, JSON.stringify(key));
}

export async function isTrouble(answer: () => unknown, pattern: RegExp): Promise<void> {
  await assert.rejects(async () => answer(), (error) => {
    assert.ok(error instanceof TableTrouble, String(error));
    assert.match(error.message, pattern);
    return true;
  });
}
