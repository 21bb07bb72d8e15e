/**
 * A signed zone, an unsigned one, and a resolver that validates: nsd, ldns-signzone and unbound from Debian, on loopback. The resolver
 * has the signed zone's key, so that nothing is asked of anybody else.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Resolver } from '../src/network/resolver.ts';
import { realTicker } from '../src/network/testing.ts';
import { eventually, freePort } from './instance.ts';
import { nsdHead } from './name-server.ts';

const programs = { nsd: '/usr/sbin/nsd', unbound: '/usr/sbin/unbound', keygen: '/usr/bin/ldns-keygen', signer: '/usr/bin/ldns-signzone' } as const;

/** Why there can be none on this machine; false: there can. */
export const noSignedZone: string | false = Object.values(programs).map((program) => (existsSync(program) ? '' : `${program} is not installed`)).find((why) => why !== '') ?? false;

export interface SignedZone {
  stop(): Promise<void>;
}

const zoneText = (name: string, text: string): string => `$ORIGIN ${name}.\n$TTL 120\n@ SOA ns hostmaster 1 3600 600 86400 45\n@ NS ns\nns A 127.0.0.1\n${text}`;

/**
 * Resolves when the resolver at `address`, `port` answers and vouches for the signed zone. `broken`: names whose answer it refuses.
 */
export async function startSignedZone(address: string, port: number, signed: readonly [name: string, text: string], open: readonly [name: string, text: string], broken: readonly string[] = []): Promise<SignedZone> {
  const directory = mkdtempSync(`${tmpdir()}/signed-zone-`);
  chmodSync(directory, 0o755);
  const inside: { cwd: string; encoding: 'latin1'; stdio: 'pipe' } = { cwd: directory, encoding: 'latin1', stdio: 'pipe' };
  for (const [name, text] of [signed, open]) writeFileSync(`${directory}/${name}`, zoneText(name, text));
  const key = execFileSync(programs.keygen, ['-k', '-a', 'ECDSAP256SHA256', signed[0]], inside).trim();
  execFileSync(programs.signer, [signed[0], key], inside);
  const source = await freePort();
  writeFileSync(`${directory}/nsd.conf`, nsdConfiguration(directory, source, signed[0], open[0]));
  writeFileSync(`${directory}/unbound.conf`, unboundConfiguration(directory, `${address}@${port}`, source, [signed[0], open[0]], readFileSync(`${directory}/${key}.ds`, 'latin1').trim(), broken));
  const children = [[programs.nsd, 'nsd.conf'], [programs.unbound, 'unbound.conf']].map(([program, file]) => spawn(program!, ['-d', '-c', `${directory}/${file}`], { stdio: ['ignore', 'ignore', 'pipe'] }));
  let said = '';
  for (const child of children) child.stderr.on('data', (chunk: Buffer) => { said += chunk.toString(); });
  const stop = async (): Promise<void> => {
    await Promise.all(children.map((child) => new Promise<void>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve();
      child.once('exit', () => resolve()).kill();
    })));
    rmSync(directory, { recursive: true, force: true });
  };
  const resolver = new Resolver({ ticker: realTicker, warn: () => {}, configuration: { servers: [{ address, port }], timeout: 1, attempts: 1, rotate: false, trustAd: false }, cacheLimit: 0 });
  try {
    await eventually('the signed zone is vouched for', async () => {
      const ended = children.find((child) => child.exitCode !== null);
      if (ended !== undefined) throw new Error(`${ended.spawnfile} ended: ${said}`);
      return (await resolver.lookup(signed[0], 'SOA')).secure;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop };
}

const nsdConfiguration = (directory: string, port: number, signed: string, open: string): string => `${nsdHead(directory, `127.0.0.1@${port}`)}zone:
  name: ${signed}
  zonefile: ${signed}.signed
zone:
  name: ${open}
  zonefile: ${open}
`;

const unboundConfiguration = (directory: string, address: string, source: number, zones: readonly string[], anchor: string, broken: readonly string[]): string => `server:
  interface: ${address}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "${directory}"
  pidfile: "${directory}/unbound.pid"
  use-syslog: no
  logfile: "${directory}/log"
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor: "${anchor.replaceAll(/[\t ]+/g, ' ')}"
  local-zone: "test." nodefault
${broken.map((name) => `  local-zone: "${name}." always_refuse\n`).join('')}${zones.map((name) => `stub-zone:\n  name: "${name}"\n  stub-addr: 127.0.0.1@${source}\n`).join('')}remote-control:
  control-enable: no
`;
