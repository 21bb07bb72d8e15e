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
  deferAll, deferInsteadOfReject, deferUnlessRejected, permitAll, rejectAll, rejectMultiRecipientBounce, rejectPlaintextSession,
  rejectUnauthorizedPipelining, removed, sleep,
} from './generic.ts';
import { rejectInvalidHeloHostname, rejectNonFqdnHeloHostname, rejectUnknownHeloHostname } from './hello.ts';
import { rejectUnlisted } from './listed.ts';
import {
  checkCcertAccess, permitSaslAuthenticated, permitTlsClientcerts, rejectAuthenticatedSenderLoginMismatch, rejectKnownSenderLoginMismatch,
  rejectUnauthenticatedSenderLoginMismatch,
} from './login.ts';
import { permitMxBackup } from './mx-backup.ts';
import { checkPolicyService } from './policy-service.ts';
import { permitListed, rejectListed, rejectMapsRbl } from './reputation.ts';
import { checkServers } from './server-access.ts';
import type { Maker } from './state.ts';
import {
  checkAddressMap, checkClientAccess, checkEtrnAccess, checkHeloAccess, checkRecipientAccess, checkReverseClientAccess, checkSaslAccess, checkSenderAccess,
} from './table.ts';
import { rejectUnverified } from './verified.ts';

/** What must follow a name in the list. */
export type Argument = 'type:table' | 'transport:server' | 'domain' | 'number';

export interface Row {
  readonly argument?: Argument;
  /** Nothing after it is ever reached. */
  readonly final?: boolean;
  readonly make: Maker;
}

const table = (make: Maker): Row => ({ argument: 'type:table', make });
const domain = (make: Maker): Row => ({ argument: 'domain', make });

export const catalogue: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['permit', { final: true, make: permitAll }],
  ['reject', { final: true, make: rejectAll }],
  ['defer', { final: true, make: deferAll }],
  ['defer_if_permit', { make: deferUnlessRejected }],
  ['defer_if_reject', { make: deferInsteadOfReject }],
  ['sleep', { argument: 'number', make: sleep }],
  ['check_policy_service', { argument: 'transport:server', make: checkPolicyService }],
  ['reject_unauth_pipelining', { make: rejectUnauthorizedPipelining }],
  ['reject_multi_recipient_bounce', { make: rejectMultiRecipientBounce }],
  ['reject_plaintext_session', { make: rejectPlaintextSession }],

  ['permit_mynetworks', { make: permitMynetworks }],
  ['permit_inet_interfaces', { make: permitInetInterfaces }],
  ['permit_sasl_authenticated', { make: permitSaslAuthenticated }],
  ['permit_tls_clientcerts', { make: permitTlsClientcerts(false) }],
  ['permit_tls_all_clientcerts', { make: permitTlsClientcerts(true) }],
  ['reject_unknown_client_hostname', { make: rejectUnknownClientHostname }],
  ['reject_unknown_client', { make: rejectUnknownClientHostname }],
  ['reject_unknown_reverse_client_hostname', { make: rejectUnknownReverseClientHostname }],
  ['check_client_access', table(checkClientAccess)],
  ['check_reverse_client_hostname_access', table(checkReverseClientAccess)],
  ['check_ccert_access', table(checkCcertAccess)],
  ['check_sasl_access', table(checkSaslAccess)],
  ['check_client_a_access', table(checkServers('client', 'A'))],
  ['check_client_mx_access', table(checkServers('client', 'MX'))],
  ['check_client_ns_access', table(checkServers('client', 'NS'))],
  ['check_reverse_client_hostname_a_access', table(checkServers('reverse', 'A'))],
  ['check_reverse_client_hostname_mx_access', table(checkServers('reverse', 'MX'))],
  ['check_reverse_client_hostname_ns_access', table(checkServers('reverse', 'NS'))],
  ['reject_rbl_client', domain(rejectListed('address'))],
  ['reject_rbl', domain(rejectListed('address'))],
  ['reject_maps_rbl', { make: rejectMapsRbl }],
  ['reject_rhsbl_client', domain(rejectListed('client'))],
  ['reject_rhsbl_reverse_client', domain(rejectListed('reverse'))],
  ['permit_dnswl_client', domain(permitListed('address'))],
  ['permit_rhswl_client', domain(permitListed('client'))],

  ['check_helo_access', table(checkHeloAccess)],
  ['check_helo_a_access', table(checkServers('helo', 'A'))],
  ['check_helo_mx_access', table(checkServers('helo', 'MX'))],
  ['check_helo_ns_access', table(checkServers('helo', 'NS'))],
  ['reject_invalid_helo_hostname', { make: rejectInvalidHeloHostname }],
  ['reject_invalid_hostname', { make: rejectInvalidHeloHostname }],
  ['reject_non_fqdn_helo_hostname', { make: rejectNonFqdnHeloHostname }],
  ['reject_non_fqdn_hostname', { make: rejectNonFqdnHeloHostname }],
  ['reject_unknown_helo_hostname', { make: rejectUnknownHeloHostname }],
  ['reject_unknown_hostname', { make: rejectUnknownHeloHostname }],
  ['reject_rhsbl_helo', domain(rejectListed('helo'))],
  ['permit_naked_ip_address', { make: removed('"permit_mynetworks" or "permit_sasl_authenticated"') }],

  ['check_sender_access', table(checkSenderAccess)],
  ['check_sender_a_access', table(checkServers('sender', 'A'))],
  ['check_sender_mx_access', table(checkServers('sender', 'MX'))],
  ['check_sender_ns_access', table(checkServers('sender', 'NS'))],
  ['reject_non_fqdn_sender', { make: rejectNonFqdn('sender') }],
  ['reject_unknown_sender_domain', { make: rejectUnknownDomain('sender') }],
  ['reject_unknown_address', { make: rejectUnknownDomain('sender') }],
  ['reject_unlisted_sender', { make: rejectUnlisted('sender') }],
  ['reject_unverified_sender', { make: rejectUnverified('sender') }],
  ['reject_rhsbl_sender', domain(rejectListed('sender'))],
  ['reject_authenticated_sender_login_mismatch', { make: rejectAuthenticatedSenderLoginMismatch }],
  ['reject_known_sender_login_mismatch', { make: rejectKnownSenderLoginMismatch }],
  ['reject_unauthenticated_sender_login_mismatch', { make: rejectUnauthenticatedSenderLoginMismatch }],

  ['check_recipient_access', table(checkRecipientAccess)],
  ['check_recipient_a_access', table(checkServers('recipient', 'A'))],
  ['check_recipient_mx_access', table(checkServers('recipient', 'MX'))],
  ['check_recipient_ns_access', table(checkServers('recipient', 'NS'))],
  ['permit_auth_destination', { make: permitAuthDestination }],
  ['permit_mx_backup', { make: permitMxBackup }],
  ['reject_unauth_destination', { make: rejectUnauthDestination }],
  ['defer_unauth_destination', { make: deferUnauthDestination }],
  ['check_relay_domains', { make: removed('"reject_unauth_destination"') }],
  ['reject_non_fqdn_recipient', { make: rejectNonFqdn('recipient') }],
  ['reject_unknown_recipient_domain', { make: rejectUnknownDomain('recipient') }],
  ['reject_unlisted_recipient', { make: rejectUnlisted('recipient') }],
  ['check_recipient_maps', { make: rejectUnlisted('recipient') }],
  ['reject_unverified_recipient', { make: rejectUnverified('recipient') }],
  ['reject_rhsbl_recipient', domain(rejectListed('recipient'))],

  ['check_etrn_access', table(checkEtrnAccess)],
  ['check_address_map', table(checkAddressMap)],
]);

/** Names that stand for a list of others. */
export const builtInClasses: ReadonlyMap<string, string> = new Map([
  ['reject_sender_login_mismatch', 'reject_authenticated_sender_login_mismatch reject_unauthenticated_sender_login_mismatch'],
]);
