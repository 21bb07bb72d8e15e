/** A real name server for zones of a test: nsd from Debian, on loopback, with a resolv.conf(5) that leads to it. */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { realTicker } from '../src/network/testing.ts';
import { Resolver } from '../src/network/resolver.ts';
import { eventually } from './instance.ts';

const nsd = '/usr/sbin/nsd';

/** Why there is none on this machine; false: there is one. */
export const noNameServer = existsSync(nsd) ? false : `${nsd} is not installed`;

export interface NameServer {
  stop(): Promise<void>;
}

/** Resolves when it answers. Each zone's text stands behind its SOA and NS records; its `ns` is the server. */
export async function startNameServer(address: string, port: number, zones: Readonly<Record<string, string>>): Promise<NameServer> {
  const directory = mkdtempSync(`${tmpdir()}/name-server-`);
  chmodSync(directory, 0o755);
  for (const [name, text] of Object.entries(zones)) writeFileSync(`${directory}/${name}`, zoneFile(name, address, text));
  writeFileSync(`${directory}/nsd.conf`, configuration(directory, `${address}@${port}`, Object.keys(zones)));
  const child = spawn(nsd, ['-d', '-c', `${directory}/nsd.conf`], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => { said += chunk.toString(); });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const stop = async (): Promise<void> => {
    child.kill();
    await ended;
    rmSync(directory, { recursive: true, force: true });
  };
  const resolver = new Resolver({ ticker: realTicker, warn: () => {}, configuration: { servers: [{ address, port }], timeout: 1, attempts: 1, rotate: false, trustAd: false } });
  try {
    await eventually(`${nsd} answers`, async () => {
      if (child.exitCode !== null) throw new Error(`${nsd} ended: ${said}`);
      return (await resolver.lookup(Object.keys(zones)[0]!, 'SOA')).status === 'ok';
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

const zoneFile = (name: string, address: string, text: string): string => `$ORIGIN ${name}.
$TTL 120
@ SOA ns hostmaster 1 3600 600 86400 45
@ NS ns
ns A ${address}
${text}`;

/** What NSD is told of itself; `address` with or without a port. Zones follow. */
export const nsdHead = (directory: string, address: string): string => `server:
  ip-address: ${address}
  username: ""
  chroot: ""
  zonesdir: "${directory}"
  database: ""
  pidfile: "${directory}/nsd.pid"
  xfrdfile: "${directory}/xfrd.state"
  zonelistfile: "${directory}/zone.list"
  xfrdir: "${directory}"
  server-count: 1
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
`;

const configuration = (directory: string, address: string, zones: readonly string[]): string => `${nsdHead(directory, address)}${zones.map((name) => `zone:\n  name: ${name}\n  zonefile: ${name}\n`).join('')}`;
