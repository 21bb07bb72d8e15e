import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sendOption } from '../message/envelope-names.ts';
import { cleanupFlag, internalFlags } from './cleanup.ts';
import { internalMailFlags, type InternalMail } from './internal-mail.ts';

const filtered = cleanupFlag.filter | cleanupFlag.milter;

for (const [kind, filters, detects, sendOptions, want] of [
  ['bounce', '', 'sendmail, verify', 0, 0],
  ['bounce', 'Bounce', 'all', 0, filtered | cleanupFlag.autoUtf8],
  ['notify', 'bounce', 'bounce', 0, 0],
  ['notify', 'bounce notify', 'notify', 0, filtered | cleanupFlag.autoUtf8],
  ['verify', 'verify', 'sendmail, verify', 0, cleanupFlag.autoUtf8],
  ['forward', 'forward, bounce', 'forward', 0, cleanupFlag.autoUtf8],
  ['forward', '', '', sendOption.smtputf8Requested, cleanupFlag.smtputf8],
  ['forward', '', '', sendOption.smtputf8Header | sendOption.smtputf8Sender | sendOption.requireTlsHeader, 0],
  ['forward', '', '', sendOption.requireTlsEsmtp, cleanupFlag.requireTls],
  ['bounce', '', '', sendOption.requireTlsEsmtp | sendOption.smtputf8Requested, cleanupFlag.requireTls | cleanupFlag.smtputf8],
] as const satisfies readonly (readonly [InternalMail, string, string, number, number])[]) {
  test(`${kind}, filtered: "${filters}", detected: "${detects}", options ${sendOptions}`, () => {
    const view = { internal_mail_filter_classes: filters, smtputf8_autodetect_classes: detects, smtputf8_enable: true };
    assert.equal(internalMailFlags(view, kind, sendOptions), internalFlags | want);
    assert.equal(internalMailFlags({ ...view, smtputf8_enable: false }, kind, sendOptions), internalFlags | (want & ~cleanupFlag.autoUtf8));
  });
}
