/** Making indexes: what is warned of, whose they become, changes in place, and Debian's Postfix as the judge. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdtempSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasLmdb } from '../host/lmdb.ts';
import { aliasEntries, completeMark } from './alias-source.ts';
import { addToIndex, BuildTrouble, buildIndex, removeFromIndex, type BuildOptions } from './build.ts';
import { openTable } from './open.ts';
import { sourceEntries } from './source.ts';
import type { TableContext } from './table.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-build-'));
after(() => rmSync(folder, { recursive: true }));
chmodSync(folder, 0o755);
const needsRoot = { skip: process.getuid!() === 0 ? false : 'only root can work for others' };
const needsLmdb = { skip: hasLmdb() ? false : 'no liblmdb' };

let number = 0;
const context = (): TableContext => ({ parameter: () => 'yes', warn: (text) => assert.fail(text) });

function optionsFor(more: Partial<BuildOptions> = {}): { options: BuildOptions; said: string[] } {
  const said: string[] = [];
  const options: BuildOptions = {
    index: 'cdb', duplicates: 'warn', fold: true, utf8: true, asOwner: true, savePermissions: true, mapSize: 65536,
    parse: sourceEntries, warn: (text) => said.push(text), ...more,
  };
  return { options, said };
}

function file(text: string, where = folder): string {
  const path = join(where, `source${number++}`);
  writeFileSync(path, text, 'latin1');
  return path;
}

const contents = (path: string, type = 'cdb') => [...openTable(`${type}:${path}`, context()).entries!()];

const bad = 'key value\n\n# comment\nlong\n more\n# inside\n\tand more  \nKEY again\nlonely\ncolon: x\n"open x\n\xe9 y\n \tlast word\n';

test('bad and doubled lines are told with file and line, and left out', () => {
  const path = file(`  lost\n${bad}`);
  const { options, said } = optionsFor();
  buildIndex(path, options);
  assert.deepEqual(contents(path), [['key', 'value'], ['long', 'more\tand more'], ['colon:', 'x']]);
  assert.deepEqual(said, [
    `${path}: logical line must not start with whitespace: "  lost"`,
    `${path}, line 9: duplicate entry: "key"`,
    `${path}, line 10: expected format: key whitespace value`,
    `${path}, line 11: record is in "key: value" format; is this an alias file?`,
    `${path}, line 12: unbalanced '"' in '"open x' -- ignoring this line`,
    `${path}, line 13: non-UTF-8 input "\xe9 y \tlast word" -- ignoring this line`,
  ]);
});

for (const [duplicates, want] of [['warn', '1'], ['ignore', '1'], ['replace', '3']] as const) {
  for (const index of ['cdb', ...(hasLmdb() ? ['lmdb'] : [])] as ('cdb' | 'lmdb')[]) {
    test(`${index}: of equal keys, with ${duplicates}`, () => {
      const path = file('a 1\nb 2\nA 3\n');
      const { options, said } = optionsFor({ duplicates, index });
      buildIndex(path, options);
      assert.equal(openTable(`${index}:${path}`, context()).find('a'), want);
      assert.equal(said.length, duplicates === 'warn' ? 1 : 0);
    });
  }
}

const aliases = `root: joe, "ann b"@example.org
  , /var/mail/x,"|/usr/bin/prog a b",
  :include:/etc/list
Post Master: root
"quoted : name":x
a@b: x
x, y: z
empty:
: y
list:\\root, (comment) Real Name <ann@example.org>
`;

test('aliases: names and values in their external form, the mark last', () => {
  const path = file(aliases);
  const { options, said } = optionsFor({ parse: aliasEntries, last: completeMark });
  buildIndex(path, options);
  assert.deepEqual(contents(path), [
    ['root', 'joe, "ann b"@example.org, /var/mail/x, "|/usr/bin/prog a b", :include:/etc/list'],
    ['post master', 'root'],
    ['"quoted : name"', 'x'],
    ['list', 'root, (comment) Real Name <ann@example.org>'],
    ['@', '@'],
  ]);
  assert.deepEqual(said, [
    `${path}, line 6: name must be local and have no domain`,
    `${path}, line 7: need name:value pair`,
    `${path}, line 8: need name:value pair`,
    `${path}, line 9: need name:value pair`,
  ]);
});

for (const [mode, savePermissions, want] of [[0o644, true, 0o644], [0o600, true, 0o600], [0o640, true, 0o640], [0o666, true, 0o644], [0o600, false, 0o644]] as const) {
  test(`rights: source ${mode.toString(8)}${savePermissions ? '' : ' (-p)'} gives ${want.toString(8)}`, () => {
    const path = file('a b\n');
    chmodSync(path, mode);
    buildIndex(path, optionsFor({ savePermissions }).options);
    assert.equal(statSync(`${path}.cdb`).mode & 0o7777, want);
  });
}

test('an index that exists keeps its rights', () => {
  const path = file('a b\n');
  writeFileSync(`${path}.cdb`, '', { mode: 0o600 });
  buildIndex(path, optionsFor().options);
  assert.equal(statSync(`${path}.cdb`).mode & 0o7777, 0o600);
});

test('as root: the index belongs to the owner of the source, or with -o to root', needsRoot, () => {
  const home = join(folder, 'home');
  mkdirSync(home);
  chownSync(home, 65534, 65534);
  const path = file('a b\n', home);
  chownSync(path, 65534, 65534);
  const { options, said } = optionsFor();
  buildIndex(path, options);
  assert.equal(statSync(`${path}.cdb`).uid, 65534);
  assert.equal(process.geteuid!(), 0);
  const other = file('a b\n', home);
  buildIndex(other, options);
  assert.match(said[0]!, /^Creating root-owned database file\(s\) .*privilege-escalation attack\.$/);
  chownSync(other, 65534, 65534);
  rmSync(`${other}.cdb`);
  buildIndex(other, { ...options, asOwner: false });
  assert.equal(statSync(`${other}.cdb`).uid, 0);
});

test('as root: an index that exists keeps its owner when root builds it for itself', needsRoot, () => {
  const path = file('a b\n');
  writeFileSync(`${path}.cdb`, '');
  chownSync(`${path}.cdb`, 65534, 65534);
  buildIndex(path, optionsFor().options);
  assert.equal(statSync(`${path}.cdb`).uid, 65534);
});

test('a link laid in the way of the new file is not followed', () => {
  const path = file('a b\n');
  const precious = file('precious');
  symlinkSync(precious, `${path}.cdb.tmp`);
  assert.throws(() => buildIndex(path, optionsFor().options), BuildTrouble);
  assert.equal(readFileSync(precious, 'latin1'), 'precious');
});

test('trouble: no source, no place; nothing is left behind', () => {
  const { options } = optionsFor();
  assert.throws(() => buildIndex(join(folder, 'none'), options), { message: `open ${join(folder, 'none')}: No such file or directory` });
  const path = file('a b\n');
  mkdirSync(`${path}.cdb`);
  assert.throws(() => buildIndex(path, options), { message: `open database ${path}.cdb: Is a directory` });
  assert.deepEqual(readdirSync(folder).filter((name) => name.endsWith('.tmp') && !name.startsWith('source') ), []);
  assert.equal(existsSync(`${path}.cdb.tmp`), false);
});

test('an empty source makes an empty index', () => {
  const path = file('# nothing\n');
  buildIndex(path, optionsFor().options);
  assert.deepEqual(contents(path), []);
});

test('lmdb: more than the map size at first', needsLmdb, () => {
  const count = 3000;
  const path = file(Array.from({ length: count }, (_, i) => `key${(i * 7) % count} ${'v'.repeat(50)}${(i * 7) % count}\n`).join(''));
  buildIndex(path, optionsFor({ index: 'lmdb', mapSize: 4096 * 4 }).options);
  const table = openTable(`lmdb:${path}`, context());
  for (let i = 0; i < count; i += 97) assert.equal(table.find(`key${i}`), `${'v'.repeat(50)}${i}`);
  assert.equal([...table.entries!()].length, count);
});

test('lmdb: added and removed in place, seen by a table that is open', needsLmdb, () => {
  const path = file('a 1\nb 2\n');
  const { options, said } = optionsFor({ index: 'lmdb' });
  buildIndex(path, options);
  const table = openTable(`lmdb:${path}`, context());
  assert.equal(table.find('a'), '1');
  const inode = statSync(`${path}.lmdb`).ino;
  addToIndex(path, 'A 9\nC 3\n', 'stdin', options);
  assert.deepEqual(said, ['stdin, line 1: duplicate entry: "a"']);
  assert.deepEqual([table.find('a'), table.find('c')], ['1', '3']);
  addToIndex(path, 'a 9\n', 'stdin', { ...options, duplicates: 'replace' });
  assert.equal(table.find('a'), '9');
  assert.deepEqual(removeFromIndex(path, ['B', 'none'], options), ['b']);
  assert.equal(table.find('b'), undefined);
  assert.equal(statSync(`${path}.lmdb`).ino, inode);
  addToIndex(path, Array.from({ length: 5000 }, (_, i) => `more${i} ${'x'.repeat(60)}\n`).join(''), 'stdin', options);
  assert.equal(table.find('more4999'), 'x'.repeat(60), 'the file has outgrown what the reader had mapped');
  table.close();
});

test('lmdb: removing from no file makes none; a cdb cannot be changed', needsLmdb, () => {
  const path = join(folder, 'absent');
  assert.throws(() => removeFromIndex(path, ['a'], optionsFor({ index: 'lmdb' }).options), BuildTrouble);
  assert.equal(existsSync(`${path}.lmdb`), false);
  assert.throws(() => addToIndex(path, 'a b\n', 'stdin', optionsFor().options), /inappropriate open flags for cdb/);
});

test('values that are files', () => {
  const [one, two] = [file('first\n'), file('second')];
  const path = file(`a ${one}, ${two}\nb /no/such\n`);
  const { options, said } = optionsFor({ valueIsFile: true });
  buildIndex(path, options);
  assert.deepEqual(contents(path), [['a', Buffer.from('first\n\nsecond').toString('base64')]]);
  assert.deepEqual(said, [`${path}, line 2: open /no/such: No such file or directory: skipping this entry`]);
});
