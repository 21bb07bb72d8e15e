import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as dsn from './dsn.ts';

for (const [text, want] of [
  ['5.1.1', 5], ['2.0.0 ok', 5], ['4.123.123\tx', 9], ['5.1.1:', 0], ['3.0.0', 0], ['5.1', 0], ['5.1234.1', 0], ['5.1.1234', 0], ['', 0], [' 5.1.1', 0],
] as const) {
  test(`"${text}" begins with a status of ${want} characters`, () => assert.equal(dsn.dsnValid(text), want));
}

for (const [fallback, text, status, rest] of [
  ['4.3.0', '5.1.1 no such user', '5.1.1', 'no such user'], ['4.3.0', '  try later', '4.3.0', 'try later'], ['5.0.0', '\t5.7.1\t denied', '5.7.1', 'denied'], ['5.0.0', '', '5.0.0', ''],
] as const) {
  test(`"${text}" is ${status} and "${rest}"`, () => {
    assert.deepEqual(dsn.splitDsn(fallback, text), { status, text: rest });
    assert.equal(dsn.withDsn(fallback, text), `${status} ${rest}`);
  });
}

test('a default status of our own must be one', () => assert.throws(() => dsn.splitDsn('5', 'x'), /bad default status "5"/));

for (const [code, text, want] of [
  [250, '2.1.5 Ok', '2.1.5'], [250, 'Ok', '2.0.0'], [550, '5.1.1 <a>: unknown', '5.1.1'], [550, '4.1.1 x', '5.0.0'], [450, '', '4.0.0'], [354, '2.0.0 x', '5.5.0'], [99, '', '5.5.0'],
] as const) {
  test(`reply ${code} ${text}`, () => assert.equal(dsn.replyStatus(code, text), want));
}

for (const [text, want] of [
  ['NEVER', 1], ['success,FAILURE', 6], ['DELAY', 8], ['SUCCESS,FAILURE,DELAY', 14], ['NEVER,SUCCESS', undefined], ['', undefined], ['SOMETIMES', undefined], ['SUCCESS SUCCESS', 2],
] as const) {
  test(`NOTIFY=${text}`, () => assert.equal(dsn.parseDsnNotify(text), want));
}

test('masks and codes are written', () => {
  assert.equal(dsn.renderDsnNotify(14), 'SUCCESS,FAILURE,DELAY');
  assert.equal(dsn.renderDsnNotify(1), 'NEVER');
  assert.deepEqual(['full', 'HDRS', 'x'].map(dsn.parseDsnRet), [1, 2, undefined]);
  assert.deepEqual([1, 2].map(dsn.renderDsnRet), ['FULL', 'HDRS']);
  assert.deepEqual([0, 1, 2, 3].map(dsn.dsnRetValid), [false, true, true, false]);
});

test('exit statuses', () => {
  assert.deepEqual(dsn.exitStatus(67), { status: '5.1.1', text: 'user unknown' });
  assert.deepEqual(dsn.exitStatus(75), { status: '4.3.0', text: 'temporary failure' });
  assert.deepEqual(dsn.exitStatus(1), { status: '5.3.0', text: 'unknown mail system error 1' });
});
