import assert from 'node:assert/strict';
import test from 'node:test';
import { parseAddressPattern } from './address-pattern.ts';

for (const [pattern, yes, no] of [
  ['127.0.0.2', ['127.0.0.2'], ['127.0.0.3', '127.0.0.20', '127.0.0']],
  ['127.0.0.[2;4..8]', ['127.0.0.2', '127.0.0.4', '127.0.0.8'], ['127.0.0.3', '127.0.0.9']],
  ['[127.0.[0..255].10]', ['127.0.0.10', '127.0.255.10'], ['127.1.0.10', '127.0.0.11']],
  ['[127.0.0.2]', ['127.0.0.2'], ['127.0.0.1']],
  ['[127].0.0.[10..11]', ['127.0.0.10'], ['126.0.0.10']],
] as const) {
  test(`address pattern ${pattern}`, () => {
    const matches = parseAddressPattern(pattern);
    for (const address of yes) assert.ok(matches(address), address);
    for (const address of no) assert.ok(!matches(address), address);
  });
}

for (const pattern of ['', '127.0.0', '127.0.0.2.3', '127.0.0.[8..4]', '127.0.0.256', '127.0.[0.2]', '[127.0.0.2', '127.0.0.x', '127..0.2', '127.0.0.1[2]', '127.0.0.[]', '127.0.0.[1..2..3]']) {
  test(`no address pattern: ${pattern}`, () => assert.throws(() => parseAddressPattern(pattern)));
}
