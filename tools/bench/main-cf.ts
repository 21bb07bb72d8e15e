/**
 * The main.cf texts that are compared: each row of the bench runs both sides with the same lines. Pure.
 */

export type Variant = 'shipped' | 'tuned';

/** What Debian's installation writes, but for host names, TLS and where things lie. */
export const shipped = `smtpd_banner = $myhostname ESMTP $mail_name
biff = no
append_dot_mydomain = no
myhostname = mx.bench.test
mydestination = local.test
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mailbox_size_limit = 0
recipient_delimiter = +
alias_maps =
alias_database =
`;

/** What someone who knows Postfix sets for speed alone. */
export const tuned = `smtpd_peername_lookup = no
in_flow_delay = 0
disable_dns_lookups = yes
smtp_dns_support_level = disabled
max_use = 10000
max_idle = 300s
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = [127.0.0.1]
smtp_connection_reuse_count_limit = 10000
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
receive_override_options = no_address_mappings, no_header_body_checks, no_unknown_recipient_checks
local_header_rewrite_clients =
default_destination_concurrency_limit = 20
initial_destination_concurrency = 20
default_process_limit = 200
smtp_tls_security_level = none
smtpd_tls_security_level = none
`;

export const variants: { readonly [variant in Variant]: string } = { shipped, tuned: shipped + tuned };

const stockEnvironment = 'MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ XAUTHORITY DISPLAY LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME';

/** The environment of the daemons, with these name=value words in it. */
export function daemonEnvironment(...words: readonly (string | undefined)[]): string {
  const set = words.filter((word) => word !== undefined);
  return set.length === 0 ? '' : `import_environment = ${[stockEnvironment, ...set].join(' ')}\n`;
}
