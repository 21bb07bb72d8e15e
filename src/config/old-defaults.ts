// Defaults that changed with a compatibility level (postconf(5), compatibility_level): below that level, and where main.cf says
// nothing, the old one is in force, and the programs say so in the log each time it makes a difference. Pure.
import { parseLevel } from './comparison.ts';
import type { Configuration } from './configuration.ts';

/** The level that brought the new default, and the settings of which none is made. */
const changes = {
  append_dot_mydomain: ['1', 'append_dot_mydomain'],
  smtputf8_enable: ['1', 'smtputf8_enable'],
  smtpd_relay_restrictions: ['1', 'smtpd_relay_restrictions'],
  relay_domains: ['2', 'relay_domains'],
  fast_flush_domains: ['2', 'relay_domains', 'fast_flush_domains'],
  mynetworks_style: ['2', 'mynetworks', 'mynetworks_style'],
  smtpd_relay_before_recipient_restrictions: ['3.6', 'smtpd_relay_before_recipient_restrictions'],
  respectful_logging: ['3.6', 'respectful_logging'],
  smtpd_tls_fingerprint_digest: ['3.6', 'smtpd_tls_fingerprint_digest'],
  smtp_tls_fingerprint_digest: ['3.6', 'smtp_tls_fingerprint_digest'],
  lmtp_tls_fingerprint_digest: ['3.6', 'lmtp_tls_fingerprint_digest'],
  smtp_tls_security_level: ['3.11', 'smtp_tls_security_level'],
  tlsproxy_client_security_level: ['3.11', 'tlsproxy_client_security_level'],
} as const satisfies { [name: string]: readonly [level: string, ...names: string[]] };

export type ChangedDefault = keyof typeof changes;

export const changedDefaults = Object.keys(changes) as readonly ChangedDefault[];

/** Is the old default of this parameter in force? Throws LevelError for a compatibility_level that is none. */
export function usesOldDefault(configuration: Configuration, name: ChangedDefault): boolean {
  const [level, ...names] = changes[name];
  return parseLevel(configuration.get('compatibility_level')) < parseLevel(level) && !names.some((each) => configuration.has(each));
}

/** All of them whose old default is in force. */
export function oldDefaults(configuration: Configuration): ReadonlySet<ChangedDefault> {
  return new Set(changedDefaults.filter((name) => usesOldDefault(configuration, name)));
}

/** The line for the log; `use` is what stands behind the setting. */
export function oldDefaultText(setting: string, use: string): string {
  return `using backwards-compatible default setting ${setting} ${use}`;
}
