/** The members of `server_host` of an ldap table: LDAP URLs, or names with or without a port, in the order in which they are tried. */
import type { Host } from './pool.ts';
import type { Settings } from './settings.ts';

export interface LdapHost extends Host {
  readonly scheme: 'ldap' | 'ldaps' | 'ldapi';
  /** A name, or for ldapi the path of the socket. */
  readonly name: string;
  readonly port: number;
}

export function ldapHosts(settings: Settings, warn: (text: string) => void): LdapHost[] {
  const port = settings.number('server_port', 389);
  const hosts = settings.list('server_host', 'localhost').flatMap((label) => {
    const host = ldapHost(label, port);
    if (!host) warn(`${settings.name}: error parsing URL ${label}; skipping`);
    return host ? [host] : [];
  });
  if (hosts.length === 0) throw new Error(`${settings.name}: server_host names no server`);
  return hosts;
}

export function ldapHost(label: string, usualPort: number): LdapHost | undefined {
  const [, scheme, rest = ''] = /^(ldap|ldaps|ldapi):\/\/([^/?]*)/i.exec(label) ?? [];
  const kind = (scheme?.toLowerCase() ?? 'ldap') as LdapHost['scheme'];
  if (scheme === undefined && label.includes('://')) return undefined;
  if (kind === 'ldapi') return { label, isLocal: true, scheme: kind, name: decodeURIComponent(rest) || '/var/run/slapd/ldapi', port: 0 };
  const [, name = '', port] = /^(\[[^\]]*\]|[^:]*)(?::([0-9]+))?$/.exec(scheme === undefined ? label : rest) ?? [];
  const usual = scheme === undefined ? usualPort : kind === 'ldaps' ? 636 : 389;
  return { label, isLocal: false, scheme: kind, name: name.replace(/^\[(.*)\]$/, '$1') || 'localhost', port: Number(port ?? usual) };
}
