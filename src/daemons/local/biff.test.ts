import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { ears } from '../../delivery/testing.ts';
import { Biff } from './biff.ts';

test('comsat hears of the user and where the new mail begins', async () => {
  const comsat = dgram.createSocket('udp4');
  comsat.bind(0, '127.0.0.1');
  await once(comsat, 'listening');
  const biff = new Biff(comsat.address().port);
  const heard = once(comsat, 'message') as Promise<[Buffer]>;
  biff.tell('joe', 1234, ears().log);
  assert.equal((await heard)[0].toString('latin1'), 'joe@1234\0');
  comsat.close();
  biff.close();
});

test('nobody listens: no complaint', async () => {
  const { log, lines } = ears();
  const biff = new Biff(1);
  biff.tell('joe', 0, log);
  biff.tell('joe', 1, log);
  await new Promise(setImmediate);
  biff.close();
  assert.deepEqual(lines, []);
});
