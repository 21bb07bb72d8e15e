import assert from 'node:assert/strict';
import test from 'node:test';
import { TableTrouble, type LookupTable } from '../../../tables/table.ts';
import { guarded } from './evaluate.ts';
import type { AccessSetup } from './setup.ts';
import type { AccessState } from './state.ts';
import { checkClientAccess, checkHeloAccess, checkRecipientAccess, checkSenderAccess } from './table.ts';

const broken = {
  'at once': () => { throw new TableTrouble('lmdb:/etc/access', 'out of order'); },
  late: () => Promise.reject(new TableTrouble('lmdb:/etc/access', 'out of order')),
};

function bench(find: LookupTable['find']) {
  const warnings: string[] = [];
  const setup = {
    view: { smtpd_null_access_lookup_key: '<>' }, rules: { softBounce: false, utf8: true },
    tools: { resolve: (_sender: string, recipient: string) => ({ transport: 'local', nexthop: '', recipient, flags: 0 }), log: () => undefined, warn: (text: string) => void warnings.push(text) },
    openTable: () => ({ type: 'lmdb', name: '/etc/access', fixed: true, find }), addressKeys: (address: string) => ({ keys: [address], whole: 1 }), domainKeys: (name: string) => [name],
  } as unknown as AccessSetup;
  const state = {
    client: { name: 'unknown', address: '192.0.2.1', label: 'unknown[192.0.2.1]' }, helo: 'client.example.org', sender: 'ann@example.org', recipient: 'joe@example.org',
  } as unknown as AccessState;
  return { setup, state, warnings };
}

for (const [when, find] of Object.entries(broken)) {
  for (const [name, check, want] of [
    ['check_client_access', checkClientAccess, '<unknown[192.0.2.1]>: Client host rejected: Server configuration error'],
    ['check_helo_access', checkHeloAccess, '<client.example.org>: Helo command rejected: Server configuration error'],
    ['check_sender_access', checkSenderAccess, '<ann@example.org>: Sender address rejected: Server configuration error'],
    ['check_recipient_access', checkRecipientAccess, '<joe@example.org>: Recipient address rejected: Server configuration error'],
  ] as const) {
    test(`${name}: a table that fails ${when} says come again`, async () => {
      const { setup, state, warnings } = bench(find);
      const decision = await guarded(check(setup, 'lmdb:/etc/access', { name: 'check', defaultTable: '' }), state, { name: 'not this', replyClass: 'Recipient address' }, setup);
      assert.deepEqual(decision, { kind: 'refuse', reply: { code: 451, status: '4.3.5', text: want } });
      assert.match(warnings[0] ?? '', /^lmdb:\/etc\/access lookup error for "[^"]+"$/);
    });
  }
}
