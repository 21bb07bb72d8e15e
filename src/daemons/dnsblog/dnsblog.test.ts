import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import test from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import { parseMasterCf } from '../../config/master-cf.ts';
import { ears } from '../../delivery/testing.ts';
import { remoteDnsblog, serveDnsblog, type DnsblogCalls } from '../../ipc/dnsblog.ts';
import { fakeNameServer, type Script } from '../../network/testing.ts';
import { systemClock } from '../../server/clock.ts';
import type { Service, Tools } from '../../server/daemon.ts';
import { daemon } from './dnsblog.ts';

const lists: Script = ({ name, type }) => {
  if (type !== 'A') return { flags: 3 };
  const address = ({ '1.2.0.192.list.test': '127.0.0.2', '2.2.0.192.dead.test': '127.0.0.2', '1.0.0.127.dead.test': '127.0.0.2', [`${'1.0.0.0.'}${'0.'.repeat(20)}8.b.d.0.1.0.0.2.list.test`]: '127.0.0.6' } as Record<string, string>)[name];
  if (name.endsWith('.broken.test')) return { flags: 2 };
  if (address !== undefined) return { answers: [{ name, type: 'A', ttl: 77, data: address }] };
  return { flags: 3, authorities: [{ name: 'list.test', type: 'SOA', ttl: 55, data: { mname: 'a', rname: 'b', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 55 } }] };
};

async function withDnsblog(work: (calls: DnsblogCalls, lines: string[]) => Promise<void>): Promise<void> {
  await using server = await fakeNameServer(lists);
  const directory = fs.mkdtempSync(`${os.tmpdir()}/dnsblog-`);
  fs.writeFileSync(`${directory}/resolv.conf`, `nameserver 127.0.0.1:${server.port}\noptions timeout:1 attempts:1\n`);
  const { log, lines } = ears();
  const config = new Configuration('/', new Map(), [['compatibility_level', '3.12'], ['myhostname', 'host.test'], ['resolver_configuration', `${directory}/resolv.conf`]]);
  const [row] = parseMasterCf(daemon.card.row, 'master.cf').rows;
  try {
    const service = await daemon.open({ row, config, log, clock: systemClock } as unknown as Tools) as Service;
    await work(service.calls as DnsblogCalls, lines);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

for (const [name, domain, address, want, said] of [
  ['listed', 'list.test', '192.0.2.1', ['127.0.0.2', 77], [/addr 192\.0\.2\.1 listed by domain list\.test as 127\.0\.0\.2/]],
  ['not listed', 'list.test', '192.0.2.9', ['', 55], []],
  ['IPv6', 'list.test', '2001:db8::1', ['127.0.0.6', 77], [/addr 2001:db8::1 listed by domain list\.test as 127\.0\.0\.6/]],
  ['out of reach', 'broken.test', '192.0.2.1', ['', -1], [/dnsblog_query: lookup error for DNS query 1\.2\.0\.192\.broken\.test: Host or domain name not found\. .*type=A: Host not found, try again/]],
  ['a list that answers for everything', 'dead.test', '192.0.2.2', ['', 77], [/DNS list dead\.test lists 127\.0\.0\.1: it answers for everything/]],
] as const) test(`a client at a list: ${name}`, () => withDnsblog(async (calls, lines) => {
  const { rbl_addr: addresses, ttl, ...question } = await calls.query({ rbl_domain: domain, client_address: address, label: 9 });
  assert.deepEqual([addresses, ttl, question], [...want, { rbl_domain: domain, client_address: address, label: 9 }]);
  assert.equal(lines.length, said.length);
  said.forEach((pattern, at) => assert.match(lines[at]!, pattern));
}));

const wire = (text: string): string => text.replaceAll('|', '\0');

test("the service speaks Postfix's form: one question, one answer, the end", () => withDnsblog(async (calls) => {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/dnsblog-`);
  const { log } = ears();
  const server = net.createServer((socket) => void serveDnsblog(socket, calls, log)).listen(`${directory}/socket`);
  try {
    await once(server, 'listening');
    const socket = net.connect(`${directory}/socket`);
    const bytes: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => bytes.push(chunk));
    socket.write(wire('rbl_domain|list.te'));
    socket.write(wire('st|client_address|192.0.2.1|label|4||'));
    await once(socket, 'close');
    assert.equal(Buffer.concat(bytes).toString('latin1'), wire('rbl_domain|list.test|client_address|192.0.2.1|label|4|rbl_addr|127.0.0.2|ttl|77||'));
    const far = remoteDnsblog(`${directory}/socket`, { timeout: 5000, idle: 1000, retries: 0 });
    assert.equal((await far.query({ rbl_domain: 'list.test', client_address: '192.0.2.1', label: 5 })).ttl, 77);
    await assert.rejects(async () => remoteDnsblog(`${directory}/nobody`, { timeout: 5000, idle: 1000, retries: 0 }).query({ rbl_domain: 'x', client_address: '1', label: 0 }), /ENOENT/);
  } finally {
    server.close();
    fs.rmSync(directory, { recursive: true });
  }
}));
