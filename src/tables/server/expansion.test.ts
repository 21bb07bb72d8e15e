import assert from 'node:assert/strict';
import test from 'node:test';
import { Expansion, ExpansionLimit, joinResults } from './expansion.ts';

const quote = (text: string): string => `[${text}]`;

for (const [template, key, want] of [
  ['%s', 'joe@example.org', '[joe@example.org]'],
  ['%S', 'joe@example.org', '[joe@example.org]'],
  ['%u at %d', 'joe@example.org', '[joe] at [example.org]'],
  ['%U at %D', 'a@b@example.org', '[a@b] at [example.org]'],
  ['100%% of %s', 'x', '100% of [x]'],
  ['%u', 'joe', '[joe]'],
  ['%u', '@example.org', undefined],
  ['%d', 'joe', undefined],
  ['%d', 'joe@', undefined],
  ['%1.%2', 'joe@a.b.c', '[c].[b]'],
  ['%3', 'joe@b.c', undefined],
  ['%2', 'joe@..c', undefined],
  ['%1', 'joe', undefined],
  ['no key', 'x', 'no key'],
  ['%s', '%s$1', '[%s$1]'],
] as const) {
  test(`query ${template} for ${key}`, () => {
    const expansion = new Expansion('x:y', assert.fail);
    assert.equal(expansion.query(expansion.parse(template, 'query'), key, quote), want);
  });
}

for (const [template, value, key, want] of [
  ['%s', 'v', 'k', 'v'],
  ['%u|%d', 'v@w', 'k', 'v|w'],
  ['%d', 'v', 'k', undefined],
  ['%u', '@w', 'k', undefined],
  ['%S %U %D %1', 'v', 'k@l.m', 'k@l.m k l.m m'],
  ['%D', 'v', 'k', undefined],
  ['fixed', 'v', 'k', 'fixed'],
] as const) {
  test(`result ${template} of ${value} for ${key}`, () => {
    const expansion = new Expansion('x:y', assert.fail);
    assert.equal(expansion.result(expansion.parse(template, 'result'), value, key), want);
  });
}

test('what one template asks of a key, all ask', () => {
  const expansion = new Expansion('x:y', assert.fail);
  const base = expansion.parse('dc=%1', 'query');
  const filter = expansion.parse('(mail=%s)', 'query');
  assert.equal(base.isDynamic && filter.isDynamic, true);
  assert.equal(expansion.query(filter, 'joe'), undefined);
});

test('letters that mean nothing', () => {
  const expansion = new Expansion('x:y', assert.fail);
  for (const text of ['%x', '%', '%0', 'a%']) assert.throws(() => expansion.parse(text, 'query'), { message: `x:y: Invalid query template: ${text}` });
  assert.throws(() => expansion.parse('%z', 'result'), { message: 'x:y: Invalid result template: %z' });
});

test('empty keys and values are told of; null values are not; results are joined up to the limit', () => {
  const said: string[] = [];
  const expansion = new Expansion('x:y', (text) => said.push(text));
  const all = expansion.parse('%s', 'result');
  assert.equal(expansion.query(all, ''), undefined);
  assert.equal(joinResults(expansion, all, ['a', null, '', 'b'], 'k', 2), 'a,b');
  assert.equal(joinResults(expansion, all, [null], 'k', 0), undefined);
  assert.throws(() => joinResults(expansion, all, ['a', 'b'], 'k', 1), ExpansionLimit);
  assert.deepEqual(said, ['table "x:y": empty query string -- ignored', 'table "x:y": empty lookup result for: "k" -- ignored']);
});
