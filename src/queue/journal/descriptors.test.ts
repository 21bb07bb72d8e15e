import assert from 'node:assert/strict';
import { fstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { dropSegment, holdSegment, letGo, type OpenSegment } from './descriptors.ts';
import { segmentName } from './segment.ts';

function segments(t: TestContext): (generation: number) => OpenSegment {
  const root = `${mkdtempSync(join(os.tmpdir(), 'descriptors-'))}/`;
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(`${root}journal`);
  return (generation) => {
    const name = segmentName(generation);
    writeFileSync(root + name, '');
    return holdSegment(root, name);
  };
}

function isOpen({ fd }: OpenSegment): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false;
  }
}

test('of nine segments the one that was used least recently is closed, when nobody has it', (t) => {
  const hold = segments(t);
  const all = [1, 2, 3, 4, 5, 6, 7, 8].map(hold);
  assert.deepEqual(all.map(({ generation }) => generation), [1, 2, 3, 4, 5, 6, 7, 8]);
  for (const segment of all.slice(1)) letGo(segment);
  assert.equal(hold(1), all[0]);
  letGo(all[0]!);
  assert.equal(hold(9).dropped, false);
  assert.deepEqual(all.map(({ dropped }) => dropped), [false, true, false, false, false, false, false, false]);
  assert.equal(isOpen(all[1]!), false);
  // The first is in use: it goes out of the table, and stays open until it is given back.
  [3, 4, 5, 6, 7, 8, 9, 10].forEach((generation) => letGo(hold(generation)));
  assert.deepEqual([all[0]!.dropped, isOpen(all[0]!)], [true, true]);
  letGo(all[0]!);
  assert.equal(isOpen(all[0]!), false);
});

test('what was dropped is opened anew', (t) => {
  const hold = segments(t);
  const first = hold(1);
  dropSegment(first);
  const second = hold(1);
  assert.notEqual(second, first);
  assert.equal(isOpen(first), true);
  letGo(first);
  assert.equal(second.dropped, false);
});
