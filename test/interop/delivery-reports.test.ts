/**
 * Reports of deliveries next to Debian's Postfix: the same mail, the same next hop, and what comes of it, message by message: replies,
 * the text of every report, the log lines. Texts that are built in are each one's own (bounce(5)); everything around them is compared,
 * and with a template file all of it. Judged by Debian's, or by the daemons in the directory that POSTFIX_DAEMONS names (a newer
 * Postfix). Skipped, by name, where there is none, or we are not root.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { noDebianPostfix } from '../debian-postfix.ts';
import { noMutt, shownByMutt } from '../mutt.ts';
import { outcomes, type CaseOutcome, type ReportCase } from '../report-scene.ts';
import { noStrictReader, readAllStrictly } from '../strict-report.ts';

const isNewer = process.env['POSTFIX_DAEMONS'] !== undefined;

type Draft = Omit<ReportCase, 'name'>;

const wishes = ['', 'NEVER', 'SUCCESS', 'FAILURE', 'DELAY', 'SUCCESS,FAILURE,DELAY'] as const;
const returns = ['', 'FULL', 'HDRS'] as const;
const fates = ['no@plain.test', 'late@plain.test', 'ok@plain.test', 'ok@full.test'] as const;
const utf8Text = 'From: \xc3\xbc@sender.test\nMessage-Id: <m2@sender.test>\nDate: Sat, 1 Jan 2000 00:00:00 +0000\nSubject: gr\xc3\xbc\xc3\x9fe\n\nhell\xc3\xb6\n';
const headed = (body: string, more = ''): string => `From: someone@sender.test\nMessage-Id: <m1@sender.test>\nDate: Sat, 1 Jan 2000 00:00:00 +0000\nSubject: the subject\n${more}\n${body}`;

const notify = (wish: string): string => (wish === '' ? '' : ` NOTIFY=${wish}`);

/** Every fate with every wish; the original recipient and the envelope id in turns. */
const grid: Draft[] = fates.flatMap((fate, a) => wishes.flatMap((wish, b) => returns.map((ret, c): Draft => ({
  to: [`${fate}${notify(wish)}${(a + b + c) % 2 === 0 ? ' ORCPT=rfc822;joe+2Bx@list.test' : ''}`],
  mail: `${ret === '' ? '' : `RET=${ret}`}${(b + c) % 2 === 0 ? ' ENVID=id+2B1+3D2' : ''}`.trim(),
}))));

const answers = ['bare', 'multi', 'long', 'word', 'eight', 'full', 'wrong', 'tabs', 'refuse'];

const singles: Draft[] = [
  ...answers.flatMap((answer): Draft[] => [{ to: [`${answer}@plain.test`] }, { to: [`${answer}@full.test`], mail: 'RET=HDRS' }]),
  // several recipients
  { to: ['no@plain.test', 'bare@plain.test', 'ok@plain.test'] }, { to: ['no@plain.test NOTIFY=NEVER', 'bare@plain.test'] }, { to: ['no@plain.test NOTIFY=NEVER', 'bare@full.test NOTIFY=NEVER'] },
  { to: ['ok@plain.test NOTIFY=SUCCESS', 'ok@full.test NOTIFY=SUCCESS', 'ok@discard.test NOTIFY=SUCCESS'] }, { to: ['no@plain.test NOTIFY=SUCCESS', 'ok@plain.test NOTIFY=SUCCESS,FAILURE'] },
  { to: ['late@plain.test', 'ok@plain.test NOTIFY=SUCCESS', 'no@plain.test'] }, { to: ['late@plain.test NOTIFY=FAILURE', 'soft@plain.test NOTIFY=DELAY'] },
  { to: ['late@plain.test NOTIFY=NEVER', 'no@full.test NOTIFY=FAILURE ORCPT=rfc822;x@y.test', 'x@error.test'] }, { to: ['refuse@plain.test', 'no@plain.test'] },
  // aliases
  { to: ['no@alias.test'] }, { to: ['two@alias.test'] }, { to: ['two@alias.test NOTIFY=SUCCESS'] }, { to: ['ok@alias.test NOTIFY=SUCCESS'] }, { to: ['no@alias.test ORCPT=rfc822;first+40one'] },
  { to: ['late@alias.test ORCPT=x400;some/thing'] }, { to: ['no@alias.test ORCPT=utf-8;f\\x{FC}rst@one.test'] },
  // without a hop
  { to: ['x@error.test'] }, { to: ['x@error.test NOTIFY=NEVER'], mail: 'RET=HDRS' }, { to: ['x@discard.test NOTIFY=SUCCESS'] }, { to: ['x@retry.test NOTIFY=NEVER'] },
  // what it looks like
  { to: ['"a b"@error.test'] }, { to: ['"<x>"@error.test'] }, { to: ["o'hara@error.test"] }, { to: ['no@plain.test'], sender: '"quoted sender"@sender.test' }, { to: ['a+b@error.test'] },
  { to: ['no@plain.test'], text: headed('.\n..\n.x\nFrom me\n') }, { to: ['no@plain.test'], text: headed('') }, { to: ['no@plain.test'], text: 'no header at all\n' },
  { to: ['no@plain.test'], text: headed('--x\nContent-Type: text/plain\n\npart\n--x--\n', 'MIME-Version: 1.0\nContent-Type: multipart/mixed;\n\tboundary="x"\n') },
  { to: ['no@plain.test'], mail: 'BODY=8BITMIME', text: headed('gr\xc3\xbc\xc3\x9fe\n') }, { to: ['no@plain.test'], mail: 'BODY=7BIT' }, { to: ['no@plain.test'], text: headed('gr\xfc\xdfe\n') },
  { to: ['no@plain.test'], mail: 'RET=HDRS', text: headed('body\n', `X-Long: ${'word '.repeat(300)}\n folded\n`) }, { to: ['no@plain.test'], text: headed(`${'y'.repeat(3000)}\n`) },
  { to: ['late@plain.test'], text: headed('.\n', 'X-A: 1\nX-B:2\n') }, { to: ['no@plain.test'], text: headed(`${'line of text\n'.repeat(5000)}`) },
  // ids
  { to: ['no@plain.test'], mail: 'ENVID=+41+42' }, { to: ['late@plain.test'], mail: `ENVID=${'e'.repeat(100)}` },
  // reports that fail
  { sender: '', to: ['no@plain.test'] }, { sender: '', to: ['late@plain.test'] }, { sender: '', to: ['ok@plain.test NOTIFY=SUCCESS'] }, { sender: '', to: ['no@plain.test NOTIFY=NEVER', 'x@error.test'], mail: 'RET=HDRS' },
  { sender: 'double-bounce@host.example.test', to: ['no@plain.test'] }, { sender: 'Double-Bounce@host.example.test', to: ['late@plain.test'] }, { sender: 'double-bounce@host.example.test', to: ['ok@plain.test NOTIFY=SUCCESS'] },
];

const variable: Draft[] = [
  { to: ['no@plain.test', 'bare@plain.test'], mail: 'XVERP' }, { to: ['no@plain.test', 'bare@full.test NOTIFY=NEVER', 'ok@plain.test'], mail: 'XVERP=+=' }, { to: ['two@alias.test'], mail: 'XVERP' },
  { to: ['late@plain.test'], mail: 'XVERP' }, { sender: 'double-bounce@host.example.test', to: ['no@plain.test'], mail: 'XVERP' },
  { to: ['ok@plain.test NOTIFY=SUCCESS'], mail: 'XVERP=-=' }, { to: ['no@plain.test'], mail: 'XVERP RET=HDRS ENVID=verp' }, { to: ['no@plain.test NOTIFY=NEVER', 'late@full.test'], mail: 'XVERP' },
];

const international: Draft[] = [
  { to: ['no\xc3\xbc@error.test'], mail: 'SMTPUTF8', text: utf8Text }, { to: ['x@\xc3\xbc.error.test', 'x@error.test'], mail: 'SMTPUTF8' }, { to: ['no@plain.test'], mail: 'SMTPUTF8', text: utf8Text },
  { to: ['no@full.test'], mail: 'SMTPUTF8', text: utf8Text }, { to: ['no@full.test'], mail: 'SMTPUTF8 RET=HDRS', text: utf8Text }, { to: ['late@full.test'], mail: 'SMTPUTF8', text: utf8Text },
  { to: ['ok@plain.test NOTIFY=SUCCESS'], mail: 'SMTPUTF8' }, { to: ['x@error.test ORCPT=utf-8;\xc3\xbc@x.test'], mail: 'SMTPUTF8' }, { to: ['x@error.test ORCPT=utf-8;a\\x{FC}b@x.test'], mail: 'SMTPUTF8' },
  { to: ['eight@full.test'], mail: 'SMTPUTF8' }, { to: ['\xc3\xbc@error.test'], text: utf8Text }, { to: ['\xfc@error.test'], mail: 'SMTPUTF8' }, { sender: '', to: ['x\xc3\xbc@error.test'], mail: 'SMTPUTF8' },
  { to: ['x@error.test'], mail: 'SMTPUTF8 ENVID=+C3+BC' }, { to: ['no@alias.test'], mail: 'SMTPUTF8' }, { to: ['x@error.test', '\xc3\xa4@discard.test NOTIFY=SUCCESS'], mail: 'SMTPUTF8', text: utf8Text },
];

/** For what an administrator can change: some of everything. */
const some: Draft[] = [
  { to: ['no@plain.test'] }, { to: ['late@plain.test'] }, { to: ['ok@plain.test NOTIFY=SUCCESS'] }, { to: ['no@plain.test NOTIFY=NEVER'] }, { to: ['late@plain.test NOTIFY=NEVER'] },
  { sender: '', to: ['no@plain.test'] }, { sender: '', to: ['late@plain.test'] }, { sender: '', to: ['ok@plain.test NOTIFY=SUCCESS'] }, { sender: 'double-bounce@host.example.test', to: ['no@plain.test'] },
  { to: ['no@plain.test'], mail: 'RET=HDRS' }, { to: ['multi@full.test', 'x@error.test', 'late@plain.test'] }, { to: ['no@plain.test'], text: headed('gr\xc3\xbc\xc3\x9fe\n') },
  { to: ['no@plain.test'], text: headed(`${'line of text\n'.repeat(30)}`, 'X-A: 1\n b\n') }, { to: ['eight@plain.test'] }, { to: ['no@plain.test'], text: 'Subject: without an id\n\nx\n' },
];

/** Servers that do not keep to the protocol: notices with the dialogue. */
const troubles: Draft[] = [
  { to: ['syntax@plain.test'], least: 2 }, { to: ['ok@full.test', 'syntax@full.test'], least: 3 }, { to: ['odd@plain.test'], least: 2 }, { to: ['strange@plain.test'], least: 2 },
  { to: ['no@plain.test'] }, { sender: '', to: ['syntax@plain.test'] }, { sender: 'double-bounce@host.example.test', to: ['syntax@plain.test'] }, { to: ['long@plain.test', 'syntax@plain.test'], least: 2 },
];

/** sendmail(1): what would become of it (-bv), what became of it (-v), and the wishes of a sender. */
const local: Draft[] = [
  ...[['-bv'], ['-v'], ['-v', '-N', 'success,failure', '-V', 'an+id']].flatMap((options) => ['no@plain.test', 'ok@plain.test', 'ok@full.test', 'late@plain.test'].map((to): Draft => ({ to: [to], options }))),
  { to: ['no@plain.test'], options: ['-v', '-N', 'never'] }, { to: ['late@plain.test'], options: ['-N', 'delay', '-R', 'full'] },
  { to: ['no@plain.test', 'ok@plain.test', 'ok@full.test', 'x@discard.test'], options: ['-bv'] }, { to: ['no@plain.test', 'ok@plain.test', 'late@full.test'], options: ['-v'] },
  { to: ['two@alias.test'], options: ['-bv'] }, { to: ['two@alias.test'], options: ['-v'] }, { to: ['no@plain.test'], options: ['-R', 'hdrs', '-V', 'my-id'] }, { to: ['no@plain.test'], options: ['-B', '8BITMIME'], text: headed('gr\xfc\xdfe\n') },
];

const templates = `# of a test
failure_template = <<EOF
Charset: utf-8
From: The Post <post@example.test>
Subject: It did not work
Postmaster-Subject: Copy: it did not work

At $myhostname in $mydomain, \${mail_name}: gr\xc3\xbc\xc3\x9fe, $$5.

  Indented.
EOF

delay_template = <<END
Subject: It takes long
Postmaster-Subject: Copy: it takes long

Waited for $delay_warning_time_seconds second(s), up to $maximal_queue_lifetime_days, $maximal_queue_lifetime_hours or $maximal_queue_lifetime_weeks.
END
success_template = <<EOF
Charset: iso-8859-1
Subject: It worked

Well.
EOF
`;
const broken = 'failure_template = <<EOF\nSubject: nothing\nEOF\nunknown_template = <<EOF\nx\nEOF\nsuccess_template = <<EOF\nColour: red\n\nx\nEOF\ndelay_template = <<EOF\nSubject: gr\xc3\xbc\n\nx\nEOF\n';

const folder = mkdtempSync(`${tmpdir()}/postern-reports-`);
after(() => rmSync(folder, { recursive: true }));
chmodSync(folder, 0o755);
writeFileSync(`${folder}/templates`, templates, 'latin1');
writeFileSync(`${folder}/broken`, broken, 'latin1');

const everybody = 'notify_classes = bounce, 2bounce, delay, resource, software\nbounce_notice_recipient = bounces@full.test\n2bounce_notice_recipient = twice@full.test\ndelay_notice_recipient = delays@full.test\n';

const groups: readonly (readonly [title: string, mainCf: string, cases: readonly Draft[]])[] = [
  ['every fate and every wish', '', grid],
  ['replies, recipients, content', '', singles],
  ['SMTPUTF8', '', international],
  ['VERP', '', variable],
  ['VERP, and a postmaster who wants to know', everybody, variable],
  ['VERP, but not for reports', 'disable_verp_bounces = yes\n', variable],
  ['templates, and postmasters who want to know', `${everybody}bounce_template_file = ${folder}/templates\nheader_from_format = obsolete\nenable_threaded_bounces = yes\n`, some],
  ['large messages, other names', 'bounce_size_limit = 300\nmail_name = Own (Mail): 1.0\ndouble_bounce_sender = nobody-home\nnotify_classes = bounce\nmaximal_queue_lifetime = 36h\n', some],
  ['without SMTPUTF8, templates that are none', `smtputf8_enable = no\nbounce_template_file = ${folder}/broken\nnotify_classes = delay\nenable_threaded_bounces = yes\n`, some],
  ['sendmail -v, sendmail -bv', '', local],
  ['servers that misbehave', 'notify_classes = protocol, data\nerror_notice_recipient = errors@full.test\n', troubles],
  ['servers that misbehave, as it was', 'notify_classes = protocol\nerror_notice_recipient = errors@full.test\nheader_from_format = obsolete\nmail_name = Other\n', troubles.slice(0, 3)],
  ['soft bounces, no delays', 'soft_bounce = yes\ndelay_warning_time = 0\nnotify_classes =\n', some],
];

/** Written differences: by the group and the title of a case, why. */
const different: ReadonlyMap<string, string> = new Map(isNewer ? [] : [
  ['SMTPUTF8: SMTPUTF8 to no@plain.test "Subject: gr\xc3\xbc\xc3\x9fe\\n\\nhell\xc3\xb6\\n"', 'Postfix 3.8 has other words for it'],
]);

function titleOf({ sender, mail = '', to, text }: Draft): string {
  const body = text === undefined ? '' : ` ${JSON.stringify(text.slice(text.startsWith('From') ? text.indexOf('\nSubject') + 1 : 0)).slice(0, 60)}`;
  return `${sender === undefined ? '' : `<${sender}> `}${mail === '' ? '' : `${mail} `}to ${to.join(', ')}${body}`;
}

const isReport = (text: string): boolean => text.includes('\nContent-Type: multipart/report;');
/** What sendmail -bv gives: actions that RFC 3464 has not. */
const isForecast = (text: string): boolean => /^Action: (?:un)?deliverable$/m.test(text);
const contentOf = (text: string): string => text.replace(/^(?:MAIL FROM|RCPT TO):.*\n/gm, '').replaceAll('DATE', 'Sat, 1 Jan 2000 00:00:00 +0000 (UTC)');

for (const [group, mainCf, drafts] of groups) {
  describe(group, { skip: noDebianPostfix() }, () => {
    const cases = drafts.map((draft, at): ReportCase => ({ ...draft, name: `c${at + 1}` }));
    let ours: ReadonlyMap<string, CaseOutcome>;
    let theirs: ReadonlyMap<string, CaseOutcome>;
    before(async () => {
      [ours, theirs] = await Promise.all([outcomes('ours', mainCf, cases), outcomes('theirs', mainCf, cases)]);
    });
    for (const one of cases) {
      const title = titleOf(one);
      test(`${one.name} ${title}`, { skip: different.get(`${group}: ${title}`) ?? false }, () => assert.deepEqual(ours.get(one.name), theirs.get(one.name)));
    }
    test('a strict reader of RFC 3464 takes every report of ours', { skip: noStrictReader }, () => {
      const reports = cases.flatMap(({ name }) => ours.get(name)!.reports).filter((text) => isReport(text) && !isForecast(text)).map(contentOf);
      assert.equal(readAllStrictly(reports).length, reports.length);
      assert.ok(reports.length > 0);
    });
    test('mutt shows every kind of report', { skip: noMutt }, async () => {
      const reports = cases.flatMap(({ name }) => ours.get(name)!.reports).filter(isReport).map(contentOf);
      const kinds = new Map(reports.map((text) => [`${/^Subject: .*$/m.exec(text)?.[0]} ${/^Content-Type: message\/(?!.*delivery-status).*$/m.exec(text)?.[0]}`, text]));
      for (const text of kinds.values()) assert.match(await shownByMutt(text), /Reporting-MTA: dns; host\.example\.test|global-delivery-status/); // mutt does not know the latter yet
    });
  });
}
