/**
 * Node's TLS, loaded when it is first wanted: it takes 5 MB of each process, and many mail systems inside of others have none.
 */
import type tls from 'node:tls';

let loaded: typeof tls | undefined;

export function nodeTls(): typeof tls {
  return (loaded ??= process.getBuiltinModule('node:tls'));
}
