import assert from 'node:assert/strict';
import test from 'node:test';
import { formatTime } from './logrotate.ts';
import { headerNotes } from './master-cf-header.ts';

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

const moment = new Date(2026, 0, 2, 3, 4, 5);
for (const [format, want] of [
  ['%Y%m%d-%H%M%S', '20260102-030405'],
  ['%d%%', '02%'],
  ['%Q', '%Q'],
  ['old', 'old'],
] as const) {
  test(`the name of a rotated log: ${format}`, () => assert.equal(formatTime(format, moment), want));
}
