import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editDistance, nearestName } from './nearest.ts';

for (const [one, other, want] of [['', '', 0], ['a', '', 1], ['kitten', 'sitting', 3], ['relay', 'realy', 1], ['abc', 'abc', 0], ['ca', 'abc', 3]] as const) {
  test(`${one} to ${other}: ${want}`, () => {
    assert.equal(editDistance(one, other), want);
    assert.equal(editDistance(other, one), want);
  });
}

const names = ['mydestination', 'mynetworks', 'myhostname', 'relayhost', 'mydomain'];

for (const [word, want] of [
  ['mydestinaton', 'mydestination'], ['MyNetwork', 'mynetworks'], ['relay_host', 'relayhost'], ['reyalhost', 'relayhost'], ['zzz', undefined], ['', undefined], ['m', undefined], ['x'.repeat(200), undefined],
] as const) {
  test(`nearest to ${word.slice(0, 20)}: ${want}`, () => assert.equal(nearestName(word, names), want));
}
