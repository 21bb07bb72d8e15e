/**
 * What smtp(8) and lmtp(8) read from main.cf about TLS. Pure; a value that makes no sense is a ConfigurationError that names the parameter.
 *
 * The reader gives `smtp_tls_...` or `lmtp_tls_...`, whichever program it is.
 */
import { ConfigurationError } from '../../config/configuration-error.ts';
import type { Configuration } from '../../config/configuration.ts';
import { usesOldDefault } from '../../config/old-defaults.ts';
import { level, levelOf } from '../../network/tls-levels.ts';
import type { KeyFiles } from '../../network/tls-files.ts';
import type { CipherLists } from '../../network/tls-ciphers.ts';
import { splitList } from '../../text/ascii.ts';
import type { Program, Read } from './settings.ts';

export interface TlsSettings {
  readonly program: Program;
  /** Of destinations that no table names. */
  readonly level: number;
  /** Where a policy table has been told of, it rules alone. */
  readonly policyMaps: string;
  readonly perSite: string;
  readonly wrapped: boolean;
  readonly reuse: boolean;
  readonly serverName: string;
  readonly protocols: { readonly optional: string; readonly mandatory: string };
  readonly ciphers: { readonly optional: string; readonly mandatory: string };
  readonly excluded: { readonly always: string; readonly mandatory: string };
  readonly lists: CipherLists;
  /** What certificates are to match, by level. */
  readonly match: { readonly verify: string; readonly secure: string; readonly fingerprint: string };
  readonly digest: string;
  /** The digest is that of an older release, since main.cf says nothing. */
  readonly oldDigest: boolean;
  /** Digests of TLSA records. */
  readonly daneDigests: string;
  /** So is the level. */
  readonly oldLevel: boolean;
  readonly depth: number;
  readonly anchorFiles: readonly string[];
  readonly authorityFile: string;
  readonly authorityPath: string;
  readonly appendsDefaultAuthorities: boolean;
  readonly keys: KeyFiles;
  readonly curves: readonly string[];
  readonly sslOptions: string;
  readonly disabledWorkarounds: string;
  readonly logLevel: string;
  readonly logLevelMaps: string;
  readonly timeout: number;
  /** '' : sessions are not kept. */
  readonly cacheDatabase: string;
  readonly cacheTimeout: number;
  readonly forcesTlsa: boolean;
  /** level.may, encrypt or dane: what TLSA records are worth behind MX records that nobody vouches for. */
  readonly insecureMx: number;
  readonly enforcesStsPatterns: boolean;
  readonly blocksEarlyReply: boolean;
  /** "TLS-Required: no" (RFC 8689 section 5) is heeded. */
  readonly heedsOptional: boolean;
  readonly requireTls: boolean;
  readonly requireTlsPolicy: string;
  readonly dnssec: boolean;
  readonly ignoresMxErrors: boolean;
  readonly utf8: boolean;
  readonly report: { readonly enabled: boolean; readonly socket: string; readonly skipsReused: boolean };
}

export function readTlsSettings(config: Configuration, read: Read, program: Program): TlsSettings {
  const smtp = program === 'smtp';
  return {
    program,
    level: globalLevel(config, read, program),
    policyMaps: read('tls_policy_maps'), perSite: read('tls_per_site'), wrapped: read('tls_wrappermode'), reuse: read('tls_connection_reuse'),
    serverName: read('tls_servername'),
    protocols: { optional: read('tls_protocols'), mandatory: read('tls_mandatory_protocols') },
    ciphers: { optional: read('tls_ciphers'), mandatory: read('tls_mandatory_ciphers') },
    excluded: { always: read('tls_exclude_ciphers'), mandatory: read('tls_mandatory_exclude_ciphers') },
    lists: { high: config.get('tls_high_cipherlist'), medium: config.get('tls_medium_cipherlist'), none: config.get('tls_null_cipherlist') },
    match: { verify: read('tls_verify_cert_match'), secure: read('tls_secure_cert_match'), fingerprint: read('tls_fingerprint_cert_match') },
    digest: read('tls_fingerprint_digest'), oldDigest: usesOldDefault(config, smtp ? 'smtp_tls_fingerprint_digest' : 'lmtp_tls_fingerprint_digest'),
    daneDigests: config.get('tls_dane_digests'),
    oldLevel: smtp && usesOldDefault(config, 'smtp_tls_security_level'), depth: read('tls_scert_verifydepth'), anchorFiles: splitList(read('tls_trust_anchor_file')),
    authorityFile: read('tls_CAfile'), authorityPath: read('tls_CApath'), appendsDefaultAuthorities: config.get('tls_append_default_CA'),
    keys: keyFiles(read),
    curves: [config.get('tls_eecdh_auto_curves'), config.get('tls_ffdhe_auto_groups')],
    sslOptions: config.get('tls_ssl_options'), disabledWorkarounds: config.get('tls_disable_workarounds'),
    logLevel: read('tls_loglevel'), logLevelMaps: read('tls_loglevel_maps'), timeout: read('starttls_timeout'),
    cacheDatabase: read('tls_session_cache_database'), cacheTimeout: read('tls_session_cache_timeout'),
    forcesTlsa: read('tls_force_insecure_host_tlsa_lookup'), insecureMx: insecureMx(config, smtp),
    enforcesStsPatterns: read('tls_enforce_sts_mx_patterns'), blocksEarlyReply: read('tls_block_early_mail_reply'),
    heedsOptional: config.get('tls_required_enable'), requireTls: config.get('requiretls_enable'), requireTlsPolicy: read('requiretls_policy'),
    dnssec: read('dns_support_level').toLowerCase() === 'dnssec', ignoresMxErrors: smtp && config.get('ignore_mx_lookup_error'),
    utf8: config.get('smtputf8_enable'),
    report: { enabled: read('tlsrpt_enable'), socket: read('tlsrpt_socket_name'), skipsReused: read('tlsrpt_skip_reused_handshakes') },
  };
}

function keyFiles(read: Read): KeyFiles {
  return {
    chainFiles: splitList(read('tls_chain_files')),
    single: [
      ['RSA', read('tls_cert_file'), read('tls_key_file')], ['DSA', read('tls_dcert_file'), read('tls_dkey_file')],
      ['ECDSA', read('tls_eccert_file'), read('tls_eckey_file')],
    ],
  };
}

// Legacy parameters count where the level is not said.
function globalLevel(config: Configuration, read: Read, program: Program): number {
  const text = read('tls_security_level');
  if (text === '') return read('enforce_tls') ? (read('tls_enforce_peername') ? level.verify : level.encrypt) : read('use_tls') ? level.may : level.none;
  const found = levelOf(text);
  if (found !== undefined) return found;
  const name = `${program}_tls_security_level`;
  throw new ConfigurationError(`parameter ${name}: Invalid TLS level "${text}"`, config.origin(name), 'write one of none, may, encrypt, fingerprint, dane, dane-only, verify, secure');
}

function insecureMx(config: Configuration, smtp: boolean): number {
  // lmtp(8) looks for no MX records; behind SRV records that nobody vouches for TLSA records prove nothing.
  if (!smtp) return level.may;
  const text = config.get('smtp_tls_dane_insecure_mx_policy');
  const found = levelOf(text);
  if (found === level.may || found === level.encrypt || found === level.dane) return found;
  throw new ConfigurationError(`parameter smtp_tls_dane_insecure_mx_policy: invalid value "${text}"`, config.origin('smtp_tls_dane_insecure_mx_policy'), 'write one of may, encrypt, dane');
}

/** Is any session to be encrypted, as far as main.cf says? Without that no keys are read. */
export function mayUseTls({ level: usual, policyMaps, perSite }: TlsSettings): boolean {
  return usual > level.none || policyMaps !== '' || perSite !== '';
}

