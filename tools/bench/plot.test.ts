import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapeXml, ratioPlot } from './plot.ts';
import { sampleRow } from './sample-results.ts';

/** Every element is closed in order, and no stray & or < is in the text. */
function assertWellFormed(xml: string): void {
  const open: string[] = [];
  for (const [, closing, name, rest] of xml.matchAll(/<(\/?)([a-z]+)((?:\s+[a-zA-Z0-9:-]+="[^"<]*")*\s*\/?)>/g)) {
    if (closing === '/') assert.equal(open.pop(), name);
    else if (!rest!.endsWith('/')) open.push(name!);
  }
  assert.deepEqual(open, []);
  const text = xml.replace(/<\/?[a-z]+(?:\s+[a-zA-Z0-9:-]+="[^"<]*")*\s*\/?>/g, '');
  assert.doesNotMatch(text, /[<>]|&(?!#[0-9]+;)/);
}

test('a bar for each row that has a ratio', () => {
  const svg = ratioPlot([sampleRow(), sampleRow({ variant: 'tuned' }), sampleRow({ status: 'not yet', postern: undefined })], 'Rates');
  assertWellFormed(svg);
  assert.equal([...svg.matchAll(/<rect x="380"/g)].length, 2);
  assert.equal([...svg.matchAll(/>5\.00<\/text>/g)].length, 2);
});

test('titles cannot break the file', () => {
  const svg = ratioPlot([sampleRow({ title: 'a < b & "c"' })], '<script>&');
  assertWellFormed(svg);
  assert.ok(svg.includes(escapeXml('a < b & "c"')));
});

test('nothing measured is still a picture', () => {
  const svg = ratioPlot([], 'Rates');
  assertWellFormed(svg);
  assert.doesNotMatch(svg, /NaN|Infinity/);
});
