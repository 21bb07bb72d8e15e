import assert from 'node:assert/strict';
import test from 'node:test';
import { findingOf } from './findings.ts';
import { formatTime } from './logrotate.ts';
import { headerNotes } from './master-cf-header.ts';
import { rewriteTypes } from './non-bdb/rewrite.ts';
import { tablesIn } from './tables.ts';
import { advice } from './tls/advice.ts';
import { upgradeMaster } from './upgrade-master.ts';

const old = `#
# service type  private unpriv  chroot  wakeup  maxproc command + args
#               (yes)   (yes)   (yes)   (never) (50)
smtp      inet  n       -       n       -       -       smtpd
`;

for (const [name, text, want] of [
  ['a table of the old kind', old, ['master.cf: line 3: the comment tells of older defaults for "-" (chroot: yes, today no; maxproc: 50, today 100); today\'s hold']],
  ["today's", old.replace('(yes)   (never) (50)', '(no)    (never) (100)'), []],
  ['a table without such a comment', 'smtp inet n - n - - smtpd\n', []],
  ['a remark in brackets is no header', '# (yes) it is\n', []],
] as const) {
  test(`the comment above master.cf: ${name}`, () => assert.deepEqual(headerNotes(text, 'master.cf'), want));
}

const moment = new Date(2026, 0, 2, 3, 4, 5, 67);
for (const [format, want] of [
  ['%Y%m%d-%H%M%S', '20260102-030405'], ['%F_%T', '2026-01-02_03:04:05'], ['%d%%', '02%'], ['%Q', '%Q'], ['old', 'old'],
  ['%a %A %b %B %e %j %u %w', 'Fri Friday Jan January  2 002 5 5'], ['%G-W%V %U %W', '2026-W01 00 00'], ['%y %C %I %p %N', '26 20 03 AM 067000000'],
] as const) {
  test(`the name of a rotated log: ${format}`, () => assert.equal(formatTime(format, moment), want));
}
for (const [day, want] of [[new Date(2024, 11, 30), '2025-01'], [new Date(2027, 0, 1), '2026-53'], [new Date(2026, 11, 31), '2026-53']] as const) {
  test(`the week of ${day.toDateString()}`, () => assert.equal(formatTime('%G-%V', day), want));
}

for (const [said, known, want] of [
  ['parameter max_idle: bad time value or unit: soon (/etc/postfix/main.cf, line 14: write a whole number)', {},
    { file: '/etc/postfix/main.cf', line: 14, parameter: 'max_idle', text: 'parameter max_idle: bad time value or unit: soon', fix: 'write a whole number' }],
  ['bad boolean configuration: biff = maybe (/e/main.cf, line 2)', {}, { file: '/e/main.cf', line: 2, parameter: 'biff', text: 'bad boolean configuration: biff = maybe' }],
  ['/e/master.cf: line 3: unknown attribute name: flag=R (did you mean flags=R?)', { service: 'cyrus' },
    { file: '/e/master.cf', line: 3, service: 'cyrus', text: 'unknown attribute name: flag=R', fix: 'did you mean flags=R?' }],
  ['/e/main.cf: unused parameter: myhostnam=x (did you mean myhostname?)', { line: 7 },
    { file: '/e/main.cf', line: 7, parameter: 'myhostnam', text: 'unused parameter: myhostnam=x', fix: 'did you mean myhostname?' }],
  ['/e/main.cf: support for parameter "x_y" will be removed; instead, specify "y"', {}, { file: '/e/main.cf', parameter: 'x_y', text: 'support for parameter "x_y" will be removed; instead, specify "y"' }],
  ['not owned by root: /var/spool/postfix', {}, { text: 'not owned by root: /var/spool/postfix' }],
] as const) {
  test(`a finding for programs: ${said}`, () => assert.deepEqual(findingOf('warning', said, known), { severity: 'warning', ...want }));
}

for (const [text, want] of [
  ['hash:/etc/a, proxy:btree:/etc/b', ['hash:/etc/a', 'btree:/etc/b']],
  ['check_sender_access cidr:/etc/c permit', ['cidr:/etc/c']],
  ['pipemap:{hash:/a,lmdb:/b}', ['hash:/a', 'lmdb:/b']],
  ['inline:{a=b} mysql:/etc/m unix:passwd.byname', ['inline:{a=b}']],
  ['inet:/no smtp:[host] xhash:/a', []],
] as const) {
  test(`tables named in "${text}"`, () => assert.deepEqual(tablesIn(text).map(({ type, name }) => `${type}:${name}`), want));
}

test('settings are led to another type, and comments stay', () => {
  const text = '# hash:/comment\na = hash:/x,\n  # btree:/c\n  proxy:btree:$d/y\nb = xhash:/x hash:x my_hash:/z\n';
  const done = rewriteTypes(text, (type) => (type === 'btree' ? 'lmdb' : 'cdb'));
  assert.deepEqual(done, { text: '# hash:/comment\na = cdb:/x,\n  # btree:/c\n  proxy:lmdb:$d/y\nb = xhash:/x hash:x my_hash:/z\n', count: 2 });
  assert.equal(rewriteTypes(done.text, () => 'lmdb').count, 0);
});

test('an old master.cf is brought to today, once', () => {
  const before = 'smtp inet n - n - - smtpd\npickup fifo n n n 60 1 pickup\ncleanup unix - - n - 0 cleanup\nverify unix - - n - 0 verify\ntlsmgr fifo - - n 300 1 tlsmgr\nproxywrite unix - - n - - proxymap';
  const { text, said } = upgradeMaster(before);
  assert.deepEqual(said.filter((what) => !what.startsWith('adding')), [
    'setting verify process limit to 1', 'making the pickup service unprivileged', 'making the cleanup service public', 'making the flush service public', 'updating the tlsmgr from fifo to unix service',
    'setting proxywrite process limit to 1',
  ]);
  const row = (name: string): string => text.split('\n').find((line) => line.startsWith(name))!;
  assert.deepEqual(['pickup', 'cleanup', 'verify', 'tlsmgr', 'proxywrite'].map(row), [
    'pickup fifo n - n 60 1 pickup', 'cleanup unix n - n - 0 cleanup', 'verify unix - - n - 1 verify', 'tlsmgr unix - - n 300? 1 tlsmgr', 'proxywrite unix - - n - 1 proxymap',
  ]);
  assert.match(text, /^postlog   unix-dgram n  -       n       -       1       postlogd$/m);
  assert.match(text, /^#smtpd     pass/m);
  assert.deepEqual(upgradeMaster(text), { text, said: [] });
});

test('who deploys a new key hears of their TLSA records in time', () => {
  const made = { certificate: '/c', key: '/k' };
  assert.match(advice({ ...made, deployed: false, isNewKey: true }), /deploy-server-cert \/c \/k\n[^]*\[-h <hostname>\] \/k\n\(deploy after updating the DNS/);
  assert.match(advice({ ...made, deployed: true, isNewKey: true }), /^Enabled opportunistic TLS[^]*output-server-tlsa \[-h <hostname>\]\n\(If you have DANE/);
  assert.doesNotMatch(advice({ ...made, deployed: false, isNewKey: false }), /\(deploy|\(If/);
});
