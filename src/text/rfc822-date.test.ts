import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compactTime, mailDate } from './rfc822-date.ts';

for (const [seconds, offsetMinutes, abbreviation, want] of [
  [1795229028, 0, 'UTC', 'Sat, 21 Nov 2026 02:43:48 +0000 (UTC)'],
  [0, 0, 'UTC', 'Thu, 01 Jan 1970 00:00:00 +0000 (UTC)'],
  [0, -300, 'EST', 'Wed, 31 Dec 1969 19:00:00 -0500 (EST)'],
  [951782400, 330, 'IST', 'Tue, 29 Feb 2000 05:30:00 +0530 (IST)'],
  [951782400, -210, '-0330', 'Mon, 28 Feb 2000 20:30:00 -0330 (-0330)'],
] as const) {
  test(`${seconds} in ${abbreviation}`, () => assert.equal(mailDate(seconds, { offsetMinutes, abbreviation }), want));
}

test('the time in a message id is UTC', () => assert.equal(compactTime(1795229028.9), '20261121024348'));
