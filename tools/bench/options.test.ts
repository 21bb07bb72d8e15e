import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOptions, UsageError } from './options.ts';

test('nothing said: the whole matrix, three rounds, written down', () => {
  const { mode, rounds, write, only, cpuBudget, syscallBudget } = parseOptions([]);
  assert.deepEqual([mode, rounds, write, only, cpuBudget, syscallBudget], ['matrix', 3, true, undefined, 0.4, 60]);
});

test('the guard has its own number of rounds, and budgets can be set', () => {
  const options = parseOptions(['guard', '--cpu-budget', '0.5', '--syscall-budget=70']);
  assert.deepEqual([options.mode, options.rounds, options.cpuBudget, options.syscallBudget], ['guard', 5, 0.5, 70]);
});

test('a pattern picks workloads', () => {
  assert.ok(parseOptions(['--only', '^relay']).only!.test('relay-5k'));
});

test('tables is a mode of its own', () => {
  const { mode, quick, only } = parseOptions(['tables', '--quick', '--only', 'lmdb']);
  assert.deepEqual([mode, quick, only!.test('lmdb')], ['tables', true, true]);
});

test('fuzz plays a million dialogues from the first on, unless told otherwise', () => {
  const [usual, quick, own] = [['fuzz'], ['fuzz', '--quick'], ['fuzz', '--dialogues', '5', '--seed=77']].map(parseOptions);
  assert.deepEqual([usual!.mode, usual!.dialogues, usual!.seed, quick!.dialogues, own!.dialogues, own!.seed], ['fuzz', 1_000_000, 1, 100_000, 5, 77]);
});

test('what makes no sense is a UsageError', () => {
  for (const argv of [['other'], ['guard', 'guard'], ['--rounds', 'none'], ['--rounds=0'], ['--only', '('], ['--colour'], ['--help'], ['--cpu-budget', '-1']]) {
    assert.throws(() => parseOptions(argv), UsageError, argv.join(' '));
  }
});
