import assert from 'node:assert/strict';
import test from 'node:test';
import { isProbeSender, probeSender, probeSenderTrouble } from './probe-sender.ts';

const hour = 3600;
const now = 1_700_000_000;

for (const [sender, life, want] of [
  ['double-bounce', 0, 'double-bounce'],
  ['<>', hour, ''],
  ['', 0, ''],
  // 1700000000 / 3600 is 472222, in base 31: 15, 26, 11, 30.
  ['double-bounce', hour, 'double-bounceHVCZ'],
  ['probe@example.org', hour, 'probeHVCZ@example.org'],
] as const) test(`sender "${sender}" with a life of ${life} seconds`, () => assert.equal(probeSender({ sender, life }, now), want));

const full = 'probe@example.org';
const rules = { sender: 'probe@example.org', life: hour };
const at = (turns: number): string => probeSender(rules, now + turns * hour);

for (const [name, address, want] of [
  ['now', at(0), true],
  ['a turn ago', at(-1), true],
  ['a turn ahead: another clock', at(1), true],
  ['two turns ago', at(-2), false],
  ['two turns ahead', at(2), false],
  ['in other case', at(0).replace('probe', 'PROBE').replace('org', 'ORG'), true],
  ['without a time', 'probe@example.org', false],
  ['with vowels', 'probeAEIO@example.org', false],
  ['of endless length', `probe${'9'.repeat(500)}@example.org`, false],
  ['elsewhere', at(0).replace('org', 'net'), false],
  ['without a domain', at(0).replace('@example.org', ''), false],
  ['another name', at(0).replace('probe', 'prove'), false],
  ['nobody', '', false],
] as const) test(`the sender of a probe: ${name}`, () => assert.equal(isProbeSender(address, full, rules, now), want));

for (const [address, sender, want] of [
  ['probe@example.org', 'probe@example.org', true], ['probe1@example.org', 'probe@example.org', false], ['', 'probe@example.org', false],
  ['', '<>', true], ['', '', true], ['a@example.org', '<>', false],
] as const) test(`"${address}" where the sender is always "${sender}"`, () => assert.equal(isProbeSender(address, sender, { sender, life: 0 }, now), want));

for (const [sender, isBad] of [['@x', true], ['x@', true], ['@', true], ['x', false], ['', false], ['<>', false], ['x@y', false]] as const)
  test(`address_verify_sender = ${sender}`, () => assert.equal(probeSenderTrouble(sender) !== undefined, isBad));
