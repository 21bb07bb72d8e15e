/**
 * Every restriction by name, and how it is made. To add one: write its maker beside these and give it a row here.
 *
 * Names of restrictions that are not in this table refuse mail for now (451 4.3.5) and say so in the log, as Postfix does with
 * names it does not know: a policy that is not understood must not let mail pass.
 */
import { rejectNonFqdn, rejectUnknownDomain } from './address.ts';
import { permitInetInterfaces, permitMynetworks, rejectUnknownClientHostname, rejectUnknownReverseClientHostname } from './client.ts';
import { deferUnauthDestination, permitAuthDestination, rejectUnauthDestination } from './destination.ts';
import {
  deferAll, deferInsteadOfReject, deferUnlessRejected, permitAll, permitAuthenticated, rejectAll, rejectMultiRecipientBounce,
  rejectPlaintextSession, rejectUnauthorizedPipelining,
} from './generic.ts';
import { rejectInvalidHeloHostname, rejectNonFqdnHeloHostname } from './hello.ts';
import { rejectUnlisted } from './listed.ts';
import type { AccessSetup } from './setup.ts';
import type { Restriction } from './state.ts';
import { checkClientAccess, checkHeloAccess, checkRecipientAccess, checkSenderAccess } from './table.ts';

export interface Row {
  /** What must follow the name in the list. */
  readonly argument?: 'type:table';
  /** Nothing after it is ever reached. */
  readonly final?: boolean;
  readonly make: (setup: AccessSetup, argument: string) => Restriction;
}

export const catalogue: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['permit', { final: true, make: permitAll }],
  ['reject', { final: true, make: rejectAll }],
  ['defer', { final: true, make: deferAll }],
  ['defer_if_permit', { make: deferUnlessRejected }],
  ['defer_if_reject', { make: deferInsteadOfReject }],
  ['reject_unauth_pipelining', { make: rejectUnauthorizedPipelining }],
  ['reject_multi_recipient_bounce', { make: rejectMultiRecipientBounce }],
  ['reject_plaintext_session', { make: rejectPlaintextSession }],
  ['permit_mynetworks', { make: permitMynetworks }],
  ['permit_inet_interfaces', { make: permitInetInterfaces }],
  ['permit_sasl_authenticated', { make: permitAuthenticated }],
  ['permit_tls_clientcerts', { make: permitAuthenticated }],
  ['permit_tls_all_clientcerts', { make: permitAuthenticated }],
  ['reject_unknown_client_hostname', { make: rejectUnknownClientHostname }],
  ['reject_unknown_client', { make: rejectUnknownClientHostname }],
  ['reject_unknown_reverse_client_hostname', { make: rejectUnknownReverseClientHostname }],
  ['check_client_access', { argument: 'type:table', make: checkClientAccess }],
  ['check_helo_access', { argument: 'type:table', make: checkHeloAccess }],
  ['reject_invalid_helo_hostname', { make: rejectInvalidHeloHostname }],
  ['reject_invalid_hostname', { make: rejectInvalidHeloHostname }],
  ['reject_non_fqdn_helo_hostname', { make: rejectNonFqdnHeloHostname }],
  ['reject_non_fqdn_hostname', { make: rejectNonFqdnHeloHostname }],
  ['check_sender_access', { argument: 'type:table', make: checkSenderAccess }],
  ['reject_non_fqdn_sender', { make: rejectNonFqdn('sender') }],
  ['reject_unknown_sender_domain', { make: rejectUnknownDomain('sender') }],
  ['reject_unknown_address', { make: rejectUnknownDomain('sender') }],
  ['reject_unlisted_sender', { make: rejectUnlisted('sender') }],
  ['check_recipient_access', { argument: 'type:table', make: checkRecipientAccess }],
  ['permit_auth_destination', { make: permitAuthDestination }],
  ['reject_unauth_destination', { make: rejectUnauthDestination }],
  ['defer_unauth_destination', { make: deferUnauthDestination }],
  ['reject_non_fqdn_recipient', { make: rejectNonFqdn('recipient') }],
  ['reject_unknown_recipient_domain', { make: rejectUnknownDomain('recipient') }],
  ['reject_unlisted_recipient', { make: rejectUnlisted('recipient') }],
  ['check_recipient_maps', { make: rejectUnlisted('recipient') }],
]);
