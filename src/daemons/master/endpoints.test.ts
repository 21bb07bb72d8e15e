import assert from 'node:assert/strict';
import test from 'node:test';
import { parseMasterCf } from '../../config/master-cf.ts';
import { endpointKey, endpointName, endpointsOf, isDisabled } from './endpoints.ts';
import { importedEnvironment } from './environment.ts';

const settings = { inetInterfaces: 'all', protocols: { ipv4: true, ipv6: true }, knownTcpPorts: 'smtp=25, submission=587' };
const ipv4 = { ...settings, protocols: { ipv4: true, ipv6: false } };

const row = (text: string) => {
  const { rows, troubles } = parseMasterCf(text, 'master.cf');
  assert.deepEqual(troubles, []);
  return rows[0]!;
};

for (const [text, from, want, name] of [
  ['smtp inet n - n - - smtpd', settings, ['inet [0.0.0.0]:25', 'inet [::]:25'], '25'],
  ['25 inet n - n - - smtpd', ipv4, ['inet [0.0.0.0]:25'], '25'],
  ['127.0.0.1:submission inet n - n - - smtpd', settings, ['inet [127.0.0.1]:587'], '[127.0.0.1]:587'],
  ['[::1]:2525 inet n - n - - smtpd', settings, ['inet [::1]:2525'], '[::1]:2525'],
  ['2525 inet n - n - - smtpd', { ...ipv4, inetInterfaces: '127.0.0.1' }, ['inet [127.0.0.1]:2525'], '2525'],
  ['cleanup unix n - n - 0 cleanup', settings, ['stream public/cleanup'], 'public/cleanup'],
  ['bounce unix - - n - 0 bounce', settings, ['stream private/bounce'], 'private/bounce'],
  ['pickup fifo n - n 60 1 pickup', settings, ['stream public/pickup'], 'public/pickup'],
  ['smtpd pass - - n - - smtpd', settings, ['stream private/smtpd'], 'private/smtpd'],
  ['postlog unix-dgram n - n - 1 postlogd', settings, ['dgram public/postlog'], 'public/postlog'],
] as const) {
  test(`endpoints of "${text}"`, () => {
    assert.deepEqual(endpointsOf(row(text), from).map(endpointKey), want);
    assert.equal(endpointName(row(text), from.knownTcpPorts), name);
  });
}

for (const [text, from, want] of [
  ['nosuchport inet n - n - - smtpd', settings, /unknown port or service: nosuchport \(write its number/],
  ['[::1]:25 inet n - n - - smtpd', ipv4, /bad hostname or network address: \[::1\]:25$/],
] as const) {
  test(`no endpoint: ${text}`, () => assert.throws(() => endpointsOf(row(text), from), want));
}

for (const [patterns, want] of [
  [[], false],
  [['inet'], true],
  [['unix'], false],
  [['smtp/inet'], true],
  [['smtp.inet'], true],
  [['SMTP/inet'], true],
  [['587/inet'], false],
  [['!smtp/inet', 'inet'], false],
  [['!587/inet', 'inet'], true],
] as const) {
  test(`master_service_disable = ${patterns.join(' ')}`, () => {
    assert.equal(isDisabled(row('smtp inet n - n - - smtpd'), patterns), want);
  });
}

test('only the named environment reaches the daemons', () => {
  const from = { TZ: 'UTC', HOME: '/root', LANG: 'de_DE' };
  assert.deepEqual(importedEnvironment('TZ MAIL_CONFIG LANG=C {GREETING = two words}', from), {
    PATH: '/usr/bin:/bin:/usr/sbin:/sbin', TZ: 'UTC', LANG: 'C', GREETING: 'two words',
  });
});
