import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cardOf, parameterNames } from '../parameters/parameters.ts';
import { Configuration } from './configuration.ts';
import { parseMainCf } from './main-cf.ts';
import { changedDefaults, oldDefaults } from './old-defaults.ts';

const names = (mainCf: string): readonly string[] => [...oldDefaults(new Configuration('/conf', parseMainCf(mainCf, 'main.cf', assert.fail)))];

for (const [level, count] of [['0', 13], ['1', 10], ['2', 7], ['3.6', 2], ['3.11', 0]] as const)
  test(`${count} old defaults are in force at level ${level}`, () => assert.equal(names(`compatibility_level = ${level}`).length, count));

test('every one of them is another value at the last level, and no other parameter of its own is', () => {
  const at = (level: string): Configuration => new Configuration('/conf', parseMainCf(`myhostname = a.b\nmydestination = a.b\ncompatibility_level = ${level}`, 'main.cf', assert.fail));
  const [old, today] = [at('0'), at('3.12')];
  const differs = (name: string): boolean => old.text(name) !== today.text(name);
  assert.deepEqual(changedDefaults.filter((name) => !differs(name)), []);
  const expressions = parameterNames().filter((name) => cardOf(name)!.default.includes('compatibility_level') && differs(name));
  assert.deepEqual(expressions.filter((name) => !(changedDefaults as readonly string[]).includes(name)), []);
});

for (const [setting, without] of [
  ['relay_domains =', ['relay_domains', 'fast_flush_domains']],
  ['fast_flush_domains =', ['fast_flush_domains']],
  ['mynetworks = 127.0.0.1', ['mynetworks_style']],
  ['mynetworks_style = subnet', ['mynetworks_style']],
  ['append_dot_mydomain = yes', ['append_dot_mydomain']],
] as const) test(`${setting}`, () => assert.deepEqual(changedDefaults.filter((name) => !names(setting).includes(name)).sort(), [...without].sort()));
