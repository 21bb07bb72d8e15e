/** What restrictions are made with: parameters, lists and tables of the service, opened before chroot. */
import type { View } from '../../../parameters/parameters.ts';
import type { LookupTable } from '../../../tables/table.ts';
import type { AddressMatch } from '../../../tables/mail-address-find.ts';
import type { Maps } from '../../../tables/maps.ts';
import type { MaybePromise } from '../../../text/maybe.ts';
import { refuse, type RefuseRules } from './refuse.ts';
import type { AccessState, AccessTools, Decision, Refusal, Restriction } from './state.ts';

export const accessParameters = [
  'reject_code', 'defer_code', 'relay_domains_reject_code', 'access_map_reject_code', 'access_map_defer_code', 'invalid_hostname_reject_code',
  'non_fqdn_reject_code', 'unknown_client_reject_code', 'unknown_address_reject_code', 'unknown_address_tempfail_action', 'multi_recipient_bounce_reject_code',
  'unknown_local_recipient_reject_code', 'unknown_virtual_mailbox_reject_code', 'unknown_virtual_alias_reject_code', 'unknown_relay_recipient_reject_code',
  'allow_untrusted_routing', 'smtpd_null_access_lookup_key', 'show_user_unknown_table_name', 'double_bounce_sender', 'soft_bounce', 'plaintext_reject_code',
  'local_recipient_maps', 'virtual_mailbox_maps', 'relay_recipient_maps', 'mynetworks', 'recipient_canonical_maps', 'sender_canonical_maps', 'canonical_maps',
  'virtual_alias_maps',
] as const;

/** Is there mail for this domain at all? */
export type MailDomain = 'exists' | 'unknown' | 'no mail' | 'later';

export interface AccessSetup {
  readonly view: View<typeof accessParameters>;
  readonly tools: AccessTools;
  readonly rules: RefuseRules;
  isMyNetwork(name: string, address: string): MaybePromise<boolean>;
  isOwnAddress(address: string): boolean;
  openTable(name: string): LookupTable;
  openMaps(list: string, title: string): Maps;
  /** Look up a recipient in an address table (canonical(5) order). */
  findAddress(maps: Maps, address: string): MaybePromise<AddressMatch | undefined>;
  /** Keys for check_sender_access and check_recipient_access, most specific first. */
  addressKeys(address: string): readonly string[];
  /** Keys for a host name in an access table. */
  domainKeys(name: string): readonly string[];
  mailDomain(domain: string): Promise<MailDomain>;
  /** A restriction list in a table's value or a class; evaluated as part of the list at hand. */
  nested(text: string, defaultTable: string): Restriction;
}

/** A refusal on the way out of a restriction. */
export function refused(setup: AccessSetup, state: AccessState, refusal: Refusal): Decision {
  return refuse(state, refusal, setup.tools, setup.rules);
}

/** Something of ours failed: the client shall try again. */
export function tableFailure(setup: AccessSetup, state: AccessState, about: string): Decision {
  return refused(setup, state, { code: 451, status: '4.3.0', text: `<${about}>: Temporary lookup failure`, isTrouble: true });
}

export function serverError(setup: AccessSetup, state: AccessState): Decision {
  return refused(setup, state, { code: 451, status: '4.3.5', text: 'Server configuration error', isTrouble: true });
}
