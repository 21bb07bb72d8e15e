import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { cardOf, parameterNames } from '../../parameters/parameters.ts';
import { clientSaslTypes, serverSaslTypes } from '../../parameters/sasl-types.ts';
import { main } from './postconf.ts';

interface Result { status: number; stdout: string; stderr: string[] }

interface Place { directory: string; run: (...argv: string[]) => Promise<Result>; read: (name: string) => string }

const mainCf = `# first
compatibility_level = 3.6
myhostname = mail.example.org
mydestination = $myhostname,
  # inside
  localhost

# last
smtpd_banner = $myhostname  hello
`;

const masterCf = `# services
smtp inet n - n - - smtpd
#smtps inet n - n - - smtpd
submission inet n - n - 5 smtpd
  -o syslog_name=postfix/submission -vo mine=1
  -o { smtpd_reject_footer = call us }
uucp unix - n n - - pipe
  flags=F user=uucp argv=uux -r - { a b }
`;

function place(context: TestContext, mainText = mainCf, masterText = masterCf): Place {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'postconf-'));
  context.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(`${directory}/main.cf`, mainText, 'latin1');
  writeFileSync(`${directory}/master.cf`, masterText, 'latin1');
  const run = async (...argv: string[]): Promise<Result> => {
    const written = { stdout: '', stderr: '' };
    const writer = (name: 'stdout' | 'stderr') => ({ write: (chunk: Uint8Array) => void (written[name] += Buffer.from(chunk).toString('latin1')) });
    const status = await main(argv, { MAIL_CONFIG: directory }, { stdout: writer('stdout'), stderr: writer('stderr') });
    const stderr = written.stderr.replaceAll(directory, 'DIR').split('\n').slice(0, -1);
    return { status, stdout: written.stdout.replaceAll(directory, 'DIR'), stderr };
  };
  return { directory, run, read: (name) => readFileSync(`${directory}/${name}`, 'latin1') };
}

const quiet = { stderr: [] as string[], status: 0 };

for (const [argv, stdout] of [
  [['-n'], 'compatibility_level = 3.6\nconfig_directory = DIR\nmydestination = $myhostname, localhost\nmyhostname = mail.example.org\nsmtpd_banner = $myhostname hello\n'],
  [['-nxh'], '3.6\nDIR\nmail.example.org, localhost\nmail.example.org\nmail.example.org hello\n'],
  [['-H', 'myorigin', 'mydomain'], 'myorigin\nmydomain\n'],
  [['myorigin', 'mydomain'], 'myorigin = $myhostname\nmydomain = example.org\n'],
  [['-d', 'smtpd_banner', 'append_dot_mydomain'], 'smtpd_banner = $myhostname ESMTP $mail_name\nappend_dot_mydomain = ${{$compatibility_level} <level {1} ? {yes} : {no}}\n'],
  [['-x', 'append_dot_mydomain'], 'append_dot_mydomain = no\n'],
  [['-o', 'myhostname=a.b', '-xh', 'smtpd_banner'], 'a.b hello\n'],
  [['-nj', 'smtpd_banner'], '{"smtpd_banner": "$myhostname  hello"}\n'],
  [['-xh', 'uucp_time_limit'], '1000s\n'],
  [['-M', 'smtp', 'uucp'], 'smtp       inet  n       -       n       -       -       smtpd\nuucp       unix  -       n       n       -       -       pipe flags=F user=uucp argv=uux -r - {a b}\n'],
  [['-Mf', 'submission/inet'], 'submission inet  n       -       n       -       5       smtpd\n    -o syslog_name=postfix/submission\n    -v\n    -o mine=1\n    -o {smtpd_reject_footer=call us}\n'],
  [['-F', 'smtp/inet/command', '*/unix/chroot'], 'smtp/inet/command = smtpd\nuucp/unix/chroot = n\n'],
  [['-P', 'submission/inet'], 'submission/inet/mine = 1\nsubmission/inet/smtpd_reject_footer = call us\nsubmission/inet/syslog_name = postfix/submission\n'],
  [['-l'], 'flock\nfcntl\ndotlock\n'],
] as const) test(`postconf ${argv.join(' ')}`, async (context) => {
  const { status, stdout: printed, stderr } = await place(context).run('-q', ...argv);
  assert.deepEqual({ status, stderr }, quiet);
  assert.equal(printed, stdout);
});

test('the texts of reports, as they are and filled in', async (context) => {
  const { directory, run } = place(context, `${mainCf}delay_warning_time = 4h\n`);
  const plain = await run('-t');
  assert.deepEqual([plain.status, plain.stderr], [0, []]);
  assert.match(plain.stdout, /^failure_template = <<EOF\nCharset: us-ascii\nFrom: Mail Delivery System <MAILER-DAEMON>\nSubject: Undelivered Mail Returned to Sender\nPostmaster-Subject: .*\n\nThis is the mail system at host \$myhostname\.\n/);
  assert.match((await run('-b')).stdout, /expanded_delay_text = <<EOF\nThis is the mail system at host mail\.example\.org\.\n[^]* 4 hour\(s\)/);
  writeFileSync(`${directory}/templates`, plain.stdout.replace('This is the mail system at', 'Greetings from'));
  assert.match((await run('-b', `${directory}/templates`)).stdout, /^expanded_failure_text = <<EOF\nGreetings from host mail\.example\.org\.\n/);
  for (const [argv, message] of [
    [['-b', 'a', 'b'], 'options -b and -t require at most one template file'], [['-b', '-t'], 'specify one of -b and -t'], [['-t', '/no/such'], 'open /no/such: No such file or directory'],
  ] as const) assert.deepEqual(await run(...argv), { status: 1, stdout: '', stderr: [`postconf: fatal: ${message}`] });
});

test('what this release can do, and with which library', async (context) => {
  const { run } = place(context);
  assert.deepEqual([(await run('-a')).stdout, (await run('-A')).stdout], [serverSaslTypes, clientSaslTypes].map((types) => types.map((type) => `${type}\n`).join('')));
  assert.deepEqual(await run('-T', 'run-version'), { status: 0, stdout: `OpenSSL ${process.versions.openssl}\n`, stderr: [] });
  assert.match((await run('-T', 'public-key-algorithms')).stdout, /^(?:[a-z]+\n)*rsa\n$/);
  assert.deepEqual(await run('-T', 'x'), { status: 1, stdout: '', stderr: ["postconf: warning: unknown 'postconf -T' mode: x (known are compile-version, run-version, public-key-algorithms)"] });
});

const idle = parameterNames().find((name) => cardOf(name)?.notYetUsed);

test('a setting that nothing reads is named with its place', { skip: idle === undefined && 'every parameter is read' }, async (context) => {
  const { run } = place(context, `mail_name = x\n${idle} = y\n`, `smtp inet n - n - - smtpd\n  -o ${idle}=z\n`);
  const inMain = `postconf: warning: DIR/main.cf, line 2: accepted, not yet used: ${idle}=y`;
  const inMaster = `postconf: warning: DIR/master.cf, line 1: accepted, not yet used: ${idle}=z`;
  for (const [argv, stderr] of [
    [['-n'], [inMain, inMaster]], [['-h', 'mail_name'], []], [['-h', idle!], [inMain]], [['-M'], [inMaster]], [['-qn'], []], [['-d', 'mail_name'], []],
  ] as const) assert.deepEqual((await run(...argv)).stderr, stderr, argv.join(' '));
});

test('a row with odd arguments is shown, and said to be odd', async (context) => {
  const { status, stdout, stderr } = await place(context, '', 'smtp inet n - n - - smtpd -o { a=b\n').run('-M');
  assert.deepEqual([status, stdout, stderr[0]], [0, 'smtp       inet  n       -       n       -       -       smtpd -o a=b\n', `postconf: warning: master.cf: missing '}' in "{ a=b"`]);
});

test('-v says whether an edit changed anything', async (context) => {
  const { run } = place(context);
  assert.deepEqual((await run('-v', '-e', 'zoo=1')).stderr, ['postconf: DIR/main.cf: changed']);
  assert.deepEqual((await run('-v', '-e', 'zoo=1')).stderr, ['postconf: DIR/main.cf: unchanged']);
});

test('all parameters are printed in the order of their names', async (context) => {
  const { stdout } = await place(context).run('-d');
  const names = stdout.split('\n').slice(0, -1).map((line) => line.slice(0, line.indexOf(' ')));
  assert.deepEqual(names, [...names].sort());
  assert.ok(names.length > 900, `${names.length} names`);
});

test('-C ours prints the names that Postfix does not have', async (context) => {
  const ours = parameterNames().filter((name) => cardOf(name)?.ours).map((name) => `${`${name} = ${cardOf(name)!.default}`.trimEnd()}\n`);
  assert.equal((await place(context).run('-q', '-C', 'ours')).stdout, ours.join(''));
  assert.ok(ours.includes('service_client_limit = 10000\n'));
});

for (const [title, text, argv, warnings] of [
  ['a misprint', 'smtpd_baner = x', ['-n'], ['postconf: warning: DIR/main.cf: unused parameter: smtpd_baner=x (did you mean smtpd_banner?)']],
  ['a restriction', 'permit_mynetworks = yes', ['-n'], ['postconf: warning: DIR/main.cf: unused parameter: permit_mynetworks=yes (permit_mynetworks is a restriction: list it in smtpd_recipient_restrictions or one of its relatives)']],
  ['a name that goes away', 'smtp_use_tls = yes', ['-n'], [
    'postconf: warning: DIR/main.cf: support for parameter "smtp_use_tls" will be removed; instead, specify "smtp_tls_security_level"',
    'postconf: warning: See https://www.postfix.org/DEPRECATION_README.html for details']],
  ['an older name that still counts', 'virtual_maps = hash:/x', ['-h', 'virtual_maps'], [
    'postconf: warning: DIR/main.cf: support for parameter "virtual_maps" will be removed; instead, specify "virtual_alias_maps"',
    'postconf: warning: See https://www.postfix.org/DEPRECATION_README.html for details']],
  ['a name nobody set', 'myorigin = $nobody', ['-n'], ['postconf: warning: DIR/main.cf: undefined parameter: nobody']],
  ['made-up names that are used', 'mine = 1\nmyorigin = $mine\nsmtpd_restriction_classes = two\ntwo = permit', ['-n'], []],
  ['old-style tables', 'alias_maps = mysql:people\npeople_hosts = x\npeople_oops = y', ['-n'], ['postconf: warning: DIR/main.cf: unused parameter: people_oops=y (did you mean people_hosts?)']],
  ['a comment behind text', 'mydestination = a # b', ['-n'], ['postconf: warning: DIR/main.cf: #comment after other text is not allowed: # b...']],
  ['a read-only name', 'process_id = 1', ['-h', 'mail_owner'], ['postconf: warning: DIR/main.cf: read-only parameter assignment: process_id=1']],
  ['an unknown name that is asked for', '', ['smtpd_baner'], ['postconf: warning: smtpd_baner: unknown parameter (did you mean smtpd_banner?)']],
] as const) test(`postconf warns of ${title}`, async (context) => {
  const { status, stderr } = await place(context, text, '').run(...argv);
  assert.deepEqual({ status, stderr }, { status: 0, stderr: warnings });
});

for (const [title, text, argv, message] of [
  ['a bad line', 'a = 1\nfoo\n', ['-n'], `DIR/main.cf, line 2: missing '=' after attribute name: "foo" (write "name = value", or start the line with white space when it continues the one above)`],
  ['two modes', '', ['-n', '-d'], 'specify one of -d, -n'],
  ['options that do not fit', '', ['-j', '-f', '-h'], 'with option -j, do not specify -f -h'],
  ['an edit of nothing', '', ['-e'], '-e requires name=value argument'],
  ['a bad class', '', ['-C', 'x'], 'unknown -C option value "x" in "x" (known are builtin, service, user, ours, all)'],
  ['a bad column', '', ['-F', 'a/b/c'], 'invalid service attribute name: "c" (known are service, type, private, unprivileged, chroot, wakeup, process_limit, command)'],
  ['a bad row', '', ['-M', 'smtp/inet=smtp inet n'], 'bad field count: "smtp/inet=smtp inet n"'],
  ['a value in a circle', 'a = $a\nmyorigin = $a', ['-x', 'myorigin'], 'macro processing error'],
] as const) test(`postconf refuses ${title}`, async (context) => {
  const { status, stdout, stderr } = await place(context, text).run(...argv);
  assert.deepEqual([status, stdout, stderr.at(-1)], [1, '', `postconf: fatal: ${message}`]);
});

test('an unknown option shows how to call it', async (context) => {
  const { status, stderr } = await place(context).run('-Q');
  assert.equal(status, 1);
  assert.equal(stderr[0], "postconf: invalid option -- 'Q'");
  assert.match(stderr[1]!, /^postconf: fatal: usage: postconf \[-a \(server SASL types\)\] .* \[-c config_dir\] \[-C param_class\]/);
  assert.deepEqual((await place(context).run('-E')).stderr, [stderr[1]]);
});

test('without main.cf there is nothing to show', async (context) => {
  const { directory, run } = place(context);
  rmSync(`${directory}/main.cf`);
  assert.deepEqual(await run('-n'), { status: 1, stdout: '', stderr: ['postconf: fatal: open DIR/main.cf: No such file or directory'] });
  assert.equal((await run('-dh', 'mail_owner')).stdout, 'postfix\n');
});

for (const [title, argv, want] of [
  ['sets in place and adds at the end', ['-e', 'zoo=1', 'mydestination = a  b', 'ape=2'], '# first\ncompatibility_level = 3.6\nmyhostname = mail.example.org\nmydestination = a  b\n  # inside\n\n# last\nsmtpd_banner = $myhostname  hello\nape = 2\nzoo = 1\n'],
  ['takes name=value without -e', ['smtpd_banner='], mainCf.replace(/smtpd_banner.*/, 'smtpd_banner = ')],
  ['removes', ['-X', 'mydestination', 'nothing'], '# first\ncompatibility_level = 3.6\nmyhostname = mail.example.org\n  # inside\n\n# last\nsmtpd_banner = $myhostname  hello\n'],
  ['comments out', ['-#', 'mydestination'], '# first\ncompatibility_level = 3.6\nmyhostname = mail.example.org\n#mydestination = $myhostname,\n  # inside\n#  localhost\n\n# last\nsmtpd_banner = $myhostname  hello\n'],
] as const) test(`editing main.cf ${title}`, async (context) => {
  const { run, read } = place(context);
  assert.deepEqual(await run(...argv), { status: 0, stdout: '', stderr: [] });
  assert.equal(read('main.cf'), want);
});

for (const [title, argv, change] of [
  ['a row', ['-M', 'smtp/inet=smtp inet n - y - - postscreen -o a=b'], ['smtp inet n - n - - smtpd\n', 'smtp       inet  n       -       y       -       -       postscreen\n    -o a=b\n']],
  ['a new row', ['-M', 'new/unix=new unix - - n - - smtp'], [/$/, 'new        unix  -       -       n       -       -       smtp\n']],
  ['a removal', ['-MX', 'submission/inet'], [/submission[^]*call us }\n/, '']],
  ['a column', ['-F', 'smtp/inet/process_limit=9'], ['smtp inet n - n - - smtpd\n', 'smtp       inet  n       -       n       -       9       smtpd\n']],
  ['a parameter', ['-P', 'submission/inet/mine=2', 'submission/inet/new=3'], [/submission inet[^]*call us }\n/, 'submission inet  n       -       n       -       5       smtpd\n    -o syslog_name=postfix/submission\n    -v\n    -o mine=2\n    -o {smtpd_reject_footer=call us}\n    -o new=3\n']],
  ['a parameter less', ['-PX', 'submission/inet/syslog_name'], [/submission inet[^]*call us }\n/, 'submission inet  n       -       n       -       5       smtpd -v\n    -o mine=1\n    -o {smtpd_reject_footer=call us}\n']],
  ['a commented-out row', ['-M#', 'uucp/unix'], [/uucp[^]*/, '#uucp unix - n n - - pipe\n#  flags=F user=uucp argv=uux -r - { a b }\n']],
] as const) test(`editing master.cf: ${title}`, async (context) => {
  const { run, read } = place(context);
  assert.deepEqual(await run(...argv), { status: 0, stdout: '', stderr: [] });
  assert.equal(read('master.cf'), masterCf.replace(change[0], change[1]));
});

test('an edit keeps mode and bytes, leaves nothing behind, and waits for a file that a crash left', async (context) => {
  const { directory, run, read } = place(context, 'a = \xa0\xe9\n# \xff\n');
  chmodSync(`${directory}/main.cf`, 0o640);
  writeFileSync(`${directory}/main.cf.tmp`, 'half', { mode: 0o644 });
  assert.equal((await run('myorigin=x')).status, 0);
  assert.equal(read('main.cf'), 'a = \xa0\xe9\n# \xff\nmyorigin = x\n');
  assert.equal(statSync(`${directory}/main.cf`).mode & 0o777, 0o640);
  assert.deepEqual(readdirSync(directory).sort(), ['main.cf', 'master.cf']);
});

test('a refused edit changes nothing', async (context) => {
  const { directory, run, read } = place(context);
  assert.equal((await run('-F', 'smtp/inet/chroot=maybe')).status, 1);
  assert.equal(read('master.cf'), masterCf);
  assert.deepEqual(readdirSync(directory).sort(), ['main.cf', 'master.cf']);
});
