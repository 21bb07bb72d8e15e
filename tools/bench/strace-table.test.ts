import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStraceTable } from './strace-table.ts';

const table = `strace: Process 4711 attached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.30    1.204511          44     27012       108 read
 30.02    0.590123          24     24000           write
  8.68    0.170555         170      1000         2 pwrite64
------ ----------- ----------- --------- --------- ----------------
100.00    1.965189          37     52012       110 total
`;

test('calls by name, with and without errors; the total is not one of them', () => {
  const { total, calls } = parseStraceTable(table);
  assert.equal(total, 52012);
  assert.deepEqual([...calls], [['read', 27012], ['write', 24000], ['pwrite64', 1000]]);
});

test('several tables in one text are added up', () => {
  assert.equal(parseStraceTable(table + table).total, 2 * 52012);
});

test('no table is an error that shows what was there', () => {
  assert.throws(() => parseStraceTable('strace: attach: Operation not permitted\n'), /wrote no table: strace: attach: Operation not permitted/);
  assert.throws(() => parseStraceTable(''), /nothing at all/);
});
