/**
 * Settings of an SMTP server made up by rule. A number is a configuration, always the same one.
 *
 * A site is what all services of one mail system share (domains, users, rewriting); a service is one smtpd row with restrictions,
 * tables and limits of its own. What takes time (sleep, address verification, silent servers) is not among them.
 */
import type { Dice } from '../bad-input/random-dialogue.ts';

export type Settings = ReadonlyMap<string, string>;

/** Text of table files by name; settings name them as `@tables@/name`. */
export interface Configuration {
  readonly settings: Settings;
  readonly files: ReadonlyMap<string, string>;
}

const inline = (keys: readonly string[], value: string): string => `inline:{ ${keys.map((key) => `{ ${key} = ${value} }`).join(' ')} }`;

function some<T>(dice: Dice, choices: readonly T[], least: number, most: number): T[] {
  return Array.from({ length: least + dice.below(most - least + 1) }, () => dice.one(choices));
}

export function makeSite(dice: Dice): Settings {
  const site = new Map<string, string>();
  const maybe = (share: number, name: string, choices: readonly string[]): void => {
    if (dice.happens(share)) site.set(name, dice.one(choices));
  };
  site.set('smtpd_authorized_xclient_hosts', '127.0.0.0/8');
  site.set('mynetworks', dice.one(['127.1.0.0/16, 10.1.0.0/16', '127.1.0.0/16, 10.1.0.0/16', '!10.1.3.0/24, 10.1.0.0/16', '127.0.0.0/8 10.1.0.0/16', '[::1] 10.1.0.0/16']));
  site.set('fast_flush_domains', dice.one(['$relay_domains', '', 'relay.test, other.test', 'static:all']));
  site.set('virtual_alias_maps', inline(['info@alias.test', 'joe@relay.test', 'all@dialog.test', '@catch.test', 'ann'], dice.one(['joe@dialog.test', 'joe', 'bob@relay.test', 'out@elsewhere.test'])));
  maybe(0.4, 'mydestination', ['dialog.test', '$myhostname, localhost.$mydomain, $mydomain, [10.0.0.9]', 'dialog.test, box.test', 'sub.dialog.test', '']);
  maybe(0.4, 'relay_domains', ['relay.test, .other.test', '', 'relay.test, sub.dialog.test', '$mydestination, relay.test', 'relay.test, other.test, box.test', 'static:yes']);
  maybe(0.3, 'virtual_alias_domains', ['alias.test, catch.test', '$virtual_alias_maps', '', 'alias.test, relay.test']);
  maybe(0.3, 'virtual_mailbox_domains', ['box.test, other.test', '', 'box.test, sub.box.test']);
  maybe(0.25, 'local_recipient_maps', ['', inline(['joe', '@dialog.test'], 'x'), inline(['joe@dialog.test', 'ann', 'joe+list'], 'x'), 'static:x']);
  maybe(0.25, 'relay_recipient_maps', ['', inline(['@relay.test', 'bob@sub.relay.test'], 'x'), inline(['bob@relay.test', 'joe@relay.test', '@other.test'], 'x')]);
  maybe(0.25, 'virtual_mailbox_maps', ['', inline(['@box.test'], 'x'), inline(['ann@box.test', 'joe@box.test', 'bob'], 'x')]);
  maybe(0.3, 'canonical_maps', [inline(['ann@elsewhere.test', 'old@dialog.test'], 'joe@dialog.test'), inline(['@gone.test'], '@dialog.test'), inline(['nobody', 'bob'], 'joe')]);
  maybe(0.2, 'recipient_canonical_maps', [inline(['nobody@dialog.test', '@catch.test'], 'joe@dialog.test'), inline(['joe'], 'stranger@elsewhere.test')]);
  maybe(0.2, 'sender_canonical_maps', [inline(['nobody@dialog.test', 'joe'], 'ann@box.test')]);
  maybe(0.2, 'relocated_maps', [inline(['nobody@dialog.test', '@gone.test', 'bob@relay.test', 'joe'], 'new@elsewhere.test')]);
  maybe(0.2, 'transport_maps', [inline(['bounced.test'], 'error:5.1.2 no mail here'), inline(['joe@dialog.test', '.elsewhere.test', 'relay.test'], 'error:mail not wanted'), inline(['other.test', 'box.test'], 'retry:4.4.4 later'), inline(['*'], 'discard:')]);
  maybe(0.5, 'recipient_delimiter', ['+', '-', '+-', '=']);
  maybe(0.3, 'parent_domain_matches_subdomains', ['', 'smtpd_access_maps', 'relay_domains', 'mynetworks', 'fast_flush_domains, smtpd_access_maps']);
  maybe(0.2, 'swap_bangpath', ['no']);
  maybe(0.2, 'allow_percent_hack', ['no']);
  maybe(0.25, 'allow_untrusted_routing', ['yes']);
  maybe(0.15, 'allow_min_user', ['yes']);
  maybe(0.15, 'append_at_myorigin', ['yes']);
  maybe(0.2, 'append_dot_mydomain', ['yes']);
  maybe(0.2, 'myorigin', ['$myhostname', 'elsewhere.test']);
  maybe(0.2, 'resolve_dequoted_address', ['no']);
  maybe(0.2, 'resolve_null_domain', ['yes']);
  maybe(0.2, 'resolve_numeric_domain', ['yes']);
  maybe(0.2, 'smtputf8_enable', ['no']);
  maybe(0.1, 'local_transport', ['error:5.1.1 no local mail', 'local:$myhostname']);
  maybe(0.1, 'empty_address_recipient', ['joe']);
  maybe(0.15, 'show_user_unknown_table_name', ['no']);
  maybe(0.15, 'proxy_interfaces', ['10.0.0.9']);
  maybe(0.1, 'smtpd_relay_before_recipient_restrictions', ['no', 'yes']);
  maybe(0.1, 'permit_mx_backup_networks', ['192.0.2.0/24', '']);
  return site;
}

const phases = ['client', 'helo', 'sender', 'relay', 'recipient', 'data', 'end_of_data', 'etrn'] as const;
type Phase = (typeof phases)[number];

const anywhere = ['permit_mynetworks', 'permit_mynetworks', 'permit', 'reject', 'defer', 'defer_if_permit', 'defer_if_reject', 'warn_if_reject', 'warn_if_reject', 'permit_inet_interfaces', 'permit_sasl_authenticated', 'reject_unauth_pipelining', 'reject_plaintext_session', 'permit_tls_clientcerts', 'permit_tls_all_clientcerts'];
const ofClient = ['reject_unknown_client_hostname', 'reject_unknown_reverse_client_hostname', 'reject_rbl_client list.test', 'reject_rbl_client list.test=127.0.0.2', 'reject_rhsbl_client domains.test', 'reject_rhsbl_reverse_client domains.test', 'permit_dnswl_client white.test', 'permit_rhswl_client white.test', 'reject_unknown_client'];
const ofHello = ['reject_invalid_helo_hostname', 'reject_non_fqdn_helo_hostname', 'reject_unknown_helo_hostname', 'reject_rhsbl_helo domains.test', 'reject_invalid_hostname', 'reject_non_fqdn_hostname'];
const ofSender = ['reject_non_fqdn_sender', 'reject_unknown_sender_domain', 'reject_rhsbl_sender domains.test', 'reject_authenticated_sender_login_mismatch', 'reject_known_sender_login_mismatch', 'reject_unauthenticated_sender_login_mismatch', 'reject_sender_login_mismatch', 'reject_unknown_address'];
const ofRecipient = ['permit_auth_destination', 'reject_unauth_destination', 'defer_unauth_destination', 'reject_non_fqdn_recipient', 'reject_unknown_recipient_domain', 'reject_unlisted_recipient', 'reject_rhsbl_recipient domains.test', 'permit_mx_backup', 'reject_multi_recipient_bounce', 'check_recipient_maps'];
const namesOf: Readonly<Record<Phase, readonly (readonly string[])[]>> = {
  client: [anywhere, ofClient, ofClient, ofHello, ofSender, ofRecipient],
  helo: [anywhere, ofClient, ofHello, ofHello, ofSender],
  sender: [anywhere, ofClient, ofHello, ofSender, ofSender, ofRecipient],
  relay: [anywhere, ofRecipient, ofRecipient, ofClient],
  recipient: [anywhere, ofClient, ofHello, ofSender, ofRecipient, ofRecipient],
  data: [anywhere, ofClient, ofSender, ofRecipient, ['reject_multi_recipient_bounce', 'reject_unauth_pipelining']],
  end_of_data: [anywhere, ofSender, ofRecipient],
  etrn: [anywhere, ofClient, ofHello],
};

const tableNames = ['client', 'client', 'reverse_client_hostname', 'helo', 'sender', 'sender', 'recipient', 'recipient', 'sasl'];
const serverTables = ['client_a', 'client_mx', 'client_ns', 'reverse_client_hostname_a', 'helo_a', 'helo_mx', 'helo_ns', 'sender_a', 'sender_mx', 'sender_ns', 'recipient_a', 'recipient_mx', 'recipient_ns'];

const keys: Readonly<Record<string, readonly string[]>> = {
  client: ['127.1', '127', '10.1', '10.2', '10', '10.3.0', 'friend.names.test', 'names.test', '.names.test', 'unknown', 'client.test', 'elsewhere.test', 'test', '.test', '10.1.0', 'www.served.test', '<>', 'static'],
  helo: ['client.test', '.client.test', 'mx.client.test', 'test', '[10.0.0.1]', '10.0.0.1', 'localhost', 'dialog.test', '.dialog.test', 'mx.dialog.test', 'names.test', '.names.test', 'a', '-', 'unknown'],
  address: [
    'joe@', 'ann@', 'bob@', 'dialog.test', '.dialog.test', 'sub.dialog.test', 'elsewhere.test', '.elsewhere.test', 'joe@dialog.test', 'joe+x@dialog.test', 'ann@elsewhere.test', 'relay.test', '.relay.test', 'nobody@', '<>', 'test', '.test',
    'box.test', 'alias.test', '[10.0.0.1]', '10.0.0.1', 'postmaster@', '@', 'joe+@', 'joe', '"a b"@', 'names.test', 'nomail.names.test', '10.0.0', 'joe+list@', 'double-bounce@', 'a@b@dialog.test', 'a.b@', 'joe@DIALOG.test', 'joe-x@', '-', 'domain.test.',
  ],
  sasl: ['joe', 'ann@dialog.test', 'ann', 'ann@', 'dialog.test', 'nobody', ''],
  server: ['192.0.2', '192.0.2.10', '192.0.2.66', '10.0.0.1', 'names.test', '.names.test', 'bad.exchanger.names.test', 'ns1.hosting.names.test', 'mx.exchanged.names.test', '<>', 'served.test', '192'],
  etrn: ['relay.test', '.relay.test', 'dialog.test', 'test', 'sub.relay.test', 'other.test', '[10.0.0.1]'],
};
const keysOf = (table: string): readonly string[] => (/_(?:a|mx|ns)$/.test(table) ? keys['server']! : /client/.test(table) ? keys['client']! : /sender|recipient/.test(table) ? keys['address']! : keys[table]!);

const actions = [
  'OK', 'OK', 'DUNNO', 'DUNNO', 'REJECT', 'REJECT', 'REJECT go away', 'REJECT 5.7.9 not you', 'REJECT 4.7.9 soft', '550 no', '554 5.7.2 really no', '450 4.1.1 later', '451 later', '421 4.3.2 bye', '521 5.3.2 closed', '554 4.7.1 odd', '450 5.7.1 odd', 'DEFER', 'DEFER wait', 'DEFER 4.2.2 wait',
  'DEFER_IF_PERMIT', 'DEFER_IF_PERMIT perhaps', 'DEFER_IF_PERMIT 4.2.3 perhaps', 'DEFER_IF_REJECT', 'DEFER_IF_REJECT 4.2.4 hm', 'WARN', 'WARN look at this', 'INFO', 'INFO told', 'HOLD', 'HOLD for now', 'FILTER discard:', 'FILTER discard:x', 'FILTER nonsense', 'FILTER', 'REDIRECT joe@dialog.test', 'REDIRECT nonsense', 'REDIRECT',
  'PREPEND X-Fuzz: yes', 'PREPEND', 'PREPEND nonsense', 'BCC ann@box.test', 'BCC', 'BCC nonsense', 'DISCARD', 'DISCARD silently', 'permit', 'reject', 'permit_mynetworks, reject', 'reject_unauth_destination', 'permit_auth_destination', 'reject_unlisted_recipient', 'defer_if_permit, permit', 'warn_if_reject reject, permit', 'ok', 'Reject mixed case', 'dunno',
  'one', 'two', 'one, two', 'two, permit', 'nonsense', '200 ok', '250 2.0.0 sure', '999 what', '5 short', '40000', '1', '100', '5.7.1 bare status', '550', '550 5.1.1', 'reject_non_fqdn_sender', 'DUNNO whatever', 'OK fine', 'defer', 'STRIP nothing', 'UCE', 'REJECT 7.7.7 odd', 'REJECT 5.7', 'DEFER 5.2.1 x', '450 ${x}', 'reject_unknown_sender_domain', 'check_helo_access static:OK', 'HOLD 5.7.1 x',
];

const regularPatterns: Readonly<Record<string, readonly string[]>> = {
  client: ['/^10\\.1/', '/^unknown$/', '/names\\.test$/i', '/./', '!/test/', '/^10\\.([0-9]+)\\./'],
  helo: ['/^\\[/', '/client/', '/./', '!/\\./', '/^([a-z]+)\\./'],
  address: ['/^joe/', '/@dialog\\.test$/', '/[%!]/', '/^$/', '/^<>$/', '/./', '!/@/', '/^([^@]*)@(.*)$/', '/"/'],
  sasl: ['/^joe$/', '/./'],
  server: ['/^192/', '/names/', '/./'],
  etrn: ['/relay/', '/./'],
};
const patternsOf = (table: string): readonly string[] => {
  const kind = Object.entries(keys).find(([, list]) => list === keysOf(table))![0];
  return regularPatterns[kind]!;
};
const networks = ['10.1.0.0/16', '10.0.0.0/8', '127.0.0.0/8', '10.2.0.0/15', '192.0.2.0/24', '0.0.0.0/0', '::/0', '10.3.0.0/24', '!10.0.0.0/8'];

class TableMaker {
  readonly files = new Map<string, string>();
  readonly #dice: Dice;
  readonly #prefix: string;

  constructor(dice: Dice, prefix: string) {
    this.#dice = dice;
    this.#prefix = prefix;
  }

  /** A table for check_<name>_access. */
  make(name: string): string {
    const dice = this.#dice;
    const kind = dice.below(20);
    if (kind === 0) return `static:{${dice.one(actions)}}`;
    if (kind <= 2) {
      const lines = this.#lines(keysOf(name)).filter(([, action]) => !/[{}$]/.test(action));
      return lines.length === 0 ? 'static:DUNNO' : `inline:{ ${lines.map(([key, action]) => `{ ${key} = ${action} }`).join(' ')} }`;
    }
    if (kind <= 4) return this.#file('cidr', this.#lines(networks).map(([key, action]) => `${key} ${action}\n`).join(''));
    if (kind <= 8) return this.#file('regexp', this.#lines(patternsOf(name)).map(([key, action]) => `${key} ${action.replaceAll('$', '$$')}${key.includes('(') && dice.happens(0.5) && /^REJECT/.test(action) ? ' <$1>' : ''}\n`).join(''));
    return this.#file('texthash', this.#lines(keysOf(name)).map(([key, action]) => `${key} ${action}\n`).join(''));
  }

  #lines(all: readonly string[]): [key: string, action: string][] {
    return [...new Set(some(this.#dice, all, 2, 8).filter((key) => key !== '' && key !== 'joe@DIALOG.test'))].map((key) => [key, this.#dice.one(actions)]);
  }

  #file(type: string, text: string): string {
    const name = `${this.#prefix}-${this.files.size}`;
    this.files.set(name, text);
    return `${type}:@tables@/${name}`;
  }
}

const policyContexts = ['dunno', 'ok', 'reject asked', '450 4.7.1 asked', 'defer_if_permit asked', 'hold', 'prepend X-Policy: yes', 'show recipient', 'show sender', 'show helo_name', 'show protocol_state', 'show recipient_count', 'show client_name', 'show reverse_client_name', 'show size', 'show etrn_domain', 'nonsense', 'one'];

function restriction(dice: Dice, phase: Phase, tables: TableMaker, deep: boolean): string {
  const roll = dice.next();
  if (roll < 0.03) return `check_policy_service { inet:127.0.0.1:$policy_port, { policy_context = ${dice.one(policyContexts)} } }`;
  if (roll < 0.32) {
    const name = phase === 'etrn' && dice.happens(0.6) ? 'etrn' : dice.one(tableNames);
    return `check_${name}_access ${tables.make(name)}`;
  }
  if (roll < 0.38) {
    const name = dice.one(serverTables);
    return `check_${name}_access ${tables.make(name)}`;
  }
  if (roll < 0.42 && !deep) return dice.one(['one', 'two']);
  if (roll < 0.43) return 'reject_nonsense';
  return dice.one(dice.one(namesOf[phase]));
}

function list(dice: Dice, phase: Phase, tables: TableMaker, deep = false): string[] {
  const names = Array.from({ length: 1 + dice.below(5) }, () => restriction(dice, phase, tables, deep));
  // What always ends a list leaves nothing to compare; it is rarer at the front.
  return names.filter((name, index) => index === names.length - 1 || !/^(?:reject|permit|defer)$/.test(name) || names[index - 1] === 'warn_if_reject' || dice.happens(0.2));
}

const codes = ['450', '451', '501', '550', '554', '521', '421'];
const codeNames = ['access_map_reject_code', 'access_map_defer_code', 'defer_code', 'invalid_hostname_reject_code', 'maps_rbl_reject_code', 'non_fqdn_reject_code', 'plaintext_reject_code', 'reject_code', 'relay_domains_reject_code', 'unknown_address_reject_code', 'unknown_client_reject_code', 'unknown_hostname_reject_code', 'unknown_local_recipient_reject_code', 'unknown_relay_recipient_reject_code', 'unknown_virtual_alias_reject_code', 'unknown_virtual_mailbox_reject_code', 'multi_recipient_bounce_reject_code'];

/** What the peer can be asked for. */
export interface Abilities {
  /** Clients may have logged in. */
  readonly logins: boolean;
  /** It goes on in good health after it refused a message at its end: releases before 3.8 keep half of the transaction, and crash. */
  readonly refusesAtEnd: boolean;
}

/** `prefix`: in front of the names of its files. */
export function makeService(dice: Dice, prefix: string, { logins, refusesAtEnd }: Abilities): Configuration {
  const tables = new TableMaker(dice, prefix);
  const settings = new Map<string, string>();
  const maybe = (share: number, name: string, choices: readonly string[]): void => {
    if (dice.happens(share)) settings.set(name, dice.one(choices));
  };
  for (const phase of phases) {
    if (phase === 'relay' || phase === 'recipient' || !dice.happens(phase === 'etrn' || phase === 'client' ? 0.5 : 0.4)) continue;
    settings.set(`smtpd_${phase}_restrictions`, list(dice, phase, tables).join(dice.one([', ', ' '])));
  }
  if (!refusesAtEnd) settings.delete('smtpd_end_of_data_restrictions');
  // One of the two must keep strangers from relaying, else Postfix does not serve.
  const guard = (): string => dice.one(['reject_unauth_destination', 'reject_unauth_destination', 'defer_unauth_destination', 'reject', 'reject_unauth_destination']);
  if (dice.happens(0.5)) settings.set('smtpd_relay_restrictions', [...list(dice, 'relay', tables).filter((name) => name !== 'permit' && name !== 'warn_if_reject'), guard()].join(', '));
  if (dice.happens(0.7)) settings.set('smtpd_recipient_restrictions', list(dice, 'recipient', tables).join(', '));
  settings.set('smtpd_restriction_classes', 'one, two');
  settings.set('one', list(dice, 'recipient', tables, true).join(', '));
  settings.set('two', list(dice, 'sender', tables, true).join(', '));
  maybe(0.4, 'smtpd_delay_reject', ['no']);
  maybe(0.3, 'smtpd_helo_required', ['yes']);
  maybe(0.25, 'strict_rfc821_envelopes', ['yes']);
  maybe(0.25, 'smtpd_reject_unlisted_sender', ['yes']);
  maybe(0.3, 'smtpd_reject_unlisted_recipient', ['no']);
  maybe(0.15, 'soft_bounce', ['yes']);
  maybe(0.15, 'disable_vrfy_command', ['yes']);
  maybe(0.2, 'smtpd_discard_ehlo_keywords', ['pipelining', 'silent-discard, dsn', 'etrn, smtputf8', '8bitmime, size', 'enhancedstatuscodes', 'vrfy, xclient']);
  // Releases before 3.10 do not believe in logins that XCLIENT tells of unless this is on.
  if (logins) settings.set('smtpd_sasl_auth_enable', 'yes');
  maybe(0.3, 'smtpd_sender_login_maps', [inline(['joe@dialog.test', 'ann@elsewhere.test'], 'joe'), inline(['@dialog.test', 'ann'], 'ann@dialog.test, joe'), 'static:joe']);
  maybe(0.15, 'smtpd_recipient_limit', ['1', '2']);
  maybe(0.1, 'smtpd_recipient_overshoot_limit', ['1']);
  maybe(0.15, 'smtpd_hard_error_limit', ['1', '3', '5']);
  maybe(0.1, 'smtpd_junk_command_limit', ['1', '3']);
  maybe(0.1, 'message_size_limit', ['100', '1000']);
  maybe(0.15, 'smtpd_null_access_lookup_key', ['none@', 'joe@dialog.test']);
  maybe(0.15, 'smtpd_log_access_permit_actions', ['static:all', 'check_client_access, permit_mynetworks', 'static:all']);
  maybe(0.1, 'smtpd_reject_footer', ['call us', '\\c; see $client_address', '\\c at $server_name\\n$helo_name']);
  maybe(0.1, 'unknown_address_tempfail_action', ['defer', 'defer_if_permit']);
  maybe(0.1, 'unknown_helo_hostname_tempfail_action', ['defer']);
  maybe(0.1, 'reject_tempfail_action', ['defer']);
  maybe(0.1, 'access_map_defer_code', ['451']);
  maybe(0.1, 'smtpd_forbid_unauth_pipelining', ['no']);
  maybe(0.1, 'smtpd_noop_commands', ['XNOOP, VRFY']);
  maybe(0.1, 'smtpd_forbidden_commands', ['CONNECT, ETRN', 'regexp:{{/^RCPT.*[!]/ x}}', '']);
  maybe(0.1, 'smtpd_command_filter', ["regexp:{{/^VRFY (.*)$$/ RCPT TO:<$$1>}}", 'regexp:{{/^(MAIL FROM:)@(.*)$$/ $$1$$2}}']);
  maybe(0.1, 'smtpd_banner', ['$myhostname $mail_name', 'hello']);
  maybe(0.1, 'strict_smtputf8', ['yes']);
  maybe(0.1, 'smtpd_delay_open_until_valid_rcpt', ['no']);
  maybe(0.1, 'local_header_rewrite_clients', ['', 'permit_mynetworks']);
  maybe(0.05, 'smtpd_authorized_verp_clients', ['10.0.0.0/8']);
  // Replies that put mail off have a number less by a hundred: releases before 3.8 stumble over what is then none.
  for (const name of codeNames) maybe(0.06, name, name === 'relay_domains_reject_code' ? codes.filter((code) => code.startsWith('5')) : codes);
  return { settings, files: tables.files };
}
