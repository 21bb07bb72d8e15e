import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportPage, summaryLines } from './report.ts';
import { sampleMeasured, sampleResults, sampleRow } from './sample-results.ts';

const rows = [
  sampleRow(),
  sampleRow({ name: 'slow-disk', title: 'slow', goal: 12, postern: sampleMeasured(1000, 0.3, { flushes: 0.2 }), postfix: sampleMeasured(200, 2, { flushes: 1 }) }),
  sampleRow({ name: 'tls', title: 'TLS', goal: undefined, status: 'not yet', reason: 'STARTTLS is not offered', postern: undefined }),
];

test('every line of every table has as many cells as its head', () => {
  const tables = reportPage(sampleResults(rows), undefined).split('\n\n').filter((part) => part.startsWith('|'));
  assert.equal(tables.length, 6);
  for (const table of tables) {
    const widths = new Set(table.trim().split('\n').map((line) => line.split(' | ').length));
    assert.equal(widths.size, 1, table);
  }
});

test('goals reached and not reached are told', () => {
  const page = reportPage(sampleResults(rows), undefined);
  assert.match(page, /\*\*5\.00\*\* \| 4\.5, reached/);
  assert.match(page, /\*\*5\.00\*\* \| 12, \*\*not reached\*\*/);
  assert.match(page, /not yet: STARTTLS is not offered/);
});

test('what others wrote around it stays, and a second run replaces the first', () => {
  const first = reportPage(sampleResults(rows), undefined).replace('# Performance', '# Performance of this') + '\n## Where the time goes\n';
  const second = reportPage(sampleResults([sampleRow()]), first);
  assert.match(second, /^# Performance of this\n/);
  assert.match(second, /\n## Where the time goes\n$/);
  assert.doesNotMatch(second, /STARTTLS/);
});

test('the summary has a line for each row', () => {
  const lines = summaryLines(sampleResults(rows));
  assert.equal(lines.length, 1 + rows.length);
  assert.match(lines[3]!, /^TLS +shipped +not yet: STARTTLS is not offered$/);
});
