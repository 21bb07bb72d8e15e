import test from 'node:test';
import assert from 'node:assert/strict';
import { getopt } from './getopt.ts';

for (const [name, argv, want] of [
  ['nothing', [], { found: [], operands: [] }],
  ['operands end options', ['-a', 'x', '-b'], { found: [['a', '']], operands: ['x', '-b'] }],
  ['together', ['-abvalue'], { found: [['a', ''], ['b', 'value']], operands: [] }],
  ['value apart', ['-b', '-a', '-a'], { found: [['b', '-a'], ['a', '']], operands: [] }],
  ['two dashes', ['-a', '--', '-a'], { found: [['a', '']], operands: ['-a'] }],
  ['one dash is an operand', ['-', '-a'], { found: [], operands: ['-', '-a'] }],
  ['unknown', ['-ax'], { found: [['a', '']], operands: [], trouble: "invalid option -- 'x'" }],
  ['a colon is none', ['-:'], { found: [], operands: [], trouble: "invalid option -- ':'" }],
  ['value missing', ['-b'], { found: [], operands: [], trouble: "option requires an argument -- 'b'" }],
] as const) test(`getopt: ${name}`, () => assert.deepEqual(getopt(argv, 'ab:'), want));
