import assert from 'node:assert/strict';
import test from 'node:test';
import { parseLogLine } from './line.ts';

for (const [line, want] of [
  ['Nov 21 03:04:05 host postfix/smtpd[123]: connect from x', { tag: 'postfix/smtpd', number: 123, text: 'connect from x' }],
  ['Nov  1 03:04:05 host a[1]: ', { tag: 'a', number: 1, text: '' }],
  ['Nov 21 03:04:05 host a[1]: b\nc', { tag: 'a', number: 1, text: 'b\nc' }],
  ['a[1]: text', undefined], ['Nov 21 03:04:05 host a: text', undefined], ['', undefined],
] as const) {
  test(`a line of the log: ${JSON.stringify(line)}`, () => assert.deepEqual(parseLogLine(line), want));
}
