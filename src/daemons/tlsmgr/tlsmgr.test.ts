import assert from 'node:assert/strict';
import test from 'node:test';
import { readTicketKey, renderTicketKey, tlsmgrStatus } from '../../ipc/tlsmgr.ts';
import type { Tools } from '../../server/daemon.ts';
import { TicketKeyPair } from './ticket-keys.ts';
import { daemon } from './tlsmgr.ts';

function counter(): (size: number) => Buffer {
  let next = 0;
  return (size) => Buffer.alloc(size, ++next);
}

test('one key issues for half the life of a session and opens tickets for all of it', () => {
  const pair = new TicketKeyPair(counter());
  const first = pair.issuing(1000, 3600);
  assert.equal(first.expires, 1000 + 1800 - 1);
  assert.equal(pair.issuing(2798, 3600), first);
  const second = pair.issuing(2799, 3600);
  assert.notDeepEqual(second.name, first.name);
  assert.equal(pair.find(first.name, 2799, 3600), first);
  assert.equal(pair.find(first.name, 2799 + 1800 - 1, 3600), first);
  assert.equal(pair.find(first.name, 2799 + 1800, 3600), undefined);
});

test('two keys at a time', () => {
  const pair = new TicketKeyPair(counter());
  const names = [0, 10_000, 20_000].map((now) => pair.issuing(now, 100_000 - now).name);
  assert.deepEqual(names[0], names[1]);
  const later = [100_000, 200_000].map((now) => pair.issuing(now, 3600).name);
  assert.equal(pair.find(names[0]!, 200_000, 1_000_000), undefined);
  assert.notEqual(pair.find(later[0]!, 200_000, 1_000_000), undefined);
});

test('a key crosses the socket in the 88 bytes that Postfix has for it', () => {
  const key = { name: Buffer.alloc(16, 1), bits: Buffer.alloc(32, 2), hmac: Buffer.alloc(32, 3), expires: 4_000_000_000 };
  assert.equal(Buffer.from(renderTicketKey(key), 'base64').length, 88);
  assert.deepEqual(readTicketKey(renderTicketKey(key)), key);
  assert.equal(readTicketKey('AAAA'), undefined);
});

async function manager(timeout: number) {
  const warnings: string[] = [];
  const view = { smtpd_tls_session_cache_timeout: timeout, smtp_tls_session_cache_timeout: 60, lmtp_tls_session_cache_timeout: 0 };
  const tools = { config: { view: () => view }, log: { warning: (text: string) => void warnings.push(text) }, clock: { now: () => 1_000_000 } };
  const service = await daemon.open(tools as unknown as Tools);
  return { calls: service.calls as Record<string, (request: object) => Record<string, unknown>>, warnings };
}

for (const [request, value, want, warning] of [
  ['policy', { cache_type: 'smtpd' }, { status: 0, cachable: 0, timeout: 3600 }, undefined],
  ['policy', { cache_type: 'smtp' }, { status: 0, cachable: 0, timeout: 120 }, undefined],
  ['policy', { cache_type: 'lmtp' }, { status: 0, cachable: 0, timeout: 0 }, undefined],
  ['policy', { cache_type: 'imap' }, { status: tlsmgrStatus.failed, cachable: 0, timeout: 0 }, 'bogus cache type "imap" in "policy" request'],
  ['lookup', { cache_type: 'smtpd', cache_id: 'x' }, { status: tlsmgrStatus.failed, session: '' }, undefined],
  ['update', { cache_type: 'smtpd', cache_id: 'x', session: 'AA==' }, { status: tlsmgrStatus.failed }, undefined],
  ['delete', { cache_type: 'pop', cache_id: 'x' }, { status: tlsmgrStatus.failed }, 'bogus cache type "pop" in "delete" request'],
  ['seed', { size: 256 }, { status: tlsmgrStatus.failed, seed: '' }, 'bogus seed length "256" in "seed" request'],
  ['tktkey', { keyname: 'AAAA' }, { status: tlsmgrStatus.failed, keybuf: '' }, 'invalid session ticket key name length: 3'],
  ['tktkey', { keyname: Buffer.alloc(16).toString('base64') }, { status: tlsmgrStatus.error, keybuf: Buffer.alloc(16).toString('base64') }, undefined],
] as const) {
  test(`${request} ${JSON.stringify(value)}`, async () => {
    const { calls, warnings } = await manager(3600);
    assert.deepEqual(calls[request]!(value), want);
    assert.deepEqual(warnings, warning === undefined ? [] : [warning]);
  });
}

test('a seed of the length asked for, and a key that can be found again by its name', async () => {
  const { calls } = await manager(3600);
  assert.equal(Buffer.from(String(calls['seed']!({ size: 32 })['seed']), 'base64').length, 32);
  const issued = calls['tktkey']!({ keyname: '' });
  const { name } = readTicketKey(String(issued['keybuf']))!;
  assert.deepEqual(calls['tktkey']!({ keyname: name.toString('base64') }), issued);
});

test('no tickets where sessions are not to be resumed', async () => {
  const { calls } = await manager(0);
  assert.deepEqual(calls['tktkey']!({ keyname: '' }), { status: tlsmgrStatus.error, keybuf: '' });
});
