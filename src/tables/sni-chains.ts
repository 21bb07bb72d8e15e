/** Keys and certificates by the server name that a TLS client asks for: tls_server_sni_maps. postconf(5). */
import { chainsInOrder, ChainTrouble, type Chain } from '../network/tls-chains.ts';
import { ServerNameTrouble, type Peer, type TlsServerOptions } from '../network/tls-server.ts';
import { lowerAscii } from '../text/ascii.ts';
import { validHostname } from '../text/hostname.ts';
import { openMaps, type Maps } from './maps.ts';
import { TableTrouble, type TableContext } from './table.ts';

/** Undefined: there are no tables, and so the same keys for all names. */
export function sniChains(list: string, context: TableContext): TlsServerOptions['chainsFor'] {
  if (list === '') return undefined;
  const maps = openMaps(list, context, 'tls_server_sni_maps', { fold: true, valueIsFile: true });
  return (name, peer) => chainsFor(maps, name, peer);
}

/** The entry of a server name, or of the domains above it with a dot in front. */
async function chainsFor(maps: Maps, name: string, peer: Peer): Promise<readonly Chain[] | undefined> {
  if (!validHostname(name)) {
    peer.warning(`TLS SNI from ${lowerAscii(peer.label)} is invalid: ${name}`);
    return undefined;
  }
  try {
    for (let key: string | undefined = name; key !== undefined; key = above(key)) {
      const pem = await maps.find(key);
      if (pem !== undefined) return chainsInOrder([{ name: `SNI data for ${name}`, text: Buffer.from(pem, 'base64').toString('latin1') }], `SNI data for ${name}`, 'aborting TLS handshake');
    }
  } catch (error) {
    if (error instanceof ChainTrouble) for (const line of error.lines) peer.warning(line);
    else if (error instanceof TableTrouble) peer.warning(`tls_server_sni_maps: ${name} map lookup problem`);
    else throw error;
    throw new ServerNameTrouble(name);
  }
  peer.info(`TLS SNI ${name} from ${lowerAscii(peer.label)} not matched, using default chain`);
  return undefined;
}

function above(name: string): string | undefined {
  const dot = name.indexOf('.', 1);
  return dot < 0 ? undefined : name.slice(dot);
}
