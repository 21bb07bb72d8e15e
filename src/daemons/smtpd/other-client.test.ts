import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessState, Client } from './access/state.ts';
import { clientLine, whatsUp } from './log-lines.ts';
import { overridden } from './other-client.ts';

const client: Client = {
  name: 'proxy.test', reverseName: 'proxy.test', nameStatus: 'ok', reverseStatus: 'ok', address: '127.0.0.1', literal: '127.0.0.1', port: '4000',
  label: 'proxy.test[127.0.0.1]', serverAddress: '127.0.0.1', serverPort: '25',
};

test('what was not said stays', () => {
  assert.deepEqual(overridden(client, {}, false), client);
  assert.deepEqual(overridden(client, { port: '5' }, true), { ...client, port: '5', label: 'proxy.test[127.0.0.1]:5' });
  assert.deepEqual(overridden(client, { address: { address: '2001:db8::1', literal: 'IPv6:2001:db8::1' }, name: { name: 'unknown', status: 'temporary' } }, false), {
    ...client, address: '2001:db8::1', literal: 'IPv6:2001:db8::1', name: 'unknown', nameStatus: 'temporary', label: 'unknown[2001:db8::1]',
  });
  assert.equal(overridden(client, { serverAddress: '198.51.100.1', serverPort: '587' }, true).label, client.label);
});

test('addresses in refusals: as in headers, or as they are', () => {
  const refused = { client, where: 'RCPT', protocol: 'SMTP', sender: '', recipient: 'a b@x.test' } as AccessState;
  assert.equal(whatsUp('reject', refused, '550 no'), 'NOQUEUE: reject: RCPT from proxy.test[127.0.0.1]: 550 no; from=<> to=<"a b"@x.test> proto=SMTP');
  assert.equal(whatsUp('reject', { ...refused, logsInternal: true }, '550 no'), 'NOQUEUE: reject: RCPT from proxy.test[127.0.0.1]: 550 no; from=<> to=<a b@x.test> proto=SMTP');
});

const state = { client, queueId: '4abc' } as AccessState;

for (const [more, withPort, want] of [
  [{}, false, '4abc: client=proxy.test[127.0.0.1]'],
  [{ queueId: undefined }, false, 'NOQUEUE: client=proxy.test[127.0.0.1]'],
  [{ sasl: { username: 'joe', method: 'XCLIENT', sender: undefined } }, false, '4abc: client=proxy.test[127.0.0.1], sasl_method=XCLIENT, sasl_username=joe'],
  [{ sasl: { username: 'joe', method: 'PLAIN', sender: 'a@b.test' } }, false, '4abc: client=proxy.test[127.0.0.1], sasl_method=PLAIN, sasl_username=joe, sasl_sender=a@b.test'],
  [{ forwarded: { ident: { id: '5def' } } }, false, '4abc: client=proxy.test[127.0.0.1], orig_queue_id=5def'],
  [{ forwarded: { ident: { id: undefined }, source: 'local' } }, false, '4abc: client=proxy.test[127.0.0.1]'],
  [{ forwarded: { name: 'mx.test', ident: { id: '5def' } } }, false, '4abc: client=proxy.test[127.0.0.1], orig_queue_id=5def, orig_client=mx.test'],
  [{ forwarded: { name: 'mx.test', address: { address: '::1', literal: 'IPv6:::1' } } }, false, '4abc: client=proxy.test[127.0.0.1], orig_client=mx.test[::1]'],
  [{ forwarded: { address: { address: '192.0.2.1', literal: '192.0.2.1' } } }, true, '4abc: client=proxy.test[127.0.0.1], orig_client=unknown[192.0.2.1]:unknown'],
  [{ forwarded: { helo: { name: 'x' } } }, false, '4abc: client=proxy.test[127.0.0.1], orig_client=unknown'],
] as const satisfies readonly (readonly [Partial<AccessState>, boolean, string])[]) {
  test(want, () => assert.equal(clientLine({ ...state, ...more }, withPort), want));
}
