import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fifo } from './fifo.ts';

test('what came first leaves first, however it is mixed', () => {
  const fifo = new Fifo<number>();
  const plain: number[] = [];
  // Longer and shorter in turn: empty at times, and beyond the places that may be free.
  for (let step = 0, next = 0; step < 5000; step++) {
    const grows = step % 1000 < 600;
    for (let more = grows ? 2 : 0; more > 0; more--, next++) {
      fifo.push(next);
      plain.push(next);
    }
    for (let less = grows ? 1 : 3; less > 0; less--) assert.equal(fifo.shift(), plain.shift());
    assert.deepEqual([fifo.length, fifo.first, fifo.last], [plain.length, plain[0], plain.at(-1)]);
  }
});

test('cleared, it is as new', () => {
  const fifo = new Fifo<string>();
  fifo.push('one');
  fifo.push('two');
  fifo.clear();
  assert.deepEqual([fifo.length, fifo.first, fifo.last, fifo.shift()], [0, undefined, undefined, undefined]);
  fifo.push('three');
  assert.deepEqual([fifo.first, fifo.last, fifo.shift(), fifo.length], ['three', 'three', 'three', 0]);
});
