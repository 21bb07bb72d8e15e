import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { FewMap } from './few-map.ts';

test('it holds what a Map holds, however many there are', () => {
  const step = fc.tuple(fc.integer({ min: 0, max: 60 }).map((number) => `name${number}`), fc.integer());
  fc.assert(fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
    const [few, map] = [new FewMap<number>(), new Map<string, number>()];
    for (const [name, value] of steps) {
      assert.equal(few.has(name), map.has(name));
      few.set(name, value);
      map.set(name, value);
      assert.equal(few.size, map.size);
    }
    assert.deepEqual([...few], [...map]);
    for (let number = 0; number <= 60; number++) assert.equal(few.get(`name${number}`), map.get(`name${number}`));
  }));
});

test('two of them are told apart by what is in them', () => {
  const [one, other] = [new FewMap<string>(), new FewMap<string>()];
  one.set('a', 'b');
  assert.notDeepEqual(one, other);
  other.set('a', 'b');
  assert.deepEqual(one, other);
});
