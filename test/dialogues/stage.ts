/**
 * The stage on which dialogues are played: one small mail host, said once as main.cf lines for daemons and once as data for
 * the machine's verdict-giver.
 */
export const users = ['joe', 'postmaster', "o'brien", 'a.b', 'joe+list'] as const;
/** Who can log in, with which password. */
export const passwords: Readonly<Record<string, string>> = { joe: 'secret', 'ann@dialog.test': 'pass word' };
export const localDomains = ['dialog.test', 'localhost.dialog.test'] as const;
export const aliases = ['info@alias.test'] as const;
export const mailboxes = ['ann@box.test'] as const;
export const relayRecipients = ['bob@relay.test'] as const;

const inline = (keys: readonly string[], value: string): string => `inline:{ ${keys.map((key) => `{ ${key} = ${value} }`).join(' ')} }`;

/** main.cf of the stage, without what names directories. */
export const mainCf: ReadonlyMap<string, string> = new Map([
  ['compatibility_level', '3.6'],
  ['myhostname', 'mx.dialog.test'],
  ['mydomain', 'dialog.test'],
  ['myorigin', 'dialog.test'],
  ['mydestination', localDomains.join(', ')],
  ['mynetworks', '192.0.2.0/24'],
  ['inet_interfaces', '127.0.0.1'],
  ['inet_protocols', 'ipv4'],
  ['alias_maps', ''],
  ['alias_database', ''],
  ['local_recipient_maps', inline(users, 'yes')],
  ['virtual_alias_domains', 'alias.test'],
  ['virtual_alias_maps', inline(aliases, 'joe@dialog.test')],
  ['virtual_mailbox_domains', 'box.test'],
  ['virtual_mailbox_maps', inline(mailboxes, 'box')],
  ['relay_domains', 'relay.test'],
  ['relay_recipient_maps', inline(relayRecipients, 'yes')],
  ['local_transport', 'discard:'],
  ['virtual_transport', 'discard:'],
  ['relay_transport', 'discard:'],
  ['default_transport', 'discard:'],
  ['biff', 'no'],
  ['smtpd_peername_lookup', 'no'],
  ['smtpd_client_connection_count_limit', '0'],
  ['smtpd_error_sleep_time', '0'],
  // Postfix 3.9 and later have these by default; earlier releases know them when they are said.
  ['smtpd_forbid_bare_newline', 'normalize'],
  ['smtpd_forbid_bare_newline_exclusions', ''],
  ['smtpd_forbid_unauth_pipelining', 'yes'],
]);
