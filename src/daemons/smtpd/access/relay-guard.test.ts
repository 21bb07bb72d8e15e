import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRelay } from './relay-guard.ts';

const classes = new Map([['strict', 'check_client_access x:y, reject'], ['mild', 'permit_mynetworks'], ['circle', 'circle']]);
const classText = (name: string): string | undefined => classes.get(name);

for (const [name, relay, recipient, isOpen] of [
  ['both empty', '', '', true],
  ['the default', 'permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination', '', false],
  ['in the other list', '', 'permit_mynetworks REJECT', false],
  ['behind permit', 'permit, reject_unauth_destination', '', true],
  ['only a warning', 'warn_if_reject reject_unauth_destination', '', true],
  ['behind a warning', 'warn_if_reject reject_non_fqdn_sender reject_unauth_destination', '', false],
  ['by way of a class', 'strict', '', false],
  ['a class without', 'mild', '', true],
  ['a class that names itself', 'circle', '', true],
] as const) test(`relay guard: ${name}`, () => assert.equal(openRelay([relay, recipient], classText) !== undefined, isOpen));
