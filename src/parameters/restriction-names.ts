// The names that stand in smtpd restriction lists (postconf(5), smtpd_recipient_restrictions and its relatives), so that one
// written as a parameter can be recognised.

export const restrictionNames: ReadonlySet<string> = new Set([
  'permit', 'reject', 'defer', 'defer_if_permit', 'defer_if_reject', 'warn_if_reject', 'sleep',
  'check_policy_service', 'reject_plaintext_session', 'reject_unauth_pipelining', 'reject_multi_recipient_bounce',
  'permit_inet_interfaces', 'permit_mynetworks', 'permit_sasl_authenticated', 'permit_tls_clientcerts', 'permit_tls_all_clientcerts',
  'check_client_access', 'check_client_a_access', 'check_client_mx_access', 'check_client_ns_access',
  'check_reverse_client_hostname_access', 'check_reverse_client_hostname_a_access',
  'check_reverse_client_hostname_mx_access', 'check_reverse_client_hostname_ns_access', 'check_ccert_access', 'check_sasl_access',
  'reject_rbl_client', 'reject_rhsbl_client', 'reject_rhsbl_reverse_client', 'permit_dnswl_client', 'permit_rhswl_client',
  'reject_unknown_client_hostname', 'reject_unknown_reverse_client_hostname', 'reject_unknown_forward_client_hostname',
  'check_helo_access', 'check_helo_a_access', 'check_helo_mx_access', 'check_helo_ns_access', 'reject_invalid_helo_hostname',
  'reject_non_fqdn_helo_hostname', 'reject_unknown_helo_hostname', 'reject_rhsbl_helo',
  'check_sender_access', 'check_sender_a_access', 'check_sender_mx_access', 'check_sender_ns_access', 'reject_non_fqdn_sender',
  'reject_unknown_sender_domain', 'reject_unlisted_sender', 'reject_unverified_sender', 'reject_rhsbl_sender',
  'reject_sender_login_mismatch', 'reject_authenticated_sender_login_mismatch', 'reject_known_sender_login_mismatch',
  'reject_unauthenticated_sender_login_mismatch',
  'check_recipient_access', 'check_recipient_a_access', 'check_recipient_mx_access', 'check_recipient_ns_access',
  'permit_auth_destination', 'permit_mx_backup', 'reject_unauth_destination', 'defer_unauth_destination',
  'reject_non_fqdn_recipient', 'reject_unknown_recipient_domain', 'reject_unlisted_recipient', 'reject_unverified_recipient',
  'reject_rhsbl_recipient', 'check_etrn_access',
  'reject_unknown_client', 'reject_invalid_hostname', 'reject_non_fqdn_hostname', 'reject_unknown_hostname',
  'reject_unknown_address', 'reject_rbl', 'check_recipient_maps', 'reject_maps_rbl', 'check_relay_domains', 'permit_naked_ip_address',
]);
