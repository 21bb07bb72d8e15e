import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReturnRuns } from './returns.ts';

function through(text: string, cuts: readonly number[]): string {
  const runs = new ReturnRuns();
  const all = Buffer.from(text, 'latin1');
  const places = [...new Set([0, ...cuts.map((cut) => Math.min(cut, all.length)), all.length])].sort((one, other) => one - other);
  return places.slice(1).map((to, index) => runs.take(all.subarray(places[index]!, to)).toString('latin1')).join('') + runs.rest().toString('latin1');
}

test('of CRs in front of an LF one is left, however the content is cut', () => {
  const text = fc.array(fc.constantFrom('\r', '\r\r', '\n', '\r\n', 'a', 'bc', '.'), { maxLength: 20 }).map((parts) => parts.join(''));
  fc.assert(fc.property(text, fc.array(fc.nat(40), { maxLength: 6 }), (each, cuts) => assert.equal(through(each, cuts), each.replace(/\r+\n/g, '\r\n'))));
});

test('what needs nothing is not copied', () => {
  const slice = Buffer.from('one\r\ntwo\rthree\n');
  assert.equal(new ReturnRuns().take(slice), slice);
});
