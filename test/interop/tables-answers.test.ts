/**
 * A hundred thousand random keys per table type: what we answer is what Debian's `postmap -q -` answers, from the same files.
 *
 * The keys are the same in every run; POSTERN_TEST_SEED=number makes others.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { buildIndex } from '../../src/tables/build.ts';
import { openTable } from '../../src/tables/open.ts';
import { sourceEntries } from '../../src/tables/source.ts';
import type { TableContext } from '../../src/tables/table.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-answers-'));
after(() => rmSync(folder, { recursive: true }));
const config = join(folder, 'config');
mkdirSync(config);
writeFileSync(join(config, 'main.cf'), `compatibility_level = 3.6\nqueue_directory = ${folder}\nmyhostname = test.example.org\n`);

const theirs = existsSync('/usr/sbin/postmap')
  ? spawnSync('/usr/sbin/postconf', ['-c', config, '-m'], { encoding: 'latin1' }).stdout.split('\n')
  : [];

const keyCount = 100_000;
const seed = Number(process.env.POSTERN_TEST_SEED ?? 1);

/** xorshift32: the same numbers everywhere. */
class Random {
  #state: number;

  constructor(from: number) {
    this.#state = (from * 2654435761) >>> 0 || 1;
  }

  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    this.#state >>>= 0;
    return this.#state % limit;
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  text(parts: readonly string[], most: number): string {
    return Array.from({ length: 1 + this.below(most) }, () => this.of(parts)).join('');
  }
}

const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const letters = [...'abcxyz019', ...'.@+-_=', 'A', 'B', bytes('ä'), bytes('Ä'), bytes('ß')];
const strange = ["'", '"', '\\', '$1', '%s', '*', '?', ' ', '\t', '{', '}', '(', '__proto__', 'constructor', '#', '\x01', '\x7f', bytes('日')];

/** Some keys that are in the table, in any case, and others. None is empty, none holds a newline. */
function keysFor(present: readonly string[]): string[] {
  const random = new Random(seed);
  return Array.from({ length: keyCount }, (_, number) => {
    if (number % 20_000 === 7) return 'not UTF-8 \xe4';
    const kind = random.below(8);
    if (kind < 3 && present.length > 0) return random.of(present);
    if (kind === 3 && present.length > 0) return random.of(present).toUpperCase();
    return random.text(kind === 4 ? [...letters, ...strange] : letters, 12);
  });
}

const stored = Array.from({ length: 5000 }, (_, number) => {
  const random = new Random(number + 17);
  return [`${random.text([...'abcxyz019.-', bytes('ä')], 8)}${number}@${random.of(['example.org', 'Example.com', 'x'])}`, `value ${number}`] as const;
});
const storedKeys = stored.map(([key]) => key);

/** Old, because Postfix waits for a file that was written a moment ago. */
function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, 'latin1');
  utimesSync(path, 1_000_000_000, 1_000_000_000);
  return path;
}

const source = (name: string): string => file(name, stored.map(([key, value]) => `${key}\t${value}\n`).join(''));

/** Extended expressions that both libraries take for the same. */
function expression(random: Random, depth = 0): string {
  const atom = (): string => {
    const kind = random.below(10);
    if (kind < 5) return random.of([...'abcxyz019']);
    if (kind === 5) return '.';
    if (kind === 6) return random.of(['[abc]', '[^x]', '[a-c0-9]', '[[:digit:]]', '[].@]']);
    if (kind === 7) return random.of(['\\.', '@', '\\+', '-']);
    return depth > 2 ? 'b' : `(${expression(random, depth + 1)})`;
  };
  const piece = (): string => `${atom()}${random.below(4) === 0 ? random.of(['*', '+', '?', '{2}', '{1,3}']) : ''}`;
  const branch = (): string => Array.from({ length: 1 + random.below(4) }, piece).join('');
  const alternatives = Array.from({ length: random.below(5) === 0 ? 2 : 1 }, branch).join('|');
  return depth > 0 ? alternatives : `${random.of(['', '^', ''])}${alternatives}${random.of(['', '$', ''])}`;
}

/** `$1` only where there is one way to match it: POSIX and Perl choose differently. */
function patternRules(flags: readonly string[], type: string): string {
  const random = new Random(seed + 99);
  const rules: string[] = [];
  let open = 0;
  for (let number = 0; number < 60; number++) {
    const pattern = expression(random);
    const kind = random.below(12);
    if (kind === 0) {
      rules.push(`${random.of(['if', 'IF'])} ${random.of(['', '!'])}/${random.of([...'abcxyz@'])}/`);
      open++;
    } else if (kind === 1 && open > 0) {
      rules.push('endif');
      open--;
    } else if (kind === 2) rules.push(`!/${random.of(['[a-z]', '[0-9]|@', '\\.|x|y'])}/${random.of(flags)} negated ${number}`);
    else if (kind === 3) rules.push(`/^([a-c]+)([0-9]*)@(x+)$/ groups ${number}: $2 \${1} $(3) $$`);
    else if (kind === 4 && type === 'regexp') rules.push(`/${pattern}/!/${random.of([...'abc@'])}/ pair ${number}`);
    else rules.push(`/${pattern}z.*${random.of([...'abc@'])}/${random.of(flags)} rule ${number}`);
  }
  return `${rules.join('\n')}\n`;
}

function networks(): string {
  const random = new Random(seed + 5);
  const rules = Array.from({ length: 300 }, (_, number) => `${random.below(224)}.${random.below(256)}.0.0/16 network ${number}`);
  return `${rules.join('\n')}\n2001:db8::/32 six\n!10.0.0.0/8 not ten\nif 10.0.0.0/8\n10.1.2.3 one\n!10.128.0.0/9 low\nendif\n[2001:db9::]/32 bracket\n`;
}

function addresses(): string[] {
  const random = new Random(seed + 6);
  const number = (): string => String(random.below(random.below(10) === 0 ? 300 : 256));
  return Array.from({ length: keyCount }, () => {
    const kind = random.below(10);
    if (kind === 0) return `2001:db${random.of(['8', '9', 'a'])}::${random.below(65536).toString(16)}`;
    if (kind === 1) return random.text(['1', '0', '.', ':', 'f', '/'], 15);
    return `${kind < 5 ? '10' : number()}.${number()}.${number()}.${number()}`;
  });
}

function sqliteFile(): string {
  const path = join(folder, 'rows.db');
  const database = new DatabaseSync(path);
  database.exec('create table rows (user text, domain text, value text, number integer); create index i on rows (user, domain); begin');
  const insert = database.prepare('insert into rows values (?, ?, ?, ?)');
  for (const [key, value] of stored) {
    const [user, domain] = Buffer.from(key.toLowerCase(), 'latin1').toString('utf8').split('@');
    insert.run(user!, domain!, value, value.length);
    if (value.endsWith('7')) insert.run(user!, domain!, 'second@part', 5);
  }
  database.exec('commit');
  database.close();
  return file('sqlite.cf', `dbpath = ${path}\nquery = select value from rows where user = '%u' and domain = '%d'\nresult_format = %s of %S (%U)\n`);
}

function build(path: string, index: 'lmdb' | 'cdb'): string {
  buildIndex(path, {
    index, duplicates: 'ignore', fold: true, utf8: true, asOwner: false, savePermissions: true, mapSize: 1 << 24, parse: sourceEntries, warn: assert.fail,
  });
  return path;
}

function postmapped(type: string): string {
  const path = source(`${type}-theirs`);
  assert.equal(spawnSync('/usr/sbin/postmap', ['-c', config, '-w', `${type}:${path}`], { encoding: 'latin1' }).stderr, '');
  return path;
}

interface Case {
  readonly why: string;
  readonly type: string;
  table(): string;
  readonly keys?: () => string[];
}

const patterned = { keys: () => keysFor(['abc@x', 'AC9@XX', 'abba12@xxx', 'zab.cz@', 'xyz019zzc']) };
const cases: readonly Case[] = [
  ...['hash', 'btree', 'lmdb', 'cdb'].map((type) => ({ why: `${type} that Postfix made`, type, table: () => `${type}:${postmapped(type)}` })),
  ...(['lmdb', 'cdb'] as const).map((type) => ({ why: `${type} that we made`, type, table: () => `${type}:${build(source(`${type}-ours`), type)}` })),
  { why: 'texthash', type: 'texthash', table: () => `texthash:${source('texthash')}` },
  { why: 'inline', type: 'inline', table: () => 'inline:{{a = 1}, {B@x = two words}, c=3}', keys: () => keysFor(['a', 'b', 'b@x', 'c']) },
  { why: 'unionmap', type: 'unionmap', table: () => `unionmap:{texthash:${source('union')},static:all}` },
  { why: 'pipemap', type: 'pipemap', table: () => `pipemap:{texthash:${source('pipe')},regexp:{{/^value (.)/ $1}},inline:{{1 = one}, {2 = two}}}` },
  { why: 'cidr', type: 'cidr', table: () => `cidr:${file('cidr', networks())}`, keys: addresses },
  { why: 'regexp', type: 'regexp', table: () => `regexp:${file('regexp', patternRules(['', '', 'i', 'm'], 'regexp'))}`, ...patterned },
  { why: 'pcre', type: 'pcre', table: () => `pcre:${file('pcre', patternRules(['', '', 'i', 's', 'A', 'U', 'm'], 'pcre'))}`, ...patterned },
  { why: 'sqlite', type: 'sqlite', table: () => `sqlite:${sqliteFile()}` },
  { why: 'unix', type: 'unix', table: () => 'unix:passwd.byname', keys: () => keysFor(['root', 'daemon', 'postfix', 'nobody']).slice(0, 20_000) },
];

for (const { why, type, table, keys } of cases) {
  test(`${why}: the same answers`, { skip: theirs.includes(type) ? false : `Debian's postmap with ${type} is not installed` }, () => {
    const name = table();
    const asked = (keys ?? (() => keysFor(storedKeys)))();
    const input = asked.map((key) => `${key}\n`).join('');
    const postmap = spawnSync('/usr/sbin/postmap', ['-c', config, '-q', '-', name], { input: Buffer.from(input, 'latin1'), maxBuffer: 1 << 28 });
    const said: string[] = [];
    const context: TableContext = { parameter: (one) => (one === 'smtputf8_enable' ? 'yes' : one === 'default_database_type' ? 'lmdb' : ''), warn: (text) => said.push(text) };
    const opened = openTable(name, context);
    const answers = asked.map((key) => {
      const value = opened.find(key) as string | undefined;
      return value === undefined ? '' : `${key}\t${value}\n`;
    });
    opened.close();
    const [one, other] = [answers.join('').split('\n'), postmap.stdout.toString('latin1').split('\n')];
    const at = one.findIndex((line, index) => line !== other[index]);
    assert.deepEqual([at, one[at], other[at], one.length], [-1, undefined, undefined, other.length]);
    assert.ok(one.length > asked.length / 100, `only ${one.length} were found: that shows nothing`);
    assert.equal(said.length, postmap.stderr.toString('latin1').split('\n').length - 1, `${said[0]} / ${postmap.stderr.toString('latin1').slice(0, 300)}`);
  });
}
