/** What restrictions are made with: parameters, lists and tables of the service, opened before chroot. */
import type { Calls } from '../../../ipc/service.ts';
import type { verifyService } from '../../../ipc/verify.ts';
import type { Dns } from '../../../network/dns.ts';
import type { NativeAnswer } from '../../../network/native-lookup.ts';
import type { View } from '../../../parameters/parameters.ts';
import type { LookupTable } from '../../../tables/table.ts';
import type { AccessKeys, AddressMatch } from '../../../tables/mail-address-find.ts';
import type { Maps } from '../../../tables/maps.ts';
import type { MaybePromise } from '../../../text/maybe.ts';
import type { OldDefaults } from './old-defaults.ts';
import { refuse, type RefuseRules } from './refuse.ts';
import type { AccessState, AccessTools, Decision, Refusal, Restriction } from './state.ts';

export const accessParameters = [
  'reject_code', 'defer_code', 'relay_domains_reject_code', 'access_map_reject_code', 'access_map_defer_code', 'invalid_hostname_reject_code',
  'non_fqdn_reject_code', 'unknown_client_reject_code', 'unknown_address_reject_code', 'unknown_address_tempfail_action', 'multi_recipient_bounce_reject_code',
  'unknown_local_recipient_reject_code', 'unknown_virtual_mailbox_reject_code', 'unknown_virtual_alias_reject_code', 'unknown_relay_recipient_reject_code',
  'allow_untrusted_routing', 'smtpd_null_access_lookup_key', 'show_user_unknown_table_name', 'double_bounce_sender', 'soft_bounce', 'plaintext_reject_code',
  'local_recipient_maps', 'virtual_mailbox_maps', 'relay_recipient_maps', 'mynetworks', 'recipient_canonical_maps', 'sender_canonical_maps', 'canonical_maps',
  'virtual_alias_maps', 'unknown_hostname_reject_code', 'unknown_helo_hostname_tempfail_action', 'maps_rbl_reject_code', 'maps_rbl_domains', 'default_rbl_reply',
  'rbl_reply_maps', 'permit_mx_backup_networks', 'smtpd_sender_login_maps', 'smtpd_sasl_auth_enable', 'relay_clientcerts', 'smtpd_tls_ask_ccert',
  'smtpd_tls_enable_rpk', 'smtputf8_enable', 'unverified_sender_defer_code', 'unverified_sender_reject_code', 'unverified_sender_reject_reason', 'unverified_sender_tempfail_action',
  'unverified_recipient_defer_code', 'unverified_recipient_reject_code', 'unverified_recipient_reject_reason', 'unverified_recipient_tempfail_action',
  'address_verify_poll_count', 'address_verify_poll_delay', 'address_verify_service_name', 'myhostname', 'mail_name', 'receive_override_options', 'inet_protocols', 'smtpd_proxy_filter',
] as const;

/** What restrictions that ask others need; absent in tests that ask nobody. */
export interface Outside {
  readonly dns: Dns;
  /** As getaddrinfo(3) does it: the hosts file, then the name service. */
  native(host: string): Promise<NativeAnswer>;
  readonly verify: Calls<typeof verifyService>;
  /** @param name as it stands in the list: `inet:host:port`, or `{ unix:name, timeout=10s ... }`. Throws an Error when it makes no sense. */
  policy(name: string): PolicyService;
  sleep(milliseconds: number): Promise<void>;
  /** Milliseconds that never go back. */
  monotonic(): number;
  /** permit_mx_backup_networks */
  isBackupNetwork(name: string, address: string): MaybePromise<boolean>;
  /** mydestination, inet_interfaces, proxy_interfaces. */
  isLocalDomain(domain: string): MaybePromise<boolean>;
  /** $name in texts for clients (smtpd_expansion_filter); undefined: a mistake in the text, which the log has been told. */
  expand(template: string, state: AccessState, more: ReadonlyMap<string, string>): string | undefined;
}

/** The server of a check_policy_service. */
export interface PolicyService {
  readonly name: string;
  readonly defaultAction: string;
  readonly context: string;
  /** The action; undefined: no answer that could be used, and the log has been told. */
  ask(request: string): Promise<string | undefined>;
}


export interface AccessSetup {
  readonly view: View<typeof accessParameters>;
  readonly tools: AccessTools;
  readonly rules: RefuseRules;
  /** Absent: no default is an old one. */
  readonly old?: OldDefaults | undefined;
  isMyNetwork(name: string, address: string): MaybePromise<boolean>;
  isOwnAddress(address: string): boolean;
  openTable(name: string): LookupTable;
  openMaps(list: string, title: string): Maps;
  /** Look up a recipient in an address table (canonical(5) order). */
  findAddress(maps: Maps, address: string): MaybePromise<AddressMatch | undefined>;
  /** Keys for check_sender_access and check_recipient_access, most specific first. */
  addressKeys(address: string): AccessKeys;
  /** Keys for a host name in an access table. */
  domainKeys(name: string): readonly string[];
  /** smtpd_log_access_permit_actions; undefined: no action is logged. */
  readonly logsPermit?: ((action: string) => MaybePromise<boolean>) | undefined;
  readonly outside?: Outside;
  /** What policy services are told about us. */
  readonly policyFacts?: { readonly stress: string; readonly compatibilityLevel: string; readonly mailVersion: string };
  /** Restriction classes that were compiled, by the list's table restriction and name. */
  readonly classes?: Map<string, Restriction>;
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
