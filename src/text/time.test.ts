import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliveryDelays, elapsed, parseTime, renderDelay, renderDelays, renderTime, timeValue } from './time.ts';

for (const [text, unit, want] of [
  ['30', 's', 30], ['5m', 's', 300], ['1h', 's', 3600], ['2d', 's', 172800], ['1w', 's', 604800], ['5', 'd', 432000], ['0', 's', 0],
  [' 7s', 'm', 7], ['+5', 's', 5], ['s', 'm', 0], ['5mx', 's', 300],
  ['', 's', undefined], ['-1', 's', undefined], ['5x', 's', undefined], ['x', 's', undefined], ['5 m', 's', undefined],
  ['2147483647', 's', 2147483647], ['2147483648', 's', undefined], ['3549', 'w', 2146435200], ['3550', 'w', undefined], ['99999999999999999999', 's', undefined],
] as const) {
  test(`"${text}" with unit ${unit} is ${want ?? 'no time'}`, () => assert.equal(parseTime(text, unit), want));
}

for (const [seconds, want] of [[0, '0s'], [59, '59s'], [300, '5m'], [3600, '1h'], [86400, '1d'], [604800, '1w'], [90, '90s'], [5400, '90m']] as const) {
  test(`${seconds} seconds are written ${want}`, () => assert.equal(renderTime(seconds), want));
}

for (const [seconds, microseconds, decimals, want] of [
  [0, 0, 2, '0'], [0, 4_000, 2, '0'], [0, 5_000, 2, '0.01'], [0, 12_345, 2, '0.01'], [0, 123_456, 2, '0.12'], [0, 999_999, 2, '1'],
  [1, 234_567, 2, '1.2'], [1, 250_000, 2, '1.3'], [9, 960_000, 2, '10'], [10, 400_000, 2, '10'], [10, 500_000, 2, '11'], [1234, 0, 2, '1234'],
  [0, 123_456, 0, '0'], [0, 500_000, 0, '1'], [0, 1_234, 6, '0.0012'],
] as const) {
  test(`a delay of ${seconds} s ${microseconds} us with ${decimals} decimals is logged as ${want}`, () => {
    assert.equal(renderDelay({ seconds, microseconds }, 2, decimals), want);
  });
}

test('a clock that went back gives no delay', () => {
  assert.deepEqual(elapsed({ seconds: 1, microseconds: 0 }, { seconds: 1, microseconds: 1 }), { seconds: 0, microseconds: 0 });
});

const at = (milliseconds: number) => timeValue(1_000_000 + milliseconds);

for (const [name, times, want] of [
  ['everything known', { arrival: at(0), active: at(10), handoff: at(12), connected: at(112), done: at(130) }, 'delay=0.13, delays=0.01/0/0.1/0.02'],
  ['no connection', { arrival: at(0), active: at(10), handoff: at(20), done: at(130) }, 'delay=0.13, delays=0.01/0.01/0/0.11'],
  ['no delivery agent', { arrival: at(0), active: at(2000), done: at(5000) }, 'delay=5, delays=2/3/0/0'],
  ['no queue manager', { arrival: at(0), done: at(61_500) }, 'delay=62, delays=62/0/0/0'],
] as const) {
  test(`delays: ${name}`, () => assert.equal(renderDelays(times), want));
}

test('the parts of a delivery', () => {
  const { total, parts } = deliveryDelays({ arrival: at(0), active: at(1), handoff: at(3), connected: at(6), done: at(10) });
  assert.deepEqual([total, ...parts].map((part) => part.microseconds), [10_000, 1_000, 2_000, 3_000, 4_000]);
});

test('milliseconds with a fraction', () => assert.deepEqual(timeValue(1500.25), { seconds: 1, microseconds: 500_250 }));
