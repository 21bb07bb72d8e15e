import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Configuration } from '../../config/configuration.ts';
import { ears } from '../../delivery/testing.ts';
import { defaultSettings } from '../../protocol/smtp-server/settings.ts';
import type { Tools } from '../../server/daemon.ts';
import { tableContext } from '../../tables/table.ts';
import type { Client } from './access/state.ts';
import { openPeerRights } from './peer-rights.ts';
import { dependsOnStress } from './stress.ts';

const client = { name: 'mx.friend.test', address: '192.0.2.1', label: 'mx.friend.test[192.0.2.1]' } as Client;
const configured = (settings: Readonly<Record<string, string>>): Configuration =>
  new Configuration('/nowhere', new Map(), Object.entries({ mynetworks: '127.0.0.0/8', myhostname: 'mx.test', ...settings }));

async function peerOf(settings: Readonly<Record<string, string>>) {
  const { log, lines } = ears();
  const config = configured(settings);
  const peer = openPeerRights({ config, log } as Tools, tableContext(config, log));
  const discardedKeywords = new Set(['vrfy']);
  const found = await peer(client, { ...defaultSettings('mx.test', client.label), discardedKeywords });
  const keywords = found.discardedKeywords === undefined ? undefined : [...found.discardedKeywords].join(' ');
  return { ...found, discardedKeywords: keywords, lines };
}

const stranger = { client: client.label, discardedKeywords: 'vrfy', policesNewlines: true, xclient: false, xforward: false, verp: false, lines: [] };

for (const [settings, want] of [
  [{}, stranger],
  [{ smtpd_authorized_xclient_hosts: '192.0.2.0/24' }, { ...stranger, xclient: true }],
  [{ smtpd_authorized_xclient_hosts: '!192.0.2.1, 192.0.2.0/24' }, stranger],
  [{ smtpd_authorized_xclient_hosts: '.friend.test' }, { ...stranger, xclient: true }],
  [{ smtpd_authorized_xforward_hosts: 'mx.friend.test' }, { ...stranger, xforward: true }],
  [{ authorized_verp_clients: '192.0.2.1' }, { ...stranger, verp: true }],
  [{ mynetworks: '192.0.2.1' }, { ...stranger, policesNewlines: false }],
  [{ smtpd_forbid_bare_newline_exclusions: 'friend.test' }, { ...stranger, policesNewlines: false }],
  [{ smtpd_discard_ehlo_keyword_address_maps: 'inline:{ { 192.0.2.1 = DSN, etrn } }' }, { ...stranger, discardedKeywords: 'dsn etrn' }],
  [{ smtpd_discard_ehlo_keyword_address_maps: 'inline:{ { 192.0.2.2 = dsn } }' }, stranger],
] as const) {
  test(`rights by ${JSON.stringify(settings)}`, async () => assert.deepEqual(await peerOf(settings), want));
}

test('what cannot be asked gives no right, and is said', async () => {
  const { lines, ...found } = await peerOf({
    smtpd_authorized_xclient_hosts: 'fail:one', smtpd_authorized_xforward_hosts: 'fail:two', smtpd_authorized_verp_clients: 'fail:three',
    smtpd_forbid_bare_newline_exclusions: 'fail:four', smtpd_discard_ehlo_keyword_address_maps: 'fail:five',
  });
  assert.deepEqual(found, { client: client.label, discardedKeywords: undefined, policesNewlines: true, xclient: 'trouble', xforward: 'trouble', verp: 'trouble' });
  for (const name of ['one', 'two', 'three', 'four', 'five']) assert.ok(lines.some((line) => line.startsWith('warning: ') && line.includes(`fail:${name}`)), name);
});

for (const [settings, want] of [
  [{}, false],
  [{ smtpd_timeout: '${stress?{1}:{9}}s' }, false],
  [{ smtpd_recipient_restrictions: '${stress?{reject}:{permit}}' }, true],
  [{ smtpd_restriction_classes: 'busy', busy: '${stress?{reject}:{permit}}' }, true],
  [{ smtpd_client_connection_count_limit: '${stress?{1}:{50}}' }, true],
  [{ smtpd_client_event_limit_exceptions: '${stress?{}:{$mynetworks}}' }, true],
] as const) {
  test(`lists depend on stress: ${JSON.stringify(settings)}: ${want}`, () => {
    const calm = configured(settings);
    assert.equal(dependsOnStress(calm, calm.withOverrides([['stress', 'yes']]), []), want);
  });
}
