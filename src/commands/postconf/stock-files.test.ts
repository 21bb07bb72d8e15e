import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { checkPipeArguments } from '../../config/pipe-arguments.ts';
import { parseMasterCf } from '../../config/master-cf.ts';
import { parseMainCf } from '../../config/main-cf.ts';
import { cardOf } from '../../parameters/parameters.ts';
import { splitFamilyName } from '../../parameters/families.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const read = (name: string): string => readFileSync(`${root}conf/${name}`, 'latin1');

test('the stock files are what tools/render.ts writes', () => {
  const { status, stderr } = spawnSync(process.execPath, [`${root}tools/render.ts`, '--check'], { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, '']);
});

test('main.cf sets fewer than 30 names, all of them known', () => {
  const names = [...parseMainCf(read('main.cf'), 'main.cf', assert.fail).keys()];
  assert.ok(names.length < 30);
  assert.deepEqual(names.filter((name) => !cardOf(name) && !splitFamilyName(name)), []);
});

test('what main.cf shows as examples is known as well', () => {
  const examples = read('main.cf').split('\n').filter((line) => /^#[a-z]/.test(line)).map((line) => line.slice(1)).join('\n');
  const names = [...parseMainCf(examples, 'main.cf', assert.fail).keys()];
  assert.ok(names.length > 20);
  assert.deepEqual(names.filter((name) => !cardOf(name) && !splitFamilyName(name)), []);
});

test('master.cf can be read, and so can the rows that are commented out', () => {
  const text = read('master.cf');
  const stock = parseMasterCf(text, 'master.cf', { warn: assert.fail });
  assert.deepEqual(stock.troubles, []);
  assert.equal(stock.rows.length, 25);
  const rows = text.split('\n').filter((line) => /^#(?:[a-z]+ +(?:inet|unix|pass) |  (?:-o|flags|user))/.test(line)).map((line) => line.slice(1)).join('\n');
  const examples = parseMasterCf(rows, 'master.cf', { warn: assert.fail });
  assert.deepEqual(examples.troubles, []);
  assert.equal(examples.rows.length, 10);
  assert.deepEqual(examples.rows.flatMap(checkPipeArguments), []);
});
