import assert from 'node:assert/strict';
import test from 'node:test';
import { parseMasterOptions, UsageError } from './options.ts';

const none = { configDirectory: undefined, debug: false, detach: true, exitTime: undefined, init: false, keepStdout: false, test: false, verbose: 0, wait: false };

for (const [argv, want] of [
  [[], {}],
  [['-c', '/etc/x', '-w'], { configDirectory: '/etc/x', wait: true }],
  [['-c/etc/x', '-vv', '-d'], { configDirectory: '/etc/x', verbose: 2, detach: false }],
  [['-ste', '30'], { keepStdout: true, test: true, exitTime: 30 }],
] as const) {
  test(`master ${argv.join(' ')}`, () => assert.deepEqual(parseMasterOptions(argv, 99), { ...none, ...want }));
}

test('master -i as process 1', () => assert.deepEqual(parseMasterOptions(['-i'], 1), { ...none, init: true, keepStdout: true }));

for (const [argv, pid, want] of [
  [['-i'], 99, /only for PID 1/],
  [['-t', '-w'], 99, /cannot be used together/],
  [['-i', '-w'], 1, /cannot be used with/],
  [['-c'], 99, /^usage: master/],
  [['-x'], 99, /^usage: master/],
  [['start'], 99, /^usage: master/],
] as const) {
  test(`master ${argv.join(' ')} is refused`, () => {
    assert.throws(() => parseMasterOptions(argv, pid), (error) => error instanceof UsageError && want.test(error.message));
  });
}
