import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { SteadyMap, SteadySet, type Seated } from './steady.ts';

test('a map does what a Map does', () => {
  const step = fc.record({ act: fc.constantFrom('set', 'delete', 'get', 'clear'), key: fc.nat(8), value: fc.nat() });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const [map, model] = [new SteadyMap<number, number>(), new Map<number, number>()];
    for (const { act, key, value } of steps) {
      if (act === 'set') [map.set(key, value), model.set(key, value)];
      else if (act === 'delete') assert.equal(map.delete(key), model.delete(key));
      else if (act === 'get') assert.deepEqual([map.get(key), map.has(key)], [model.get(key), model.has(key)]);
      else [map.clear(), model.clear()];
      assert.deepEqual([map.size, [...map.values()]], [model.size, [...model.values()]]);
    }
  }));
});

test('an entry may be undefined', () => {
  const map = new SteadyMap<string, undefined>();
  map.set('a', undefined);
  assert.deepEqual([map.has('a'), map.size, map.delete('a'), map.has('a')], [true, 1, true, false]);
});

test('a set does what a Set does', () => {
  const step = fc.record({ act: fc.constantFrom('add', 'delete', 'clear'), who: fc.nat(8) });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const people: (Seated & { name: number })[] = Array.from({ length: 9 }, (_, name) => ({ seat: -1, name }));
    const [set, model] = [new SteadySet<Seated & { name: number }>(), new Set<number>()];
    for (const { act, who } of steps) {
      if (act === 'clear') [set.clear(), model.clear()];
      else if (act === 'delete') assert.equal(set.delete(people[who]!), model.delete(who));
      else if (!model.has(who)) [set.add(people[who]!), model.add(who)];
      assert.deepEqual([set.size, [...set].map(({ name }) => name).sort()], [model.size, [...model].sort()]);
    }
  }));
});
