import assert from 'node:assert/strict';
import test from 'node:test';
import { counts, mayProbe, parseEntry, renderEntry, unknown, wantsProbe, type Entry } from './entry.ts';

for (const [raw, want] of [
  ['0:0:1700000000:250 2.1.5 Ok', { status: 0, probed: 0, updated: 1_700_000_000, text: '250 2.1.5 Ok' }],
  ['2:1700000900:1700000000:host said: 550 5.1.1: no', { status: 2, probed: 1_700_000_900, updated: 1_700_000_000, text: 'host said: 550 5.1.1: no' }],
  ['3:1700000000:0:Address verification in progress', { status: 3, probed: 1_700_000_000, updated: 0, text: 'Address verification in progress' }],
  ['1:5:0:', { status: 1, probed: 5, updated: 0, text: '' }],
] as const) test(`an entry is read and written: ${raw}`, () => {
  assert.deepEqual(parseEntry(raw), want);
  assert.equal(renderEntry(want), raw);
});

for (const raw of ['', '1700000000', '0:0:1700000000', '4:0:1700000000:x', '0:0:0:neither asked nor answered', '0:-1:1700000000:x', 'x:0:1700000000:y', '0::1700000000:x'])
  test(`what nobody has written is no entry: ${raw}`, () => assert.equal(parseEntry(raw), undefined));

const lives = { positiveExpire: 1000_000, positiveRefresh: 500_000, negativeExpire: 100_000, negativeRefresh: 50_000 };
const now = 1_700_000_000;
const of = (status: number, age: number, probedAgo = now): Entry => ({ status, probed: now - probedAgo, updated: now - age, text: '' });

for (const [name, entry, want] of [
  ['good and new', of(0, 10), { counts: true, wants: false }],
  ['good, and to be asked about again', of(0, 500_001), { counts: true, wants: true }],
  ['at the very second not yet', of(0, 500_000), { counts: true, wants: false }],
  ['good once', of(0, 1_000_001), { counts: false, wants: true }],
  ['good to the last second', of(0, 1_000_000), { counts: true, wants: true }],
  ['bad and new', of(2, 10), { counts: true, wants: false }],
  ['bad, and to be asked about again', of(2, 50_001), { counts: true, wants: true }],
  ['not reached once', of(1, 100_001), { counts: false, wants: true }],
  ['while a probe is under way the old answer counts', of(2, 100_001, 1000), { counts: true, wants: false }],
  ['a probe that got lost', of(2, 100_001, 1001), { counts: false, wants: true }],
  ['a first probe is under way', { status: 3, probed: now - 5, updated: 0, text: '' }, { counts: true, wants: false }],
  ['a first probe got lost', { status: 3, probed: now - 1001, updated: 0, text: '' }, { counts: false, wants: true }],
  ['never heard of', unknown, { counts: false, wants: true }],
] as const) test(name, () => assert.deepEqual({ counts: counts(entry, now, lives), wants: wantsProbe(entry, now, lives) }, want));

test('a probe has a thousand seconds', () => assert.deepEqual([mayProbe(of(0, 0, 1000), now), mayProbe(of(0, 0, 1001), now)], [false, true]));
