/** Files that are used as they are may be met while somebody writes them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openTable } from './open.ts';
import { contextOf } from './testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-half-'));
after(() => rmSync(folder, { recursive: true }));

test('texthash: a file that an editor may still be writing is not read again before it rests', () => {
  const path = join(folder, 'edited');
  const { context, clock } = contextOf();
  writeFileSync(path, 'key old\n');
  utimesSync(path, clock.now / 1000 - 60, clock.now / 1000 - 60);
  const table = openTable(`texthash:${path}`, context);
  writeFileSync(path, 'key ha');
  clock.now += 1001;
  utimesSync(path, clock.now / 1000 - 0.2, clock.now / 1000 - 0.2);
  assert.equal(table.find('key'), 'old');
  clock.now += 1001;
  assert.equal(table.find('key'), 'ha');
});

test('texthash: a file that was first read while it was being written is read again soon', () => {
  const path = join(folder, 'being-written');
  const { context, clock } = contextOf();
  const write = (text: string): void => {
    writeFileSync(path, text);
    utimesSync(path, clock.now / 1000 - 0.05, clock.now / 1000 - 0.05);
  };
  write('key on');
  const table = openTable(`texthash:${path}`, context);
  assert.equal(table.find('key'), 'on');
  write('key one\n');
  clock.now += 101;
  assert.equal(table.find('key'), 'one');
  clock.now += 1001;
  assert.equal(table.find('key'), 'one');
  write('key tw');
  clock.now += 101;
  assert.equal(table.find('key'), 'one', 'now it was at rest: no hurry');
});
