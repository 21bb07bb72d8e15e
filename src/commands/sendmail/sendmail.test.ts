/** What sendmail(1) leaves in the maildrop of a mail system that is down, and what it says; record for record Postfix 3.12's. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { getpwuid } from '../../host/identity.ts';
import { recordsOf } from '../../message/record-reader.ts';
import { main as postdrop } from '../postdrop/postdrop.ts';
import { main as rmail, senderIn } from '../rmail/rmail.ts';
import { outcomeIn, valueIn } from './postdrop-program.ts';
import { main as sendmail, type SendmailStreams } from './sendmail.ts';
import { nameInGecos } from '../../submission/user.ts';

const uid = process.getuid!();
const login = getpwuid(uid)!.name;

function mailSystem(t: TestContext, settings = '') {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'sendmail-'));
  for (const name of ['etc', 'queue', 'queue/maildrop', 'queue/public']) fs.mkdirSync(`${root}/${name}`);
  fs.chmodSync(`${root}/queue/maildrop`, 0o730);
  fs.writeFileSync(`${root}/etc/main.cf`, `compatibility_level = 3.6\nmyhostname = host.example.org\nqueue_directory = ${root}/queue\ncommand_directory = ${root}\nmaillog_file = ${root}/maillog\nmaillog_file_prefixes = /\n${settings}`);
  const from = process.cwd();
  t.after(() => {
    process.chdir(from);
    fs.rmSync(root, { recursive: true });
  });
  return root;
}

type Command = (argv: string[], environment: NodeJS.ProcessEnv, streams: SendmailStreams) => Promise<number>;

async function run(command: Command, root: string, argv: readonly string[], input: string | Buffer, environment: NodeJS.ProcessEnv = {}) {
  const said = { stdout: '', stderr: '' };
  const writer = (name: 'stdout' | 'stderr') => ({ write: (bytes: Uint8Array) => { said[name] += Buffer.from(bytes).toString('latin1'); return true; } });
  async function* stdin() { yield Buffer.from(input as string, 'latin1'); }
  const streams = { stdin: stdin(), stdout: writer('stdout'), stderr: writer('stderr') } as unknown as SendmailStreams;
  const status = await command([...argv], { MAIL_CONFIG: `${root}/etc`, ...environment }, streams);
  const names = fs.readdirSync(`${root}/queue/maildrop`);
  const files = names.map((name) => recordsIn(`${root}/queue/maildrop/${name}`));
  const { stderr } = said;
  return { status, stdout: said.stdout, stderr: stderr.replace('postdrop: warning: unable to look up public/pickup: No such file or directory\n', ''), names, files };
}

/** Records as text, without the time. */
function recordsIn(file: string): string[] {
  const records: string[] = [];
  for (const step of recordsOf(fs.readFileSync(file))) {
    assert.equal(step.kind, 'record');
    if (step.kind === 'record') records.push(String.fromCharCode(step.record.type) + step.record.data.toString('latin1'));
  }
  assert.match(records[0]!, /^T[0-9]+ [0-9]+$/);
  return records.slice(1);
}

const name = { NAME: 'Full Name' };
const text = 'Subject: x\nTo: a@x, "b c" <d@x>\n\nhello\n';
const content = ['NSubject: x', 'NTo: a@x, "b c" <d@x>', 'N', 'Nhello'];
const lead = ['Arewrite_context=local', 'FFull Name', `S${login}`];

for (const [words, input, want] of [
  [['-t'], text, [...lead, 'M', ...content, 'X', 'Ra@x', 'Rd@x', 'E']],
  [['-t', 'e'], text, [...lead, 'Re', 'M', ...content, 'X', 'Ra@x', 'Rd@x', 'E']],
  [['a, b', 'N <c@d>', '()'], text, [...lead, 'Ra', 'Rb', 'Rc@d', 'R', 'M', ...content, 'X', 'E']],
  [['-f', 'me@x', '-FCron', '-i', 'a'], '.\n', ['Arewrite_context=local', 'FCron', 'Sme@x', 'Ra', 'M', 'N.', 'X', 'E']],
  [['-f', '<>', 'a'], '', ['Arewrite_context=local', 'FFull Name', 'S', 'Ra', 'M', 'X', 'E']],
  [['-N', 'success,failure', '-R', 'hdrs', '-V', 'abc', '-B8BITMIME', '-XV', '-G', 'a'], 'x\n',
    ['Aenvelope_id=abc', 'Aret_flags=2', 'Arewrite_context=remote', 'FFull Name', `S${login}`, 'Aencoding=8bit', 'V+=', 'Anotify_flags=6', 'Ra', 'M', 'Nx', 'X', 'E']],
  [['-t', '-N', 'never'], 'To: a\n\nx', [...lead, 'M', 'NTo: a', 'N', 'Lx', 'N', 'X', 'Anotify_flags=1', 'Ra', 'E']],
  [['-O', 'requiretls=yes', 'a'], 'x\n', [`C${[-1, -1, -1, -1, -1, 32].map((number) => String(number).padStart(15)).join(' ')}`, ...lead, 'Ra', 'M', 'Nx', 'X', 'E']],
] as const) {
  test(`records: sendmail ${words.join(' ')}`, async (t) => {
    const { status, stderr, stdout, files } = await run(sendmail, mailSystem(t), words, input, name);
    assert.deepEqual([status, stderr, stdout], [0, '', '']);
    assert.deepEqual(files, [want]);
  });
}

for (const [words, want] of [
  [['-v', 'a'], [...lead, 'Atrace_flags=1024', 'Ra', 'M', ...content, 'X', 'E']],
  [['-bv', 'a', 'b@c'], [...lead, 'Atrace_flags=512', 'Ra', 'Rb@c', 'M', `NFrom: ${login}`, 'NSubject: probe', 'LTo:', 'N\ta,', 'N\tb@c', 'X', 'E']],
] as const) {
  test(`a report is promised: sendmail ${words.join(' ')}`, async (t) => {
    const { status, stdout, files } = await run(sendmail, mailSystem(t), words, text, name);
    assert.deepEqual([status, stdout], [0, `Mail Delivery Status Report will be mailed to <${login}>.\n`]);
    assert.deepEqual(files, [want]);
  });
}

for (const [words, input, settings, said] of [
  [[], text, '', `${login}(${uid}): Recipient addresses must be specified on the command line or via the -t option`],
  [['-t'], 'Subject: x\n\n', '', `${login}(${uid}): No recipient addresses found in message header`],
  [['-XV', '-f', '', 'a'], text, '', `(${uid}): -V option requires non-null sender address`],
  [['-bp', 'a'], text, '', 'display queue mode requires no recipient'],
  [['-q', 'a'], text, '', 'flush queue mode requires no recipient'],
  [['-qRx', 'a'], text, '', 'flush site requires no recipient'],
  [['-bi', 'a'], text, '', 'alias initialization mode requires no recipient'],
  [['-bd', 'a'], text, '', 'daemon mode requires no recipient'],
  [['-bs', 'a'], text, '', 'stand-alone mode requires no recipient'],
  [['a'], text, 'sendmail_fix_line_endings = maybe\n', 'invalid sendmail_fix_line_endings value: maybe'],
  [['-f', 'me@x', 'a'], text, 'local_login_sender_maps = inline:{nobody=*}\n', `me@x(${uid}): not authorized to use sender='me@x'`],
  [['a'], 'x'.repeat(3000), 'message_size_limit = 1000\n', `${login}(${uid}): message file too big`],
] as const) {
  test(`fatal: sendmail ${words.join(' ')} ${settings}`, async (t) => {
    const { status, stderr, names } = await run(sendmail, mailSystem(t, settings), words, input);
    assert.equal(status, 75);
    assert.equal(stderr.split('\n').at(-2), `sendmail: fatal: ${said}`);
    assert.deepEqual(names, [], 'nothing stays behind');
  });
}

test('users who may not send hear so', async (t) => {
  const { status, stderr } = await run(sendmail, mailSystem(t, `authorized_submit_users = !${login}, static:all\n`), ['a'], text);
  assert.deepEqual([status, stderr], [75, `sendmail: fatal: User ${login}(${uid}) is not allowed to submit mail\n`]);
});

test('a time for a daemon that is none: nothing happens', async (t) => {
  assert.deepEqual(await run(sendmail, mailSystem(t), ['-q30m'], ''), { status: 0, stdout: '', stderr: '', names: [], files: [] });
});

test('no mail system at all', async (t) => {
  const root = mailSystem(t);
  fs.rmSync(`${root}/queue`, { recursive: true });
  fs.mkdirSync(`${root}/queue`);
  const streams = { stdin: [], stdout: { write: () => true }, stderr: { write: () => true } } as unknown as SendmailStreams;
  assert.equal(await sendmail(['a'], { MAIL_CONFIG: `${root}/etc` }, streams), 75);
});

test('-bs: SMTP while the mail system is down', async (t) => {
  const said = 'EHLO client\r\nMAIL FROM:<me@x> BODY=8BITMIME\r\nRCPT TO:<>\r\nRCPT TO:<a@x> NOTIFY=SUCCESS\r\nVRFY a\r\nETRN x.com\r\nDATA\r\n hi\r\n..\r\n.\r\nQUIT\r\n';
  const { status, stdout, names, files } = await run(sendmail, mailSystem(t), ['-bs'], said);
  const codes = stdout.split('\r\n').filter((line) => /^[0-9]{3} /.test(line)).map((line) => line.slice(0, 3)).join(' ');
  assert.deepEqual([status, codes], [0, '220 250 250 501 250 252 503 354 250 221']);
  assert.match(stdout, new RegExp(`^250 2\\.0\\.0 Ok: queued as ${names[0]}\\r$`, 'm'));
  const [records] = files;
  assert.deepEqual(records!.slice(0, 5), ['Sme@x', 'Aencoding=8bit', 'Anotify_flags=2', 'Adsn_orig_rcpt=rfc822;a@x', 'Ra@x']);
  assert.deepEqual(records!.slice(5, 8), ['M', 'NReceived: from client (localhost [127.0.0.1])', `N\tby host.example.org (Postfix) with ESMTP id ${names[0]}`]);
  assert.match(records![8]!, /^N\tfor <a@x>; /);
  assert.deepEqual(records!.slice(9), ['N', 'N hi', 'N.', 'X', 'E']);
});

test('-bs: empty commands of the operator, and XVERP for this host', async (t) => {
  const root = mailSystem(t);
  fs.appendFileSync(`${root}/etc/main.cf`, 'smtpd_noop_commands = frob\nsmtpd_authorized_verp_clients = 127.0.0.1\n');
  const { stdout, files } = await run(sendmail, root, ['-bs'], 'EHLO c\r\nFROB\r\nMAIL FROM:<> XVERP\r\nMAIL FROM:<l@x> XVERP\r\nRCPT TO:<a@x>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n');
  assert.match(stdout, /^250-XVERP\r$/m);
  assert.deepEqual(stdout.split('\r\n').filter((line) => /^[0-9]{3} /.test(line)).map((line) => line.slice(0, 3)).join(' '), '220 250 250 503 250 250 354 250 221');
  assert.ok(files[0]!.includes('V+='), files[0]!.join());
});

test('-bs: a client that goes away leaves nothing', async (t) => {
  const { status, names } = await run(sendmail, mailSystem(t), ['-bs'], 'HELO c\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nhi\r\n');
  assert.deepEqual([status, names], [0, []]);
});

test('rmail takes the sender from the first line', async (t) => {
  const { status, files } = await run(rmail as Command, mailSystem(t), ['b@x'], 'From joe  Sat Nov 21 04:00:00 2026 remote from relay\nSubject: x\n\n.\n', name);
  assert.deepEqual([status, files], [0, [['Arewrite_context=local', 'FFull Name', 'Sjoe@relay', 'Rb@x', 'M', 'NSubject: x', 'N', 'N.', 'X', 'E']]]);
  assert.equal(senderIn('From a!b  Sat Nov 21 04:00:00 2026 remote from relay'), 'a!b');
});

/** Records on postdrop's standard input. */
const fed = (...records: readonly string[]): Buffer => Buffer.concat(records.map((record) => Buffer.from([record.charCodeAt(0), record.length - 1, ...Buffer.from(record.slice(1), 'latin1')])));
const whole = ['Sme', 'Ryou', 'M', 'Nhi', 'X', 'E'];

for (const [title, input, status, stderr, files] of [
  ['a message', fed('Aencoding=8bit', ...whole), 0, '', [['Aencoding=8bit', ...whole]]],
  ['an attribute that is not the user\'s to give', fed('Asasl_username=x', ...whole), 0, `postdrop: warning: uid=${uid}: ignoring attribute record: sasl_username=x\n`, [whole]],
  ['input that ends early', fed('Sme', 'Ryou', 'M'), 0, '', []],
  ['no recipient', fed('Sme', 'M', 'X', 'E'), 1, '', []],
  ['a redirection', fed('>x', ...whole), 1, `postdrop: fatal: uid=${uid}: unexpected record type: 62\n`, []],
  ['a record that is cut', fed('Sme').subarray(0, 2), 1, `postdrop: warning: stdin: unexpected EOF in data, record type 83 length 2\npostdrop: fatal: uid=${uid}: malformed input\n`, []],
] as const) {
  test(`postdrop: ${title}`, async (t) => {
    const result = await run(postdrop as Command, mailSystem(t), ['-r'], input);
    assert.deepEqual([result.status, result.stderr, result.files], [status, stderr, files]);
    assert.equal(valueIn(result.stdout, 'protocol'), 'postdrop_protocol');
    if (files.length > 0) assert.deepEqual([valueIn(result.stdout, 'queue_id'), outcomeIn(result.stdout)], [result.names[0], { status: 0, reason: '' }]);
    if (title === 'no recipient') assert.equal(outcomeIn(result.stdout).status, 1);
  });
}

test('what a set-gid postdrop answers', () => {
  assert.deepEqual(outcomeIn('queue_id\0ABC\0\0status\x000\0reason\0\0\0'), { status: 0, reason: '' });
  assert.deepEqual(outcomeIn('protocol\0p\0queue_id\0ABC\0\0status\x00512\0reason\0no\0\0'), { status: 512, reason: 'no' });
  assert.deepEqual(outcomeIn('queue_id\0ABC\0\0'), { status: 2, reason: '' });
  assert.deepEqual(outcomeIn(''), { status: 2, reason: '' });
});

for (const [gecos, want] of [['Ann Other,Room 1', 'Ann Other'], ['&', 'Ann'], ['& Other;x', 'Ann Other'], ['', ''], ['%x', '']] as const)
  test(`full name in "${gecos}"`, () => assert.equal(nameInGecos(gecos, 'ann'), want));
