/** A table of a daemon whose file goes away, or cannot be opened any more: the daemon keeps what it has, and asks to be started again. */
import { after, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { openTable } from './open.ts';
import { TableTrouble, type TableContext } from './table.ts';

const folder = mkdtempSync(`${tmpdir()}/postern-kept-`);
after(() => rmSync(folder, { recursive: true }));

function tableAndClock(file: string, restart?: (reason: string) => void) {
  const clock = { now: Date.now() };
  writeFileSync(file, 'key value\n');
  const context: TableContext = { parameter: () => 'no', warn: () => undefined, now: () => clock.now, ...(restart === undefined ? {} : { restart }) };
  const table = openTable(`texthash:${file}`, context);
  assert.equal(table.find('key'), 'value');
  rmSync(file);
  clock.now += 10_000;
  return { table, clock };
}

test('with a restart to ask for, the old contents serve, and the restart is asked for once', () => {
  const asked: string[] = [];
  const file = `${folder}/one`;
  const { table, clock } = tableAndClock(file, (reason) => asked.push(reason));
  for (let turn = 0; turn < 3; turn++, clock.now += 10_000) assert.equal(table.find('key'), 'value');
  assert.deepEqual(asked, [`table texthash:${file} has changed -- restarting`]);
  table.close();
});

test('a file that is there again in time is simply opened', () => {
  const asked: string[] = [];
  const file = `${folder}/two`;
  const { table } = tableAndClock(file, (reason) => asked.push(reason));
  writeFileSync(file, 'key other\n');
  assert.equal(table.find('key'), 'other');
  assert.deepEqual(asked, []);
});

test('an entry that is added is found at once, although the file was looked at a moment ago', () => {
  const clock = { now: Date.now() };
  const file = `${folder}/four`;
  writeFileSync(file, 'key value\n');
  utimesSync(file, 1, 1);
  const table = openTable(`texthash:${file}`, { parameter: () => 'no', warn: () => undefined, now: () => clock.now });
  assert.equal(table.find('other'), undefined);
  clock.now += 100;
  writeFileSync(file, 'key value\nother new\n');
  utimesSync(file, 2, 2);
  assert.equal(table.find('other'), 'new');
});

test('without one the table is in trouble', () => {
  const { table } = tableAndClock(`${folder}/three`);
  assert.throws(() => table.find('key'), TableTrouble);
});

test('texthash with a key twice: nobody knows which line was meant, so nothing is found in it, unless the caller chooses', () => {
  const file = `${folder}/twice`;
  writeFileSync(file, 'key one\nother x\nKEY two\n');
  const warnings: string[] = [];
  const context: TableContext = { parameter: () => 'no', warn: (text) => void warnings.push(text) };
  assert.throws(() => openTable(`texthash:${file}`, context).find('other'), TableTrouble);
  const mistake = `${file}, line 3: duplicate entry: "KEY"`;
  assert.deepEqual(warnings.splice(0), [mistake]);
  for (const [duplicates, value, told] of [['warn', 'one', [mistake]], ['ignore', 'one', []], ['replace', 'two', []]] as const) {
    assert.equal(openTable(`texthash:${file}`, context, { duplicates }).find('key'), value);
    assert.deepEqual(warnings.splice(0), told);
  }
});
