import test from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Player, options, transaction } from './testing.ts';

const line = fc.oneof(
  fc.constantFrom('220 mx ESMTP', '250 ok', '250-more', '250 PIPELINING', '250-8BITMIME', '354 go', '421 bye', '450 later', '550 5.1.1 no', '221 bye', '250 SIZE 5', '', '25', '999 x', '000'),
  fc.string({ unit: 'binary', maxLength: 80 }).map((text) => Buffer.from(text, 'utf8').toString('latin1')),
  fc.constant('x'.repeat(5000)),
);
const event = fc.oneof(
  { weight: 20, arbitrary: fc.tuple(fc.constant('hear' as const), fc.array(line, { maxLength: 8 }).map((lines) => lines.map((text) => `${text}\r\n`).join('')), fc.integer({ min: 1, max: 50 })) },
  { weight: 1, arbitrary: fc.constant(['end'] as const) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('wait' as const), fc.integer({ min: 0, max: 400_000 })) },
);

test('whatever a server sends, in whatever pieces: no throw, and each recipient gets exactly one outcome', () => {
  fc.assert(fc.property(fc.constantFrom('smtp' as const, 'lmtp' as const), fc.boolean(), fc.boolean(), fc.boolean(), fc.array(event, { maxLength: 40 }), (dialect, keep, skipQuitResponse, behind, events) => {
    const player = new Player(options({ dialect, skipQuitResponse }), [transaction(3, { keep }), transaction(2, { keep }), transaction(1, { keep })], { behind });
    for (const [kind, value, step] of events) {
      if (kind === 'end') player.run(() => player.machine.end());
      else if (kind === 'wait') { player.now += value; player.run(() => {}); }
      else for (let at = 0; at < value.length; at += step) player.run(() => player.machine.receive(Buffer.from(value.slice(at, at + step), 'latin1')));
    }
    player.run(() => player.machine.end());
    assert.equal(player.kinds().at(-1), 'close');
    assert.equal(player.kinds().filter((kind) => kind === 'close').length, 1);
    verify(player);
  }), { numRuns: 300 });
});

// Of each message that was begun, in order: outcomes for all recipients and then `done`, or `stale`, or the server was unusable.
function verify(player: Player): void {
  const recipients = [[0, 1, 2], [0, 1], [0]];
  let outcomes: number[] = [];
  let ended = 0;
  for (const step of player.played.steps) {
    if (step.kind === 'delivered' || step.kind === 'failed') outcomes.push(...step.recipients);
    if (step.kind === 'done') {
      assert.deepEqual(outcomes.toSorted(), recipients[ended]);
      outcomes = [];
      ended++;
    }
    if (step.kind === 'stale') {
      outcomes = [];
      ended++;
    }
  }
  assert.deepEqual(outcomes, []);
  assert.ok(ended <= player.machine.uses);
}
