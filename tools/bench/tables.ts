/**
 * The tables and restrictions that rows of the bench put on the path of a message. Texts are pure; `makeTable` runs a side's own postmap.
 */
import { writeFileSync } from 'node:fs';
import type { MailSystem } from './mail-system.ts';

/** Entries that no message of the bench meets: what is measured is looking them up. */
export function strangers(entry: (number: number) => string, count = 1000): string {
  return Array.from({ length: count }, (_, number) => `${entry(number)}\n`).join('');
}

export const restrictionTables: { readonly [name: string]: string } = {
  access: strangers((number) => `d${number}.elsewhere.test REJECT`),
  canonical: strangers((number) => `old${number}@local.test new${number}@local.test`),
  virtual: strangers((number) => `alias${number}@local.test real${number}@local.test`),
  transport: strangers((number) => `t${number}.elsewhere.test smtp:[127.0.0.1]`),
};

const askedOften = ['check_client_access', 'check_helo_access', 'check_sender_access', 'check_recipient_access'];
const askedOnce = [
  'reject_unauth_pipelining', 'reject_non_fqdn_sender', 'reject_non_fqdn_recipient', 'reject_invalid_helo_hostname',
  'reject_non_fqdn_helo_hostname', 'reject_unlisted_sender',
];

/** Fifty restrictions, none of which decides before the last. */
export function fiftyRestrictions(accessTable: string): string[] {
  const asked = Array.from({ length: 43 }, (_, index) => `${askedOften[index % askedOften.length]} ${accessTable}`);
  return [...askedOnce, ...asked, 'permit_mynetworks'];
}

export function restrictionLines(table: (name: string) => string): string {
  return `smtpd_helo_required = yes
smtpd_relay_restrictions =
smtpd_recipient_restrictions = ${fiftyRestrictions(table('access')).join(',\n    ')},\n    reject
canonical_maps = ${table('canonical')}
virtual_alias_maps = ${table('virtual')}
transport_maps = ${table('transport')}
`;
}

/** A different next hop for each of a thousand numbers, all of them this machine: the sink listens on every address. */
export function destinationTable(port: number, messages: number): string {
  const nexthop = (number: number): string => `smtp:[127.0.${10 + Math.floor(number % 1000 / 100)}.${100 + number % 100}]:${port}`;
  return Array.from({ length: messages + 1 }, (_, number) => `${number}rcpt@sink.test ${nexthop(number)}\n`).join('');
}

export async function makeTable(system: MailSystem, type: string, name: string, text: string): Promise<void> {
  writeFileSync(`${system.etc}/${name}`, text);
  await system.run('postmap', ['-c', system.etc, `${type}:${system.etc}/${name}`]);
}
