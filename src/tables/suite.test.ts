/**
 * One suite of cases, played against every table type that can hold them, and against files that Debian's Postfix made.
 */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasLmdb } from '../host/lmdb.ts';
import { hasPcre2 } from '../host/pcre2.ts';
import { lowerAscii } from '../text/ascii.ts';
import { foldCase } from '../text/utf8.ts';
import { buildIndex, type BuildOptions } from './build.ts';
import { openTable } from './open.ts';
import { sourceEntries } from './source.ts';
import { cases, entries, utf8 } from './suite-cases.ts';
import { TableTrouble, type LookupTable, type TableOptions } from './table.ts';
import { contextOf, sqliteRows } from './testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-tables-'));
after(() => rmSync(folder, { recursive: true }));
let number = 0;


const build = (path: string, index: 'lmdb' | 'cdb', more: Partial<BuildOptions> = {}): void =>
  buildIndex(path, {
    index, duplicates: 'warn', fold: true, utf8: true, asOwner: false, savePermissions: true, mapSize: 1 << 20, parse: sourceEntries,
    warn: (text) => assert.fail(text), ...more,
  });

function source(): string {
  const path = join(folder, `table${number++}`);
  writeFileSync(path, entries.map(([key, value]) => `${key}\t${value}\n`).join(''), 'latin1');
  return path;
}

function indexed(type: string, index: 'lmdb' | 'cdb', parameters: Record<string, string> = {}) {
  return { name: `${type} served by ${index}`, open: (options?: TableOptions) => {
    const path = source();
    build(path, index);
    return openTable(`${type}:${path}`, contextOf(parameters).context, options);
  } };
}

/** A file made by Debian's postmap, read by us. */
function postmap(type: string) {
  return { name: `${type} made by Postfix`, open: (options?: TableOptions) => {
    const path = source();
    realPostmap('', `${type}:${path}`);
    return openTable(`${type}:${path}`, contextOf().context, options);
  } };
}

const config = join(folder, 'config');
mkdirSync(config);
writeFileSync(join(config, 'main.cf'), `compatibility_level = 3.6\nqueue_directory = ${folder}\nmyhostname = test.example.org\n`);
writeFileSync(join(config, 'master.cf'), '');

function realPostmap(input: string, ...words: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync('/usr/sbin/postmap', ['-c', config, ...words], { input, encoding: 'latin1' });
  return { status, stdout, stderr };
}
/** The index types Debian's Postfix has here. */
const theirs = new Set(
  existsSync('/usr/sbin/postconf') ? spawnSync('/usr/sbin/postconf', ['-c', config, '-m'], { encoding: 'latin1' }).stdout.split('\n') : [],
);
const shared = (['lmdb', 'cdb'] as const).filter((type) => theirs.has(type));

/** Each entry as a rule that only its key matches. */
function rules(): string {
  const path = join(folder, `rules${number++}`);
  const pattern = (key: string) => foldCase(key).replace(/[.[\]()*+?{}|^$\\/]/g, '\\$&');
  writeFileSync(path, entries.map(([key, value]) => `/^${pattern(key)}$/ ${value.replaceAll('$', '$$')}\n`).join(''), 'latin1');
  return path;
}

interface Kind {
  readonly name: string;
  open(options?: TableOptions): LookupTable;
  /** It cannot be listed. */
  readonly unlisted?: boolean;
  /** Patterns: case never counts, but only for ASCII; not to be asked for parts of addresses. */
  readonly pattern?: boolean;
}

const kinds: readonly Kind[] = [
  { name: 'texthash', open: (options) => openTable(`texthash:${source()}`, contextOf().context, options) },
  { name: 'inline', open: (options) => openTable(`inline:{${entries.map(([key, value]) => `{${key} = ${value}}`).join(', ')}}`, contextOf().context, options) },
  { name: 'debug', open: (options) => openTable(`debug:texthash:${source()}`, contextOf().context, options) },
  { name: 'sqlite', unlisted: true, open: (options) => openTable(`sqlite:${sqliteRows(folder, entries.map(([key, value]) => [foldCase(key), value])).config}`, contextOf().context, options) },
  { name: 'regexp', unlisted: true, pattern: true, open: (options) => openTable(`regexp:${rules()}`, contextOf().context, options) },
  ...(hasPcre2() ? [{ name: 'pcre', unlisted: true, pattern: true, open: (options?: TableOptions) => openTable(`pcre:${rules()}`, contextOf().context, options) }] : []),
  { name: 'pipemap of one', unlisted: true, open: (options) => openTable(`pipemap:{texthash:${source()}}`, contextOf().context, options) },
  { name: 'unionmap of one', unlisted: true, open: (options) => openTable(`unionmap:{texthash:${source()}}`, contextOf().context, options) },
  indexed('cdb', 'cdb'),
  indexed('hash', 'cdb', { default_database_type: 'cdb' }),
  ...(hasLmdb() ? [indexed('lmdb', 'lmdb'), indexed('btree', 'lmdb', { default_database_type: 'hash' })] : []),
  ...['hash', 'btree'].filter((type) => theirs.has(type)).map(postmap),
  ...shared.map(postmap),
];

for (const kind of kinds) {
  test(`${kind.name}: every case, at once`, () => {
    const table = kind.open();
    const suited = cases.filter(([, key]) => !kind.pattern || lowerAscii(key) === foldCase(key));
    assert.ok(suited.length > 12);
    for (const [why, key, want] of suited) assert.equal(table.find(key), want, why);
    for (const [why, key, want] of [...suited].reverse()) assert.equal(table.find(key), want, `${why}, again`);
    assert.equal(table.fixed, !kind.pattern);
    table.close();
    assert.throws(() => table.find('joe@example.org'), TableTrouble, 'closed');
  });

  test(`${kind.name}: asked at first for a key with a NUL`, () => {
    const table = kind.open();
    assert.equal(table.find('joe@example.org\0'), undefined);
    assert.equal(table.find('joe@example.org'), 'OK');
    table.close();
  });

  test(`${kind.name}: without folding`, () => {
    const table = kind.open({ fold: false });
    assert.equal(table.find('joe@example.org'), 'OK');
    assert.equal(table.find('JOE@example.org'), kind.pattern ? 'OK' : undefined);
    table.close();
  });

  test(`${kind.name}: a key that is not UTF-8 is not found, and told of`, () => {
    const table = kind.open();
    assert.equal(table.find('caf\xe9'), undefined);
    table.close();
  });

  test(`${kind.name}: listing gives what went in, or says that it cannot`, () => {
    const table = kind.open();
    if (kind.unlisted) return assert.throws(() => table.entries!(), /sequence operation is not supported/);
    const fold = (key: string) => key.toLowerCase().replace(utf8('Ä').toLowerCase(), utf8('ä'));
    const want = entries.map(([key, value]) => [fold(key), value] as const);
    assert.deepEqual(new Map(table.entries!()), new Map(want));
    table.close();
  });
}

test('what a non-UTF-8 key and value are told as', () => {
  const path = join(folder, 'latin1');
  writeFileSync(path, 'key caf\xe9\n', 'latin1');
  build(path, 'cdb', { utf8: false });
  const { context, said } = contextOf();
  const table = openTable(`cdb:${path}`, context);
  table.find('\xe9');
  assert.throws(() => table.find('key'), (error) => error instanceof TableTrouble && error.kind === 'config');
  assert.deepEqual(said, [
    `cdb:${path}: non-UTF-8 key "\xe9": malformed UTF-8 or invalid codepoint`,
    `cdb:${path}: key "key": non-UTF-8 value "caf\xe9": malformed UTF-8 or invalid codepoint`,
  ]);
  assert.equal(openTable(`cdb:${path}`, context, { utf8: false }).find('key'), 'caf\xe9');
});

for (const type of shared) {
  test(`${type}: our file, asked and listed by Debian's Postfix`, () => {
    const path = source();
    build(path, type);
    for (const [why, key, want] of cases) {
      if (key === '' || key.length > 500 || key.includes('\0')) continue; // these end Postfix's own command
      const { status, stdout } = realPostmap('', '-q', Buffer.from(key, 'latin1').toString('utf8'), `${type}:${path}`);
      assert.deepEqual([status, stdout], want === undefined ? [1, ''] : [0, `${want}\n`], why);
    }
    if (type === 'lmdb') assert.equal(realPostmap('', '-s', `${type}:${path}`).stdout.split('\n').length - 1, entries.length);
  });
}

/** How a type's file says that `key` is `value`, and how its absence is told. */
const changing: readonly { type: string; index?: 'cdb' | 'lmdb'; text(value: string): string; absence: string }[] = [
  { type: 'cdb', index: 'cdb', text: (value) => `key ${value}\n`, absence: 'open database' },
  ...(hasLmdb() ? [{ type: 'lmdb', index: 'lmdb' as const, text: (value: string) => `key ${value}\n`, absence: 'open database' }] : []),
  { type: 'texthash', text: (value) => `key ${value}\n`, absence: 'open database' },
  { type: 'regexp', text: (value) => `/^key$/ ${value}\n`, absence: 'open' },
  ...(hasPcre2() ? [{ type: 'pcre', text: (value: string) => `/^key$/ ${value}\n`, absence: 'open' }] : []),
  { type: 'cidr', text: (value) => `192.0.2.0/24 ${value}\n`, absence: 'open' },
];
for (const { type, index, text, absence } of changing) {
  test(`${type}: a changed file is seen within a second, and what is missing is trouble until it is there`, () => {
    const { context, said, clock } = contextOf();
    const path = join(folder, `changing-${type}`);
    const file = index ? `${path}.${index}` : path;
    const key = type === 'cidr' ? '192.0.2.1' : 'key';
    const write = (value: string): void => {
      writeFileSync(path, text(value));
      utimesSync(path, 1_000_000 + number, 1_000_000 + number++);
      if (index) build(path, index);
    };
    const table = openTable(`${type}:${path}`, context);
    const reason = `${absence} ${file}: No such file or directory`;
    const unavailable = `${type}:${path} is unavailable. ${reason}`;
    assert.throws(() => table.find(key), { message: unavailable });
    assert.throws(() => table.find(key), { message: unavailable });
    assert.deepEqual(said, [`error: ${reason}`]);
    write('one');
    assert.throws(() => table.find(key), { message: unavailable });
    clock.now += 1001;
    assert.equal(table.find(key), 'one');
    write('two');
    assert.equal(table.find(key), 'one');
    clock.now += 1001;
    assert.equal(table.find(key), 'two');
    write('three');
    assert.equal(table.changed(), true, 'asked for, it looks at once');
    assert.equal(table.find(key), 'three');
    assert.equal(table.changed(), false);
    rmSync(file);
    clock.now += 1001;
    assert.throws(() => table.find(key), { message: unavailable });
    table.close();
  });
}

test('files that are not what their names say are trouble', () => {
  const meta = Buffer.alloc(8192);
  meta.writeUInt32LE(0x061561, 12);
  meta.writeUInt32LE(9, 16);
  meta.writeUInt32LE(4096, 20);
  meta.writeUInt32LE(1, 32);
  meta.writeUInt32LE(1, 96);
  for (const [type, suffix] of [['cdb', 'cdb'], ['hash', 'db'], ...(hasLmdb() ? [['lmdb', 'lmdb']] : [])] as const) {
    for (const content of ['', 'short', 'x'.repeat(10_000), meta, Buffer.concat([meta.subarray(0, 4096), Buffer.alloc(4096, 0xff)])]) {
      const path = join(folder, `bad${number++}`);
      writeFileSync(`${path}.${suffix}`, content);
      const { context } = contextOf();
      const table = openTable(`${type}:${path}`, context);
      if (content === meta && type === 'hash') assert.equal(table.find('key'), undefined, 'an empty one');
      else assert.throws(() => assert.fail(`found ${table.find('key')}`), TableTrouble, type);
    }
  }
});

for (const type of ['hash', 'btree'].filter((one) => theirs.has(one))) {
  test(`${type}: thousands of keys and long values in a Berkeley DB file of Debian's Postfix`, () => {
    const path = join(folder, `large-${type}`);
    const valueOf = (i: number) => (i % 100 === 0 ? `${i}${'v'.repeat(20_000)}` : `value ${i}`);
    const keyOf = (i: number) => (i % 500 === 0 ? `${'k'.repeat(3000)}${i}` : `key${(i * 7919) % 10_007}@example.org`);
    const count = 6000;
    writeFileSync(path, Array.from({ length: count }, (_, i) => `${keyOf(i)} ${valueOf(i)}\n`).join(''));
    assert.equal(realPostmap('', `${type}:${path}`).stderr, '');
    const { context, clock } = contextOf();
    const table = openTable(`${type}:${path}`, context);
    for (const age of [0, 60]) {
      // Pages of a file that rests are kept.
      utimesSync(`${path}.db`, clock.now / 1000 - age, clock.now / 1000 - age);
      for (let i = 0; i < count; i++) assert.equal(table.find(keyOf(i)), valueOf(i), keyOf(i).slice(-20));
    }
    assert.equal(table.find('missing'), undefined);
    assert.equal([...table.entries!()].length, count);
    writeFileSync(path, 'key0@example.org changed\n');
    realPostmap('', `${type}:${path}`);
    assert.equal(table.find('key0@example.org'), 'changed');
    const later = clock.now / 1000 + 5;
    build(path, 'lmdb');
    utimesSync(`${path}.lmdb`, later, later);
    clock.now += 1001;
    assert.equal(table.find('key0@example.org'), 'changed');
    rmSync(`${path}.db`);
    assert.equal(table.find('key0@example.org'), 'changed', 'now from the newer index');
  });
}

for (const [name, reason] of [
  ['nosuch:/x', 'unsupported dictionary type: nosuch'],
  ['plain', 'open dictionary: expecting "type:name" form instead of "plain"'],
  ['inline:x', 'bad syntax: "inline:x"; need "inline:{name=value...}"'],
  ['inline:{}', 'bad syntax: "inline:{}"; need "inline:{name=value...}"'],
  ['inline:{ }', 'empty table: "inline:{ }"; need "inline:{name=value...}"'],
  ['inline:{a}', `missing '=' after attribute name: "inline:{a}"; need "inline:{name=value...}"`],
  ['inline:{{a = b} c}', `missing '=' after attribute name: "inline:{{a = b} c}"; need "inline:{name=value...}"`],
  ['static:{x', `bad static:name syntax: missing '}' in "{x"`],
  ['unix:shadow', 'unknown table: unix:shadow'],
  ['unionmap:{a}', 'bad syntax: "unionmap:{a}"; need "unionmap:{type:name...}"'],
  ['randmap:{}', 'bad syntax: "randmap:{}"; need "randmap:{value...}"'],
  ['cidr:{x}', `cidr map: no '{' at start of text in "x"`],
] as const) {
  test(`${name} is trouble, told once`, () => {
    const { context, said } = contextOf();
    const table = openTable(name, context);
    for (let i = 0; i < 2; i++) {
      assert.throws(() => table.find('key'), (error) => error instanceof TableTrouble && error.message.endsWith(` is unavailable. ${reason}`));
    }
    assert.deepEqual(said, [`error: ${reason}`]);
  });
}

for (const [name, key, want] of [
  ['static:always', 'anything', 'always'],
  ['static:{ two words }', '', 'two words'],
  ['inline:{ a=b, c=d e=f}', 'c', 'd'],
  ['inline:{{a = 1}, {a = 2}}', 'a', '2'],
  ['inline:{{x = {y}}}', 'x', '{y}'],
  ['proxy:inline:{a=b}', 'a', 'b'],
  ['unix:passwd.byname', 'root', 'root:'],
  ['unix:passwd.byname', 'ROOT', 'root:'],
  ['unix:group.byname', 'root', 'root:'],
  ['unix:passwd.byname', 'no-such-user', undefined],
  ['pipemap:{inline:{a=b}, inline:{b=c}}', 'a', 'c'],
  ['pipemap:{inline:{a=b}, inline:{x=c}}', 'a', undefined],
  ['unionmap:{inline:{a=1}, static:2}', 'a', '1,2'],
  ['unionmap:{inline:{a=1}, inline:{a=2}}', 'b', undefined],
  ['randmap:{one}', 'x', 'one'],
  ['nis:mail.aliases', 'root', undefined],
  ['internal:x', 'root', undefined],
  ['environ:x', 'toString', undefined],
  ['cidr:{{192.0.2.0/24 in}, {!192.0.0.0/8 out}}', '192.0.2.9', 'in'],
  ['cidr:{{192.0.2.0/24 in}, {!192.0.0.0/8 out}}', '10.0.0.1', 'out'],
  ['cidr:{{192.0.2.0/24 in}, {!192.0.0.0/8 out}}', '192.1.1.1', undefined],
  ['cidr:{{192.0.2.0/24 in}, {!192.0.0.0/8 out}}', '2001:db8::1', undefined],
  ['cidr:{{192.0.2.0/24 in}}', 'not an address', undefined],
  ['cidr:{{if 10.0.0.0/8}, {10.1.0.0/16 one}, {endif}, {0.0.0.0/0 rest}}', '10.1.2.3', 'one'],
  ['cidr:{{if 10.0.0.0/8}, {10.1.0.0/16 one}, {endif}, {0.0.0.0/0 rest}}', '10.2.2.3', 'rest'],
  ['cidr:{{if !10.0.0.0/8}, {0.0.0.0/0 other}, {endif}, {10.0.0.0/8 ten}}', '10.2.2.3', 'ten'],
] as const) {
  test(`${name} asked for "${key}"`, () => {
    const found = openTable(name, contextOf().context).find(key);
    if (want?.endsWith(':')) assert.ok(String(found).startsWith(want));
    else assert.equal(found, want);
  });
}

test('rules that cannot be understood are skipped, with file and line', () => {
  const path = join(folder, 'cidr');
  writeFileSync(path, '10.0.0.1/8 x\n1.2.3.4/33 x\nbad y\n1.2.3.4\nendif\nif\nendif x\n# comment\n0.0.0.0/0\n  found\nif 10.0.0.0/8\n');
  const { context, said } = contextOf();
  assert.equal(openTable(`cidr:${path}`, context).find('10.0.0.1'), 'found');
  assert.deepEqual(said, [
    [1, 'non-null host address bits in "10.0.0.1/8", perhaps you should use "10.0.0.0/8" instead: skipping this rule'],
    [2, 'bad mask length in "1.2.3.4/33": skipping this rule'],
    [3, 'bad address pattern: "bad": skipping this rule'],
    [4, 'no lookup result: skipping this rule'],
    [5, 'ENDIF without IF: skipping this rule'],
    [6, 'no address pattern: skipping this rule'],
    [7, 'garbage after ENDIF: skipping this rule'],
    [11, 'IF has no matching ENDIF'],
  ].map(([line, text]) => `cidr map ${path}, line ${line}: ${text}`));
});

test('equal tables of one context are one, closed with the last holder', () => {
  const { context } = contextOf();
  const [one, two, other] = [openTable('inline:{a=b}', context), openTable('inline:{a=b}', context), openTable('inline:{a=b}', context, { fold: false })];
  assert.equal(one, two);
  assert.notEqual(one, other);
  one.close();
  assert.equal(two.find('a'), 'b');
  two.close();
  assert.throws(() => two.find('a'), TableTrouble);
  assert.notEqual(openTable('inline:{a=b}', context), one);
});

test('an index older than its source is told of', () => {
  const path = source();
  build(path, 'cdb');
  const { context, said, clock } = contextOf();
  utimesSync(`${path}.cdb`, clock.now / 1000 - 1000, clock.now / 1000 - 1000);
  utimesSync(path, clock.now / 1000 - 500, clock.now / 1000 - 500);
  openTable(`cdb:${path}`, context);
  assert.deepEqual(said, [`database ${path}.cdb is older than source file ${path}`]);
});

test('whose table it is: root and main.cf are trusted, others are named', { skip: process.getuid!() === 0 ? false : 'only root can give files away' }, async () => {
  const { chownSync } = await import('node:fs');
  const path = source();
  const { context } = contextOf();
  chownSync(path, 0, 0);
  assert.deepEqual(openTable(`texthash:${path}`, context).owner, { trusted: true, uid: 0 });
  chownSync(path, 65534, 65534);
  assert.deepEqual(openTable(`texthash:${path}`, contextOf().context).owner, { trusted: false, uid: 65534 });
  assert.deepEqual(openTable('inline:{a=b}', context).owner, { trusted: true, uid: undefined });
  assert.deepEqual(openTable(`unionmap:{inline:{a=b}, texthash:${path}}`, contextOf().context).owner, { trusted: false, uid: 65534 });
});
