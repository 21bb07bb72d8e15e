/**
 * What smtp(8) and lmtp(8) read from main.cf: one program, two sets of names (`smtp_...`, `lmtp_...`).
 *
 * Read once, before chroot; a value that makes no sense is a ConfigurationError that names the parameter.
 */
import { ConfigurationError } from '../../config/configuration-error.ts';
import type { Configuration } from '../../config/configuration.ts';
import { inetProtocols, ownAddresses, proxyAddresses } from '../../config/own-addresses.ts';
import type { OwnAddress } from '../../config/own-addresses.ts';
import { addressKey } from '../../network/address.ts';
import type { DestinationSettings } from '../../network/destination.ts';
import type { ParameterName, ParameterValue } from '../../parameters/parameters.ts';
import type { ClientSettings } from '../../protocol/smtp-client/steps.ts';
import { parseSecurityOptions } from '../../protocol/sasl/security-options.ts';
import type { MimeLimits } from './downgrade.ts';
import type { SaslSettings } from './login.ts';
import { readTlsSettings, type TlsSettings } from './tls-settings.ts';
import { lowerAscii, splitList, startsIgnoringCase } from '../../text/ascii.ts';
import { wantedTroubles } from './notices.ts';

export type Program = 'smtp' | 'lmtp';

/** Headers put in front of the message, and whether this is the last stop: `flags=` in master.cf. */
export interface RowFlags {
  readonly deliveredTo: boolean;
  readonly originalTo: boolean;
  readonly returnPath: boolean;
  readonly final: boolean;
}

/** smtp_pix_workarounds and its sisters. */
export interface PixSettings {
  readonly words: string;
  readonly maps: string;
  /** Seconds in the queue before the dot is delayed, and for how long. */
  readonly threshold: number;
  readonly delay: number;
}

/** What is changed in messages: tables, and limits for reading them. */
export interface RewritingSettings {
  readonly program: Program;
  readonly genericMaps: string;
  readonly headerChecks: string;
  readonly mimeHeaderChecks: string;
  readonly nestedHeaderChecks: string;
  readonly bodyChecks: string;
  /** body_checks_size_limit */
  readonly bodyCheckLimit: number;
  readonly lineLimit: number;
  /** header_address_token_limit */
  readonly tokenLimit: number;
}

export interface Settings {
  readonly program: Program;
  readonly client: ClientSettings;
  readonly destination: DestinationSettings;
  /** Not smtp_dns_support_level = disabled: MX and SRV records are looked for. */
  readonly dnsEnabled: boolean;
  /** addressKey() of the addresses that are us. */
  readonly own: ReadonlySet<string>;
  /** Where connections come from, per family; '' for the kernel's choice. */
  readonly bind: { readonly 4: string; readonly 6: string; readonly enforce: boolean };
  readonly connectTimeout: number;
  readonly sessionLimit: number;
  readonly addressLimit: number;
  readonly fallbackRelay: string;
  readonly relayhost: string;
  readonly bestMxTransport: string;
  readonly defaultService: string;
  readonly knownTcpPorts: string;
  readonly srvServices: string;
  readonly discardKeywords: string;
  readonly discardMaps: string;
  readonly cache: { readonly destinations: string; readonly onDemand: boolean; readonly timeLimit: number };
  readonly softBounce: boolean;
  readonly quoteEnvelope: boolean;
  readonly sendXforward: boolean;
  readonly verifyTarget: 'rcpt' | 'data';
  readonly tls: TlsSettings;
  readonly noteTlsOffer: boolean;
  readonly logTlsStatus: boolean;
  readonly minBackoff: number;
  readonly statusFilter: string;
  /** Not disable_mime_output_conversion: 8-bit mail is made 7-bit for servers that need that. */
  readonly convertMime: boolean;
  readonly mimeLimits: MimeLimits;
  readonly flags: RowFlags;
  readonly rewriting: RewritingSettings;
  readonly pix: PixSettings;
  readonly replyFilter: string;
  readonly dnsFilter: string;
  /** smtp_dns_resolver_options */
  readonly shortNames: { readonly defnames: boolean; readonly dnsrch: boolean };
  /** Undefined: not smtp_sasl_auth_enable. */
  readonly sasl: SaslSettings | undefined;
}

/** Names that are not the same behind the prefix. */
const lmtpNames: ReadonlyMap<string, string> = new Map([
  ['helo_name', 'lhlo_name'], ['helo_timeout', 'lhlo_timeout'],
  ['discard_ehlo_keywords', 'discard_lhlo_keywords'], ['discard_ehlo_keyword_address_maps', 'discard_lhlo_keyword_address_maps'],
]);

type Suffix = ParameterName extends infer N ? (N extends `smtp_${infer S}` ? S : never) : never;
export type Read = <S extends Suffix>(suffix: S) => ParameterValue<Extract<ParameterName, `smtp_${S}`>>;

function reader(config: Configuration, program: Program): Read {
  return (suffix) => {
    const name = program === 'smtp' ? `smtp_${suffix}` : `lmtp_${lmtpNames.get(suffix) ?? suffix}`;
    return config.get(name as ParameterName) as never;
  };
}

export function readSettings(config: Configuration, program: Program, args: readonly string[]): Settings {
  const read = reader(config, program);
  const smtp = program === 'smtp';
  const protocols = inetProtocols(config.get('inet_protocols'));
  const own = ownAddresses(config.get('inet_interfaces'), protocols);
  return {
    program,
    client: clientSettings(config, read, program),
    destination: destinationSettings(config, read, smtp, protocols),
    dnsEnabled: dnsEnabled(config, read, program),
    own: new Set([...own.map(({ address }) => address), ...proxyAddresses(config.get('proxy_interfaces'), protocols)].map(addressKey)),
    bind: {
      4: bindAddress(read('bind_address'), own, 4), 6: bindAddress(read('bind_address6'), own, 6), enforce: read('bind_address_enforce'),
    },
    connectTimeout: read('connect_timeout'),
    sessionLimit: read('mx_session_limit'),
    addressLimit: read('mx_address_limit'),
    fallbackRelay: read('fallback_relay'),
    relayhost: smtp ? config.get('relayhost') : '',
    bestMxTransport: smtp ? config.get('best_mx_transport') : '',
    defaultService: read('tcp_port'),
    knownTcpPorts: config.get('known_tcp_ports'),
    srvServices: config.get('use_srv_lookup'),
    discardKeywords: read('discard_ehlo_keywords'),
    discardMaps: read('discard_ehlo_keyword_address_maps'),
    cache: {
      destinations: read('connection_cache_destinations'), onDemand: read('connection_cache_on_demand'),
      // Of all programs together the second is Postfix's scache(8), which keeps nothing for longer.
      timeLimit: Math.min(read('connection_cache_time_limit'), config.get('connection_cache_ttl_limit')),
    },
    softBounce: config.get('soft_bounce'),
    quoteEnvelope: read('quote_rfc821_envelope'),
    sendXforward: read('send_xforward_command'),
    verifyTarget: choice(config, program, 'address_verify_target', read('address_verify_target'), ['rcpt', 'data']),
    tls: readTlsSettings(config, read, program),
    noteTlsOffer: read('tls_note_starttls_offer'),
    logTlsStatus: read('log_tls_feature_status'),
    statusFilter: read('delivery_status_filter'),
    convertMime: !config.get('disable_mime_output_conversion'),
    mimeLimits: {
      headerLimit: config.get('header_size_limit'), boundaryLimit: config.get('mime_boundary_length_limit'), maximumDepth: config.get('mime_nesting_limit'),
    },
    minBackoff: config.get('minimal_backoff_time'),
    flags: rowFlags(args, program === 'lmtp' && config.get('lmtp_assume_final')),
    pix: {
      words: read('pix_workarounds'), maps: read('pix_workaround_maps'), threshold: read('pix_workaround_threshold_time'), delay: read('pix_workaround_delay_time'),
    },
    replyFilter: read('reply_filter'),
    dnsFilter: read('dns_reply_filter'),
    shortNames: shortNames(config, program, read('dns_resolver_options')),
    rewriting: {
      program, genericMaps: read('generic_maps'), headerChecks: read('header_checks'), mimeHeaderChecks: read('mime_header_checks'),
      nestedHeaderChecks: read('nested_header_checks'), bodyChecks: read('body_checks'), bodyCheckLimit: config.get('body_checks_size_limit'),
      lineLimit: config.get('line_length_limit'), tokenLimit: config.get('header_address_token_limit'),
    },
    sasl: read('sasl_auth_enable') ? saslSettings(config, read, program) : undefined,
  };
}

/** So many long lines of a dialogue are kept for a postmaster. */
const transcriptLines = 64;

function clientSettings(config: Configuration, read: Read, dialect: Program): ClientSettings {
  const smtp = dialect === 'smtp';
  return {
    dialect,
    heloName: read('helo_name'),
    myHostname: config.get('myhostname'),
    alwaysSendEhlo: smtp && config.get('smtp_always_send_ehlo'),
    neverSendEhlo: smtp && config.get('smtp_never_send_ehlo'),
    skip5xxGreeting: read('skip_5xx_greeting'),
    skipQuitResponse: read('skip_quit_response'),
    replyLimit: config.get('line_length_limit'),
    lineLimit: read('line_length_limit'),
    smtputf8: config.get('smtputf8_enable'),
    helpfulWarnings: config.get('helpful_warnings'),
    timeouts: {
      helo: read('helo_timeout'), startTls: read('starttls_timeout'), xforward: read('xforward_timeout'), mail: read('mail_timeout'),
      rcpt: read('rcpt_timeout'), dataInit: read('data_init_timeout'), dataTransfer: read('data_xfer_timeout'),
      dataDone: read('data_done_timeout'), rset: read('rset_timeout'), quit: read('quit_timeout'),
    },
    perRequestDeadline: read('per_request_deadline'),
    minDataRate: read('min_data_rate'),
    reuseTime: read('connection_reuse_time_limit'),
    reuseCount: read('connection_reuse_count_limit'),
    logIn: read('sasl_auth_enable'), softLogIn: read('sasl_auth_soft_bounce'), dummyMailAuth: read('send_dummy_mail_auth'),
    ...(wantedTroubles(config.get('notify_classes')).size > 0 && { transcript: transcriptLines * config.get('line_length_limit') }),
  };
}

function saslSettings(config: Configuration, read: Read, program: Program): SaslSettings {
  const passwordMaps = read('sasl_password_maps');
  const name = `${program}_sasl_password_maps`;
  if (passwordMaps === '')
    throw new ConfigurationError(`specify a password table via the \`${name}' configuration parameter`, config.origin(name), `write ${name} = lmdb:/etc/postfix/sasl_passwd`);
  // What Postfix calls cyrus is here: there is nothing else to choose.
  choice(config, program, 'sasl_type', read('sasl_type'), ['cyrus']);
  const mask = (suffix: 'sasl_security_options' | 'sasl_tls_security_options' | 'sasl_tls_verified_security_options'): number => {
    const parsed = parseSecurityOptions(`${program}_${suffix}`, read(suffix));
    if ('error' in parsed) throw new ConfigurationError(parsed.error, config.origin(`${program}_${suffix}`), 'the words are noplaintext, noactive, nodictionary, noanonymous, mutual_auth and forward_secrecy');
    return parsed.mask;
  };
  return {
    passwordMaps,
    delimiter: read('sasl_password_result_delimiter'),
    bySender: program === 'smtp' && read('sender_dependent_authentication'),
    mechanismFilter: read('sasl_mechanism_filter'),
    security: { clear: mask('sasl_security_options'), tls: mask('sasl_tls_security_options'), verified: mask('sasl_tls_verified_security_options') },
    cacheName: authCache(config, program, read('sasl_auth_cache_name')),
    cacheSeconds: read('sasl_auth_cache_time'),
    softBounce: read('sasl_auth_soft_bounce'),
    saysWhom: config.get('send_cyrus_sasl_authzid'),
    tokenMaps: read('sasl_token_maps'),
    tokenTimeLimit: read('sasl_token_time_limit'),
  };
}

function shortNames(config: Configuration, program: Program, text: string): { defnames: boolean; dnsrch: boolean } {
  const words = splitList(text).map((word) => choice(config, program, 'dns_resolver_options', word, ['res_defnames', 'res_dnsrch']));
  return { defnames: words.includes('res_defnames'), dnsrch: words.includes('res_dnsrch') };
}

// Several processes write it: one service must do it for them.
function authCache(config: Configuration, program: Program, name: string): string {
  const problem = /[, \t\r\n]/.test(name) ? 'contains multiple values' : name !== '' && !name.startsWith('proxy:') ? 'must start with "proxy:"' : '';
  if (problem === '') return name;
  const parameter = `${program}_sasl_auth_cache_name`;
  throw new ConfigurationError(`SASL authentication cache name "${name}" ${problem}`, config.origin(parameter), `write ${parameter} = proxy:lmdb:$data_directory/sasl_failures`);
}

function destinationSettings(config: Configuration, read: Read, smtp: boolean, { ipv4, ipv6 }: { ipv4: boolean; ipv6: boolean }): DestinationSettings {
  return {
    ipv4, ipv6,
    lookup: hostLookup(config, read, smtp),
    preference: choice(config, smtp ? 'smtp' : 'lmtp', 'address_preference', read('address_preference'), ['any', 'ipv4', 'ipv6']),
    randomize: read('randomize_addresses'),
    balance: read('balance_inet_protocols'),
    addressLimit: read('mx_address_limit'),
    ignoreMxError: config.get('ignore_mx_lookup_error'),
    ignoreSrvError: config.get('ignore_srv_lookup_error'),
    allowSrvFallback: config.get('allow_srv_lookup_fallback'),
    deferNoMxAddress: read('defer_if_no_mx_address_found'),
    idnaTransitional: config.get('enable_idna2003_compatibility'),
  };
}

/** smtp_dns_support_level rules over disable_dns_lookups, and both over smtp_host_lookup. */
function dnsEnabled(config: Configuration, read: Read, program: Program): boolean {
  const level = read('dns_support_level') || (config.get('disable_dns_lookups') ? 'disabled' : 'enabled');
  return choice(config, program, 'dns_support_level', level, ['disabled', 'enabled', 'dnssec']) !== 'disabled';
}

function hostLookup(config: Configuration, read: Read, smtp: boolean): { dns: boolean; native: boolean } {
  if (!dnsEnabled(config, read, smtp ? 'smtp' : 'lmtp')) return { dns: false, native: true };
  const words = splitList(read('host_lookup')).map(lowerAscii);
  const bad = words.find((word) => word !== 'dns' && word !== 'native');
  if (bad !== undefined || words.length === 0) throw unusable(config, smtp ? 'smtp' : 'lmtp', 'host_lookup', read('host_lookup'), ['dns', 'native', '"dns, native"']);
  return { dns: words.includes('dns'), native: words.includes('native') };
}

function bindAddress(value: string, own: readonly OwnAddress[], family: 4 | 6): string {
  if (value !== '') return value.startsWith('[') && value.endsWith(']') ? value.slice(1, -1) : value;
  // A machine that serves one address of several sends from it too, so that the world sees one name.
  const mine = own.filter((each) => each.family === family);
  const only = mine.length === 1 ? mine[0]!.address : '';
  return only.startsWith('127.') || only === '::1' ? '' : only;
}

function choice<const W extends string>(config: Configuration, program: Program, suffix: string, value: string, words: readonly W[]): W {
  const found = words.find((word) => word === lowerAscii(value));
  if (found === undefined) throw unusable(config, program, suffix, value, words);
  return found;
}

function unusable(config: Configuration, program: Program, suffix: string, value: string, words: readonly string[]): ConfigurationError {
  const name = `${program}_${suffix}`;
  return new ConfigurationError(`parameter ${name}: value "${value}" cannot be used here`, config.origin(name), `write one of ${words.join(', ')}`);
}

const flagLetters = { D: 'deliveredTo', O: 'originalTo', R: 'returnPath', X: 'final' } as const;

/** The arguments of the master.cf row. */
export function rowFlags(args: readonly string[], assumeFinal = false): RowFlags {
  const flags = { deliveredTo: false, originalTo: false, returnPath: false, final: assumeFinal };
  for (const arg of args) {
    if (!startsIgnoringCase(arg, 'flags=')) throw new ConfigurationError(`unknown attribute name: ${arg}`, undefined, 'write flags=DORX, or any of these letters');
    for (const letter of arg.slice('flags='.length)) {
      if (!Object.hasOwn(flagLetters, letter)) throw new ConfigurationError(`unknown flag "${letter}" in ${arg}`, undefined, 'the flags are D, O, R and X');
      flags[flagLetters[letter as keyof typeof flagLetters]] = true;
    }
  }
  return flags;
}
