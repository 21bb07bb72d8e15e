import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { readLog, type LogEntry } from '../../queue/report-log.ts';
import { cleanTexts, renderEntry, type Dsn, type Recipient } from './log-entry.ts';
import { recipient, timedOut, unknownUser } from './testing.ts';

const directory = mkdtempSync(join(tmpdir(), 'bounce-log-'));
after(() => rmSync(directory, { recursive: true }));

function read(bytes: string | Buffer): { entries: LogEntry[]; warnings: string[] } {
  const path = join(directory, 'AB12');
  writeFileSync(path, typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  const warnings: string[] = [];
  return { entries: [...readLog(path, 'bounce', { warn: (text) => warnings.push(text), utf8: true })], warnings };
}

const reason = 'connect to mx.example.org[192.0.2.1]:25: Connection timed out';

// The form of Postfix 3.12, whose bounce, showq and postqueue read these files.
const cases: [name: string, who: Recipient, dsn: Dsn, want: string][] = [
  ['only what must be', recipient(), timedOut, `\n<joe@example.org>: ${reason}\nrecipient=joe@example.org\nstatus=4.4.1\naction=delayed\nreason=${reason}\n\n`],
  [
    'everything',
    recipient({ originalAddress: 'list@example.net', offset: 257, dsnOrcpt: 'rfc822;other@example.net', dsnNotify: 6 }),
    { ...unknownUser, reason: 'no' },
    '\n<joe@example.org>: no\nrecipient=joe@example.org\noriginal_recipient=list@example.net\noffset=257\ndsn_orig_rcpt=rfc822;other@example.net\n'
    + 'notify_flags=6\nstatus=5.1.1\naction=failed\ndiag_type=smtp\ndiag_text=550 5.1.1 User unknown\nmta_type=dns\nmta_mname=mx.example.org\nreason=no\n\n',
  ],
  ['an address that needs quotes', recipient({ address: 'joe smith@x' }), { ...timedOut, reason: 'r' }, '\n<"joe smith"@x>: r\nrecipient="joe smith"@x\nstatus=4.4.1\naction=delayed\nreason=r\n\n'],
  ['an original that differs in case only', recipient({ originalAddress: 'JOE@example.ORG' }), { ...timedOut, reason: 'r' }, '\n<joe@example.org>: r\nrecipient=joe@example.org\nstatus=4.4.1\naction=delayed\nreason=r\n\n'],
  ['the null address', recipient({ address: '' }), { ...timedOut, reason: 'r' }, '\n<>: r\nrecipient=<>\nstatus=4.4.1\naction=delayed\nreason=r\n\n'],
  ['a type without its text', recipient(), { ...timedOut, reason: 'r', diagnosticType: 'smtp', remoteMta: 'mx' }, '\n<joe@example.org>: r\nrecipient=joe@example.org\nstatus=4.4.1\naction=delayed\nreason=r\n\n'],
];
for (const [name, who, dsn, want] of cases) test(`an entry: ${name}`, () => assert.equal(renderEntry(who, dsn, { oldLine: true }), want));

test('the line for older readers can be left out', () => {
  assert.equal(renderEntry(recipient(), { ...timedOut, reason: 'r' }, { oldLine: false }), '\nrecipient=joe@example.org\nstatus=4.4.1\naction=delayed\nreason=r\n\n');
});

test('what was written is read back', () => {
  const who = recipient({ originalAddress: 'list@example.net', offset: 257, dsnOrcpt: 'rfc822;other@example.net', dsnNotify: 6 });
  const { entries, warnings } = read(renderEntry(who, unknownUser, { oldLine: true }) + renderEntry(recipient(), timedOut, { oldLine: true }));
  assert.deepEqual(warnings, []);
  assert.deepEqual(entries, [{ ...who, ...unknownUser }, { ...recipient(), ...timedOut }]);
});

test('whatever a client sends, an entry stays one entry', () => {
  const bytes = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 40 });
  const texts = fc.record({ address: bytes, originalAddress: bytes, reason: bytes, diagnosticText: bytes, dsnOrcpt: bytes });
  fc.assert(fc.property(texts, ({ address, originalAddress, reason: why, diagnosticText, dsnOrcpt }) => {
    const who = cleanTexts(recipient({ address, originalAddress, dsnOrcpt }), true);
    const dsn = cleanTexts({ ...unknownUser, reason: why, diagnosticText }, true);
    const { entries, warnings } = read(renderEntry(who, dsn, { oldLine: true }) + renderEntry(recipient(), timedOut, { oldLine: true }));
    assert.deepEqual(warnings, []);
    assert.equal(entries.length, 2);
    assert.equal(entries[0]!.status, '5.1.1');
    assert.deepEqual(entries[1], { ...recipient(), ...timedOut });
  }));
});

test('no bytes in a log file make reading fail', () => {
  const word = fc.constantFrom('\n', '\n\n', '<a@b>: no\n', 'recipient=', 'reason=x', '=', '>: ', 'offset=99999999999999999999', 'notify_flags=-1', '\0', '\xff');
  const noise = fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
  fc.assert(fc.property(fc.array(fc.oneof(word, noise), { maxLength: 30 }), (pieces) => {
    for (const { address, status, action, reason: why } of read(pieces.join('')).entries) assert.ok(address && status && action && why);
  }));
});
