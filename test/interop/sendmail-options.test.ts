/**
 * sendmail(1)'s command lines, next to Postfix's: the same words and input leave the same records in the maildrop, say the same, end
 * the same. Judged by Debian's, or by the commands in the directory that POSTFIX_COMMANDS names (a newer Postfix). Skipped, by name,
 * where there is none, or we are not root.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { recordsOf } from '../../src/message/record-reader.ts';

const theirs = process.env['POSTFIX_COMMANDS'] ?? '/usr/sbin';
const newer = process.env['POSTFIX_COMMANDS'] !== undefined;
const skip = process.getuid!() !== 0 ? 'needs root' : fs.existsSync(`${theirs}/sendmail`) && fs.existsSync(`${theirs}/postdrop`) ? false : "Debian's postfix is not installed";
const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const folder = fs.mkdtempSync(`${os.tmpdir()}/postern-sendmail-`);
after(() => fs.rmSync(folder, { recursive: true }));
fs.chmodSync(folder, 0o755);

type SideName = 'ours' | 'theirs';

for (const side of ['ours', 'theirs']) {
  for (const name of ['etc', 'queue', 'queue/maildrop', 'queue/public', 'queue/pid']) fs.mkdirSync(`${folder}/${side}/${name}`, { recursive: true });
  fs.writeFileSync(`${folder}/${side}/etc/main.cf`, `compatibility_level = 3.6
myhostname = host.example.org
queue_directory = ${folder}/${side}/queue
command_directory = ${theirs}
daemon_directory = ${process.env['POSTFIX_DAEMONS'] ?? '/usr/lib/postfix/sbin'}
data_directory = ${folder}/${side}
maillog_file = ${folder}/${side}/maillog
maillog_file_prefixes = ${folder}
alias_database = texthash:${folder}/aliases
smtpd_error_sleep_time = 0
local_recipient_maps =
`);
  fs.writeFileSync(`${folder}/${side}/etc/master.cf`, '');
}

interface Outcome { readonly status: number | null; readonly stdout: string; readonly stderr: string; readonly files: readonly (readonly string[])[] }

function run(side: SideName, command: string, argv: readonly string[], input: string, environment: Readonly<Record<string, string>>): Outcome {
  const [file, words] = side === 'ours' ? [process.execPath, [runner, command, ...argv]] : [`${theirs}/sendmail`, argv];
  const { PATH, LD_PRELOAD } = process.env;
  const place = `${folder}/${side}`;
  const { status, stdout, stderr } = spawnSync(file, words.map((word) => word.replace('ETC', `${place}/etc`)), {
    input: Buffer.from(input, 'latin1'), encoding: 'latin1', timeout: 20_000, cwd: folder, ...(side === 'theirs' ? { argv0: command } : {}),
    env: { PATH, LD_PRELOAD, MAIL_CONFIG: `${place}/etc`, TZ: 'UTC', ...environment },
  });
  const names = fs.readdirSync(`${place}/queue/maildrop`);
  const files = names.map((name) => recordsIn(`${place}/queue/maildrop/${name}`));
  for (const name of names) fs.rmSync(`${place}/queue/maildrop/${name}`);
  const plain = (text: string): string => text.replaceAll(place, 'DIR').replace(/\b[0-9A-F]{6,}\b/g, 'ID').replace(/\w{3}, [ 0-9]\d \w{3} [0-9]{4} [0-9:]{8} \S+ \(\w+\)/g, 'DATE');
  return { status, stdout: plain(stdout), stderr: words0(plain(stderr)), files: files.map((records) => records.map(plain)) };
}

/** What Postfix says twice over, or of a mail system that is down; and how the C library names the program. */
function words0(stderr: string): string {
  return [...new Set(stderr.split('\n'))].filter((line) => !/^(?:sendmail|postdrop): (?:dict_|mac_|name_|inet_|send_attr|wrote|chroot|name_mask|match_|file |maillog_|been_here|input |.*vstream|rec_|resource|unknown|mail_)|unable to look up public\/pickup|^postdrop: warning: mail_queue_enter/.test(line)).join('\n')
    .replace(/(bad -N option value)(?:: '.*')?(?= -- ignored)/, '$1') // newer releases name it
    .replace(/^(?:\/\S+\/|DIR\/)?(sendmail|mailq|newaliases)(?=: )/gm, '$1');
}

/** Records as text, without the time. */
function recordsIn(file: string): string[] {
  const records: string[] = [];
  for (const step of recordsOf(fs.readFileSync(file))) {
    if (step.kind !== 'record') return [...records, step.kind];
    records.push(String.fromCharCode(step.record.type) + step.record.data.toString('latin1'));
  }
  // smtpd(8) puts this name and the line behind it into two records, ours into one.
  const at = records.indexOf('LX-Mailbox-Line: ');
  if (at >= 0) records.splice(at, 2, `NX-Mailbox-Line: ${records[at + 1]!.slice(1)}`);
  return records.filter((record, index) => index > 0 || !record.startsWith('T'));
}

const text = 'From: me@example.org\nTo: a@x.org, "b c" <d@x.org>\nCc: e@x.org (comment)\nBcc: f@x.org\nSubject: x\n\nhello\n';
const name = { NAME: 'Full Name' };

interface Case { readonly argv: readonly string[]; readonly input?: string; readonly environment?: Readonly<Record<string, string>>; readonly command?: string; readonly since?: string }
const of = (...argv: string[]): Case => ({ argv });

const cases: readonly Case[] = [
  // recipients
  of('a@x.org'), of('a', 'b@x.org', 'c'), of('a,b', 'N N <c@x.org>'), of('-t'), of('-t', 'extra@x.org'), of('--', '-dash@x.org'), of('""@x.org'), of('a b@x.org'), of('"a b"@x.org'), of('()'),
  of('friends: a@x, b@y;'), of('@relay:a@x.org'), of('a!b'), of('a%b@x'), of("o'hara@x.org"), of('\xe4@x.org'), of(''), of(),
  { argv: ['-t'], input: 'Resent-To: r@x.org\nTo: a@x.org\nResent-Cc: s@x.org\n\nx\n' }, { argv: ['-t'], input: 'Subject: none\n\nx\n' },
  { argv: ['-t'], input: 'To: undisclosed-recipients:;\nBcc: a@x.org\n\nx\n' }, { argv: ['-t'], input: 'To: a@x.org,\n b@x.org,\n\t"c, d" <e@x.org>\n\nx\n' }, { argv: ['-t'], input: '' },
  { argv: ['-t'], input: 'Apparently-To: a@x.org\nTo: b@x.org\n\nx' }, { argv: ['-t', '-i'], input: 'to: a@x.org\nTO: b@x.org\n\n.\nrest\n' }, { argv: ['-ti'], input: 'To: <>, a@x.org\n\n' },
  // sender and full name
  of('-f', 'me@x.org', 'a'), of('-fme@x.org', 'a'), of('-r', 'me@x.org', 'a'), of('-f', '', 'a'), of('-f', '<>', 'a'), of('-f', 'N N <me@x.org>', 'a'), of('-f', 'a@x, b@x', 'c'), of('-f'),
  of('-F', 'Other Name', 'a'), of('-FOther', 'a'), of('-F', '', 'a'), of('-F', 'a\nb', 'a'), { argv: ['a'], environment: name }, { argv: ['-F', 'x', 'a'], environment: name },
  // how the input ends, and its lines
  { argv: ['a'], input: 'x\n.\ny\n' }, { argv: ['-i', 'a'], input: 'x\n.\ny\n' }, { argv: ['-oi', 'a'], input: 'x\n.\ny\n' }, { argv: ['a'], input: 'x\r\ny\r\n' }, { argv: ['a'], input: 'no end' },
  { argv: ['a'], input: '' }, { argv: ['a'], input: `${'x'.repeat(5000)}\n` }, { argv: ['a'], input: 'From me Mon\n>From x\nSubject: x\n\nFrom y\n' }, { argv: ['a'], input: 'nul\0nul\n\xff\n' },
  // delivery status, body type, trace
  of('-N', 'success', 'a'), of('-N', 'success,failure,delay', 'a'), of('-Nnever', 'a'), of('-N', 'never,success', 'a'), of('-N', 'x', 'a'), of('-R', 'hdrs', 'a'), of('-R', 'full', 'a'), of('-R', 'x', 'a'),
  of('-V', 'envid1', 'a'), of('-V', 'a+b', 'a'), of('-V', '', 'a'), of('-XV', 'a'), of('-XV+=', '-f', 'me@x', 'a'), of('-XVxy', 'a'), of('-XV', '-f', '', 'a'),
  of('-B', '8BITMIME', 'a'), of('-B7BIT', 'a'), of('-B', 'binary', 'a'), of('-v', 'a'), of('-v', '-v', 'a'), of('-bv', 'a', 'b@x'), of('-bv', '-t'), of('-bv'), of('-G', 'a'),
  { argv: ['-O', 'requiretls=yes', 'a'], since: '3.11' }, { argv: ['-O', 'smtputf8=yes', 'a'], since: '3.11' }, { argv: ['-O', 'requiretls=maybe', 'a'], since: '3.11' },
  // taken and ignored
  of('-bm', 'a'), of('-Am', 'a'), of('-Ac', 'a'), of('-bh', 'a'), of('-bH', 'a'), of('-h', '5', 'a'), of('-L', 'tag', 'a'), of('-m', 'a'), of('-n', 'a'), of('-o7', 'a'), of('-o8', 'a'), of('-om', 'a'),
  of('-odb', 'a'), of('-oem', 'a'), of('-oee', 'a'), of('-em', 'a'), of('-ep', 'a'), of('-O', 'DeliveryMode=b', 'a'), of('-O', 'x', 'a'), of('-x', 'a'), of('-X', '/log', 'a'), of('-U', 'a'), of('-p', 'ESMTP', 'a'),
  of('-C', 'ETC', 'a'), of('-c', 'a'), of('-q1h'), of('-q30m', 'a'), of('-bd', 'a'),
  // refused
  of('-bx', 'a'), of('-bt'), of('-qSx'), of('-Z', 'a'), of('-oAtexthash:/x', 'a'), of('-oA'), of('-N'), of('-A', 'x', 'a'), of('-bp', 'a'), of('-bi', 'a'), of('-bs', 'a'), of('-q', 'a'), of('-qRx.org', 'a'), of('-qIABCDEF', 'a'),
  of('-qR'), of('-qI'), of('-qI../x'), of('-qIABCDEF12'), of('-C', 'relative', 'a'), of('-C', '/nonexistent', 'a'),
  // as others
  { argv: ['a'], command: 'mailq' }, { argv: ['-Z'], command: 'mailq' }, { argv: ['a'], command: 'newaliases' }, { argv: ['-Z'], command: 'newaliases' },
  { argv: ['-bl', 'a'] },
  { argv: ['-bs'], input: 'HELO c\r\nMAIL FROM:<me@x.org>\r\nRCPT TO:<a@x.org>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n' },
  { argv: ['-bs'], input: 'EHLO c\r\nVRFY a\r\nEXPN a\r\nNOOP\r\nRSET\r\nMAIL FROM:<a b>\r\nRCPT TO:<x>\r\nDATA\r\nSTARTTLS\r\nQUIT\r\n' },
  { since: '3.8', argv: ['-bs'], input: 'HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nRCPT TO:<b>\r\nDATA\r\nFrom x\r\n>From y\r\nhello\r\n.\r\n' },
];

/** Written differences: by the words of the command line, why. */
const different: ReadonlyMap<string, string> = new Map<string, string>([
  ['sendmail -F a\\nb a', 'a line break in the full name becomes a blank; postdrop refuses the message'],
  ['sendmail -v -v a', 'Postfix tells how it works, in some hundred lines'],
]);

for (const { argv, input = text, environment = {}, command = 'sendmail', since } of cases) {
  const title = `${command} ${argv.join(' ')}`.replaceAll('\n', '\\n');
  const why = since !== undefined && !newer ? `new in Postfix ${since}` : different.get(title) ?? skip;
  test(`${title}${input === text ? '' : ` < ${JSON.stringify(input.slice(0, 30))}`}`, { skip: why }, () => {
    assert.deepEqual(run('ours', command, argv, input, environment), run('theirs', command, argv, input, environment));
  });
}
