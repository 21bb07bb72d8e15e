/** Our resolver and real name servers of Debian: nsd answers for a zone, unbound asks nsd and follows what it says. */
import assert from 'node:assert/strict';
import { startNameServer, type NameServer } from '../name-server.ts';
import { freePort } from '../ports.ts';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Resolver } from '../../src/network/resolver.ts';
import type { RecordType } from '../../src/network/dns.ts';
import { domainAddresses } from '../../src/network/destination.ts';
import { realTicker } from '../../src/network/testing.ts';

const programs = { nsd: '/usr/sbin/nsd', unbound: '/usr/sbin/unbound' } as const;
const started: ChildProcess[] = [];
const directories: string[] = [];
const servers: NameServer[] = [];

after(async () => {
  for (const child of started) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill();
    await gone;
  }
  for (const server of servers) await server.stop();
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

const zone = `@ MX 20 mx2
@ MX 10 mx1
@ MX 10 mx3
mx1 A 192.0.2.1
mx1 AAAA 2001:db8::1
mx2 A 192.0.2.2
mx3 CNAME mx1
www CNAME mx1
far CNAME mx1.other.test.
null MX 0 .
txt TXT "v=spf1 " "-all"
_25._tcp.mx1 TLSA 3 1 1 0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20
_submission._tcp SRV 5 10 587 mx1
empty HINFO "x" "y"
${Array.from({ length: 60 }, (_, number) => `big TXT "record number ${number} with text enough to fill a packet"`).join('\n')}
1.2.0.192.in-addr.arpa.mail.test. PTR mx1
`;

function privateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'resolver-'));
  chmodSync(directory, 0o755);
  directories.push(directory);
  return directory;
}

async function startNsd(): Promise<number> {
  const port = await freePort();
  servers.push(await startNameServer('127.0.0.1', port, { 'mail.test': zone }));
  return port;
}

async function startUnbound(nsd: number): Promise<number> {
  const directory = privateDirectory();
  const port = await freePort();
  writeFileSync(join(directory, 'unbound.conf'), `server:
  interface: 127.0.0.1@${port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "${directory}"
  pidfile: "${directory}/unbound.pid"
  use-syslog: no
  logfile: "${directory}/log"
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "test." nodefault
stub-zone:
  name: "mail.test"
  stub-addr: 127.0.0.1@${nsd}
remote-control:
  control-enable: no
`);
  return run(programs.unbound, ['-d', '-c', join(directory, 'unbound.conf')], port);
}

async function run(program: string, args: string[], port: number): Promise<number> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => { said += chunk.toString(); });
  started.push(child);
  const resolver = resolverAt(port);
  for (let turn = 0; turn < 200; turn++) {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${said}`);
    if ((await resolver.lookup('ns.mail.test', 'A')).status === 'ok') return port;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  throw new Error(`${program} does not answer: ${said}`);
}

function resolverAt(port: number): Resolver {
  const configuration = { servers: [{ address: '127.0.0.1', port }], timeout: 2, attempts: 2, rotate: false, trustAd: false };
  return new Resolver({ ticker: realTicker, warn: () => {}, configuration });
}

const error = 'Host or domain name not found. Name service error for name=';
const questions: readonly (readonly [string, RecordType, string])[] = [
  ['mail.test', 'MX', 'ok mx1.mail.test mx2.mail.test mx3.mail.test'],
  ['mx1.mail.test', 'A', 'ok 192.0.2.1'],
  ['MX1.Mail.Test', 'AAAA', 'ok 2001:db8::1'],
  ['www.mail.test', 'A', 'ok 192.0.2.1'],
  ['mail.test', 'NS', 'ok ns.mail.test'],
  ['txt.mail.test', 'TXT', 'ok v=spf1 -all'],
  ['null.mail.test', 'MX', 'null-mx Domain null.mail.test does not accept mail (nullMX)'],
  ['_submission._tcp.mail.test', 'SRV', 'ok mx1.mail.test'],
  ['1.2.0.192.in-addr.arpa.mail.test', 'PTR', 'ok mx1.mail.test'],
  ['none.mail.test', 'A', `not-found ${error}none.mail.test type=A: Host not found`],
  ['empty.mail.test', 'A', `not-found ${error}empty.mail.test type=A: Host found but no data record of requested type`],
];

for (const kind of ['nsd', 'unbound'] as const) {
  const missing = Object.values(programs).find((program) => !existsSync(program));
  test(`answers of ${kind}`, { skip: missing !== undefined && `${missing} is not installed` }, async (t) => {
    const nsd = await startNsd();
    const resolver = resolverAt(kind === 'nsd' ? nsd : await startUnbound(nsd));
    for (const [name, type, want] of questions) await t.test(`${type} ${name}`, async () => {
      const answer = await resolver.lookup(name, type);
      assert.equal(answer.status === 'ok' ? `ok ${answer.records.map(({ data }) => data).sort().join(' ')}` : `${answer.status} ${answer.reason}`, want);
    });
    await t.test('a large answer comes over TCP', async () => {
      assert.equal((await resolver.lookup('big.mail.test', 'TXT')).records.length, 60);
    });
    await t.test('TLSA', async () => {
      const { records: [record] } = await resolver.lookup('_25._tcp.mx1.mail.test', 'TLSA');
      assert.deepEqual([record?.tlsa?.usage, record?.tlsa?.selector, record?.tlsa?.matchingType, record?.tlsa?.certificate.length], [3, 1, 1, 32]);
    });
    // nsd gives the alias and refuses what it leads to; unbound would go and ask the world.
    if (kind === 'nsd') await t.test('an alias that leads where the server does not answer', async () => {
      assert.equal((await resolver.lookup('far.mail.test', 'A')).reason, `${error}mx1.other.test type=A: Host not found, try again`);
    });
    await t.test('a destination, with addresses in order', async () => {
      const found = await domainAddresses('mail.test', true, {
        dns: resolver, own: new Set(), random: Math.random, native: async () => ({ addresses: [] }), log: { info: () => {}, warning: () => {} },
        settings: {
          ipv4: true, ipv6: true, lookup: { dns: true, native: false }, preference: 'ipv4', randomize: true, balance: true, addressLimit: 0, ignoreMxError: false,
          ignoreSrvError: false, allowSrvFallback: false, deferNoMxAddress: false, idnaTransitional: false,
        },
      });
      assert.deepEqual(found.addresses.map(({ address, preference }) => `${preference} ${address}`),
        ['10 192.0.2.1', '10 192.0.2.1', '10 2001:db8::1', '10 2001:db8::1', '20 192.0.2.2']);
    });
  });
}
