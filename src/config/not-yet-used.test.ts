import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cardOf, parameterNames } from '../parameters/parameters.ts';
import { parseMainCf } from './main-cf.ts';
import { describeNotYetUsed, notYetUsed } from './not-yet-used.ts';

const idle = parameterNames().filter((name) => cardOf(name)!.notYetUsed);
const [one, other] = [idle[0], idle.find((name) => cardOf(name)!.default !== '' && name !== idle[0])];

test('what is set and not read is named with its place, once for each setting', { skip: idle.length === 0 && 'every parameter is read' }, () => {
  const settings = parseMainCf(`queue_directory = /var/spool/postfix\n${one} =\n  x\n`, '/etc/main.cf', assert.fail);
  const rows = [{ file: '/etc/master.cf', line: 7, overrides: [[one, 'y'], ['mine', 'z']] as [string, string][] }];
  assert.deepEqual(notYetUsed(settings, rows).map(describeNotYetUsed), [
    `/etc/main.cf, line 2: accepted, not yet used: ${one}=x`,
    `/etc/master.cf, line 7: accepted, not yet used: ${one}=y`]);
});

test('a setting that changes nothing is passed over', { skip: !other && 'every parameter is read' }, () => {
  const settings = parseMainCf(`${one} =\n${other} = ${cardOf(other!)!.default}\n`, 'main.cf', assert.fail);
  const rows = [{ file: 'master.cf', line: 1, overrides: [[one, 'No']] as [string, string][] }];
  assert.deepEqual(notYetUsed(settings, rows), []);
});
