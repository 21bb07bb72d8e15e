import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Complaints } from './complaints.ts';

function scene() {
  const lines: string[] = [];
  const complaints = new Complaints((text) => void lines.push(text));
  const round = (...texts: readonly string[]): void => {
    for (const text of texts) complaints.say(text);
    complaints.roundEnds();
  };
  return { lines, round };
}

test('each is said once while it lies there, and again when it has come back', () => {
  const { lines, round } = scene();
  round('a', 'a', 'b');
  round('a', 'b', 'c');
  round('b');
  round('a', 'b');
  assert.deepEqual(lines, ['a', 'b', 'c', 'a']);
});

test('of very many only some are said, and how many more there are', () => {
  const { lines, round } = scene();
  const many = Array.from({ length: 1000 }, (_, at) => `trouble ${at}`);
  for (let times = 0; times < 5; times++) round(...many);
  assert.deepEqual(lines.slice(0, 200), many.slice(0, 200));
  assert.deepEqual(lines.slice(200), ['maildrop: trouble with 800 more files, which are left alone']);
  round();
  round(...many.slice(500));
  assert.equal(lines.length, 201 + 201);
});

test('as many more is worth a word, a few more are not', () => {
  const { lines, round } = scene();
  const some = (count: number): string[] => Array.from({ length: count }, (_, at) => `trouble ${at}`);
  round(...some(210));
  round(...some(220));
  round(...some(221));
  round(...some(300));
  assert.deepEqual(lines.slice(200), [10, 21, 100].map((count) => `maildrop: trouble with ${count} more files, which are left alone`));
});
