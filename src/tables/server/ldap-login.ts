/** How an ldap table introduces itself and what it believes: bind, SASL, TLS. Throws an Error for what cannot be done. */
import { readFileSync } from 'node:fs';
import type tls from 'node:tls';
import { lowerAscii } from '../../text/ascii.ts';
import type { Settings } from './settings.ts';
import { certificates } from './tls.ts';

export interface LdapLogin {
  readonly bind: 'none' | 'simple' | 'PLAIN' | 'EXTERNAL';
  readonly dn: string;
  readonly password: string;
  readonly authorization: string;
  readonly startTls: boolean;
  readonly tls: tls.ConnectionOptions;
  readonly dereference: 'never' | 'search' | 'find' | 'always';
  readonly chasesReferrals: boolean;
  /** All that makes one connection different from another. */
  readonly key: readonly unknown[];
}

const binds = new Map([['no', 'none'], ['none', 'none'], ['yes', 'simple'], ['simple', 'simple'], ['sasl', 'sasl']]);
const dereferences = ['never', 'search', 'find', 'always'] as const;
const files = ['tls_ca_cert_file', 'tls_ca_cert_dir', 'tls_cert', 'tls_key'];

export function ldapLogin(label: string, settings: Settings, warn: (text: string) => void): LdapLogin {
  const wanted = settings.text('bind', 'yes', 1);
  const way = binds.get(lowerAscii(wanted));
  if (way === undefined) throw new Error(`${settings.name}: unsupported parameter value: bind = ${wanted}`);
  const bind = way === 'sasl' ? mechanism(settings) : way as 'none' | 'simple';
  for (const name of ['cache', 'cache_expiry', 'cache_size']) if (settings.given(name) !== undefined) warn(`${label}: ignoring ${name}`);
  const version = settings.number('version', 2);
  if (version !== 2 && version !== 3) warn(`${label}: Unknown version ${version}, using 3.`);
  const number = settings.number('dereference', 0, { min: -(2 ** 31) });
  if (dereferences[number] === undefined) warn(`${label}: Unrecognized value ${number} specified for dereference; using 0`);
  const login = {
    bind, dn: settings.text('bind_dn'), password: settings.text('bind_pw'), authorization: settings.text('sasl_authz_id'),
    startTls: settings.flag('start_tls', false), dereference: dereferences[number] ?? 'never', chasesReferrals: settings.flag('chase_referrals', false),
  };
  return { ...login, tls: tlsOptions(settings), key: [login, settings.flag('tls_require_cert', false), ...[...files, 'tls_cipher_suite'].map((name) => settings.given(name))] };
}

function mechanism(settings: Settings): 'PLAIN' | 'EXTERNAL' {
  const names = settings.list('sasl_mechs').map((name) => name.toUpperCase());
  const known = names.find((name) => name === 'PLAIN' || name === 'EXTERNAL');
  if (known === undefined) throw new Error(`${settings.name}: sasl_mechs = ${names.join(' ')}: only PLAIN and EXTERNAL are supported`);
  return known as 'PLAIN' | 'EXTERNAL';
}

function tlsOptions(settings: Settings): tls.ConnectionOptions {
  const [file, folder, certificate, key] = files.map((name) => settings.given(name));
  const read = (path: string): string => readFileSync(Buffer.from(path, 'latin1'), 'latin1');
  const ciphers = settings.given('tls_cipher_suite');
  return {
    ...certificates(file, folder),
    ...(certificate === undefined ? {} : { cert: read(certificate) }),
    ...(key === undefined ? {} : { key: read(key) }),
    ...(ciphers === undefined ? {} : { ciphers }),
    rejectUnauthorized: settings.flag('tls_require_cert', false),
  };
}
