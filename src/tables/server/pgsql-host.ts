/** The members of `hosts` of a pgsql table: a connection URI, `unix:/folder`, `inet:host:port`, `host`. */
import type { Host } from './pool.ts';

export interface PgsqlHost extends Host {
  readonly uri: string | undefined;
  /** A name, or the folder of the socket. */
  readonly name: string;
  readonly port: number;
  /** TLS where the server has it, checked or not: libpq's way when nothing is said. */
  readonly prefersTls: boolean;
}

export function pgsqlHosts(labels: readonly string[]): PgsqlHost[] {
  return labels.flatMap((label) => (/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(label) ? uriHosts(label) : [plainHost(label)]));
}

function plainHost(label: string): PgsqlHost {
  const name = label.replace(/^(?:unix|inet):/, '');
  if (name.startsWith('/')) return { label, isLocal: true, uri: undefined, name, port: 5432, prefersTls: false };
  const [, host = name, port] = /^(.*):([0-9]+)$/.exec(name) ?? [];
  return { label, isLocal: false, uri: undefined, name: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port ?? 5432), prefersTls: true };
}

/** A URI may name several servers; the library wants one at a time. */
function uriHosts(label: string): PgsqlHost[] {
  const [, scheme = '', login = '', hosts = '', rest = ''] = /^([^:]*:\/\/)([^/?#]*@)?([^/?#]*)(.*)$/.exec(label) ?? [];
  const prefers = /[?&]sslmode=prefer(?=&|$)/;
  const says = rest.includes('sslmode=') && !prefers.test(rest);
  const compatible = says && !rest.includes('uselibpqcompat=') ? `${rest}&uselibpqcompat=true` : rest.replace(prefers, (all) => (all[0] === '?' ? '?' : ''));
  return hosts.split(',').map((host) => {
    const isLocal = host === '' || host.startsWith('%2');
    return { label, isLocal, uri: `${scheme}${login}${host}${compatible}`, name: host, port: 0, prefersTls: !says && !isLocal };
  });
}
