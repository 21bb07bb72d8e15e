import assert from 'node:assert/strict';
import test from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import { probeSender } from '../../message/probe-sender.ts';
import type { Tools } from '../../server/daemon.ts';
import { openProbeSender } from './probe-sender.ts';

const now = 1_700_000_000;

function open(settings: Record<string, string>, answer: (address: string) => string = (address) => (address.includes('@') ? address : `${address}@host.test`)) {
  let asked = 0;
  const rewrite = ({ address }: { address: string }): { address: string } => (asked++, { address: answer(address) });
  const services = { connect: () => ({ rewrite }) };
  const find = openProbeSender({ config: new Configuration('/', new Map(), Object.entries(settings)), services, clock: { now: () => now * 1000 } } as unknown as Tools);
  return { find, asked: () => asked };
}

for (const [name, settings, address, want] of [
  ['the usual one', {}, 'double-bounce@host.test', 'double-bounce@host.test'],
  ['in capitals', {}, 'Double-Bounce@HOST.test', 'double-bounce@host.test'],
  ['another host', {}, 'double-bounce@other.test', undefined],
  ['with an extension', {}, 'double-bounce+x@host.test', undefined],
  ['somebody else', {}, 'joe@host.test', undefined],
  ['with its time', { address_verify_sender: 'probe@x.test', address_verify_sender_ttl: '1h' }, probeSender({ sender: 'probe@x.test', life: 3600 }, now - 3600), 'probe@x.test'],
  ['after its time', { address_verify_sender: 'probe@x.test', address_verify_sender_ttl: '1h' }, probeSender({ sender: 'probe@x.test', life: 3600 }, now - 7200), undefined],
  ['nobody', { address_verify_sender: '<>' }, '', undefined],
] as const) test(`is it the sender of probes: ${name}`, async () => assert.equal(await open(settings).find(address), want));

test('its full form is asked for once, and only for what looks like it', async () => {
  const { find, asked } = open({});
  for (const address of ['joe@host.test', 'double-bounce@host.test', 'double-bounce@host.test']) await find(address);
  assert.equal(asked(), 1);
});

test('when nobody tells the full form nothing is let through', async () => {
  const { find } = open({}, () => { throw new ServiceTrouble('rewrite', 'not there'); });
  assert.equal(await find('double-bounce@host.test'), undefined);
});
