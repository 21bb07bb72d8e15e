/**
 * local(8): the same aliases, .forward files, lists, commands and files for Debian's Postfix and for ours. Log lines and warnings, mailboxes with
 * their modes and owners, and the environment of commands are compared, address by address. POSTFIX_DAEMONS names another build.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { getpwnam } from '../../src/host/identity.ts';
import { DebianPostfix, noDebianPostfix } from '../debian-postfix.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, indexedType, Instance } from '../instance.ts';
import { masterRows } from '../master-rows.ts';

const [user, other] = ['games', 'news'];

/** `@d@` is the directory of this house. */
const aliases = `root: ${user}
postmaster: root
mailer-daemon: postmaster
hostmaster: postmaster
list: ${user}, ${other}, away@far.test
owner-list: ${other}
inc: :include:@d@/members
inc-cmd: :include:@d@/members-cmd
inc-nest: :include:@d@/nest1
inc-missing: :include:@d@/nothere
inc-empty: :include:@d@/empty
tofile: @d@/box/tofile
tonull: /dev/null
todir: @d@/box/maildir/
tocmd: "|cat > @d@/box/cmd.$(id -un).\${ORIGINAL_RECIPIENT%%@*}.out; echo done"
cmdfail: "|exit 75"
cmdnouser: "|exit 67"
cmdfail2: "|echo some words; exit 3"
cmdsignal: "|kill -9 $$"
firstname.last-name: ${user}@short.test
joe.short: joe@short.test
loop1: loop2
loop2: loop1
self: self, ${other}
quoted: "${user}", \\${other}
backslash: \\${user}
caps: GAMES
ext: ${user}+detail
comma: ${user} , ${other} ,,
bad: :include:
odd: "|"
filebad: @d@/nodir/file
nested: list, tofile
user space: ${user}
"user two": ${user}
empty:
prog: "| env | sort | grep -v '^_=\\|^PWD\\|^SHLVL\\|^PATH' > @d@/box/env.out"
manyrcpt: a1@far.test, a2@far.test, a1@far.test
uuline: ${user}, "|cat > /dev/null", @d@/box/second
`;

const files: Readonly<Record<string, string>> = {
  members: `# comment\n${user}, ${other}\n\n  a@far.test # x\n"b c"@far.test\n`,
  'members-cmd': `"|cat"\n${user}\n`,
  nest1: ':include:@d@/members\nz@far.test\n',
  empty: '\n',
};

/** .forward files: name, owner, text, mode. */
const forwards: readonly (readonly [name: string, owner: string, text: string, mode: number])[] = [
  [`${user}+fwd`, user, `\\${user}, "|cat > @d@/box/fwd.out", x@far.test, @d@/box/fwdfile\n`, 0o644],
  ['uucp', 'root', 'x@far.test\n', 0o644],
  ['man', 'man', 'x@far.test\n', 0o666],
  ['lp', 'lp', 'lp, y@far.test\n', 0o644],
  ['bin', 'bin', '\n', 0o644],
  ['daemon', 'daemon', ':include:@d@/members\n', 0o644],
];

const recipients = [
  'root', 'postmaster', 'mailer-daemon', 'hostmaster', 'list', 'inc', 'inc-cmd', 'inc-nest', 'inc-missing', 'inc-empty', 'tofile', 'tonull', 'todir', 'tocmd', 'cmdfail', 'cmdnouser',
  'cmdfail2', 'cmdsignal', 'firstname.last-name', 'joe.short', 'loop1', 'self', 'quoted', 'backslash', 'caps', 'ext', 'comma', 'bad', 'odd', 'filebad', 'nested', '"user space"', '"user two"',
  'empty', 'prog', 'manyrcpt', 'uuline', user, 'GAMES', `${user}+foo`, `${user}+fwd`, 'nosuchuser', 'nosuchuser+x', 'list+ext', 'tocmd+ext', 'uucp', 'man', 'lp', 'list-request', 'owner-list',
  'root+x', 'ROOT', 'bin', 'daemon',
];

const mainCf = (d: string): string => `myhostname = host.pair.test
mydomain = pair.test
mydestination = host.pair.test, short.test
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mail_name = Postfix
alias_maps = ${indexedType}:${d}/aliases
alias_database =
mail_spool_directory = ${d}/spool/
forward_path = ${d}/forward/$user\${recipient_delimiter}\${extension}, ${d}/forward/$user
recipient_delimiter = +
local_recipient_maps =
default_transport = discard:
smtpd_recipient_restrictions = permit
notify_classes =
biff = no
in_flow_delay = 0
`;

interface Found { readonly lines: ReadonlyMap<string, readonly string[]>; readonly warnings: readonly string[]; readonly files: readonly string[] }
type House = Instance | DebianPostfix;

const withDirectory = (d: string) => (text: string): string => text.replaceAll('@d@', d);
const commands = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));

function lay(d: string): void {
  const here = withDirectory(d);
  for (const directory of [d, `${d}/box`, `${d}/spool`, `${d}/forward`]) {
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0o1777);
  }
  for (const [name, text] of Object.entries({ ...files, aliases })) writeFileSync(`${d}/${name}`, here(text), { mode: 0o644 });
  for (const [name, owner, text, mode] of forwards) {
    const { uid, gid } = getpwnam(owner)!;
    writeFileSync(`${d}/forward/${name}`, here(text));
    chmodSync(`${d}/forward/${name}`, mode);
    chownSync(`${d}/forward/${name}`, uid, gid);
  }
}

async function hand(port: number, recipient: string): Promise<string> {
  const client = await SmtpClient.meet(port);
  for (const line of ['MAIL FROM:<me@client.test>', `RCPT TO:<${recipient}@host.pair.test>`, 'DATA']) await client.command(line);
  const { text } = await client.content(Buffer.from(`From: me@client.test\r\nTo: x\r\nSubject: ${recipient}\r\nMessage-ID: <1@x>\r\n\r\nhello\r\nFrom here\r\n.\r\n`));
  await client.quit();
  return /queued as (\S+)/.exec(text)![1]!;
}

const spoken = /postfix\/(local|discard|bounce|qmgr|cleanup|error|retry)\[\d+\]: (?:warning: )?(\S+?): (.*)$/;

/** What became of a message, and of those that were made of it. */
function story(log: readonly string[], queueId: string, d: string, depth = 0): string[] {
  return log.flatMap((line) => {
    const [, program, id, said = ''] = spoken.exec(line) ?? [];
    if (id !== queueId || /^from=<|^removed|^message-id/.test(said)) return [];
    const shown = said.replace(/delay=[\d.]+, delays=[\d./]+, /, '').replaceAll(d, '@d@').replace(/(forwarded as|notification:) \w+/, '$1 ID');
    const next = /forwarded as (\w+)/.exec(said)?.[1];
    return [`${'  '.repeat(depth)}${program}: ${shown}`, ...(next === undefined || depth === 4 ? [] : story(log, next, d, depth + 1))];
  }).sort();
}

function boxes(d: string, house: House): string[] {
  return ['box', 'spool'].flatMap((top) => readdirSync(`${d}/${top}`, { recursive: true, encoding: 'latin1' }).map((name) => {
    const { mode, uid, gid } = statSync(`${d}/${top}/${name}`);
    const head = `${top}/${name.replace(/\d{9,}\.[^ ]*/, 'NAME')} ${(mode & 0o7777).toString(8)} ${uid}:${gid}`;
    if (statSync(`${d}/${top}/${name}`).isDirectory()) return head;
    const text = readFileSync(`${d}/${top}/${name}`, 'latin1').replaceAll(d, '@d@').replaceAll(house.directory, '@house@').replace(/\b[0-9A-F]{9,12}\b/g, 'ID')
      .replace(/^From (\S+) .*$/gm, 'From $1 DATE').replace(/[A-Z][a-z]{2}, +\d+ [A-Z][a-z]{2} \d{4}.*/g, 'DATE');
    // Messages of a mailbox come in the order of their delivery, which is chance.
    return `${head}\n${text.split(/^(?=From \S+ DATE$)/m).sort().join('')}`;
  })).sort();
}

async function found(kind: 'ours' | 'theirs'): Promise<Found> {
  const d = mkdtempSync(`${tmpdir()}/postern-local-`);
  const port = await freePort();
  const rows = `127.0.0.1:${port} inet n - n - - smtpd\n${masterRows('cleanup qmgr rewrite bounce defer trace discard local error retry showq')}\n`;
  const house = await (kind === 'ours' ? Instance : DebianPostfix).create({ mainCf: mainCf(d), masterCf: rows });
  try {
    lay(d);
    const [program, ...words] = kind === 'ours' ? [process.execPath, commands, 'postalias'] : [process.env['POSTFIX_POSTALIAS'] ?? '/usr/sbin/postalias'];
    execFileSync(program!, [...words, '-c', `${house.directory}/etc`, `${indexedType}:${d}/aliases`], { stdio: 'ignore' });
    await house.start();
    const ids = new Map<string, string>();
    for (const recipient of recipients) ids.set(recipient, await hand(port, recipient));
    const isOver = (id: string): boolean => house.lines(new RegExp(`: ${id}: removed|: ${id}: to=.*status=deferred`)).length > 0;
    await eventually(`${kind}: every message was tried`, () => [...ids.values()].every(isOver));
    await eventually(`${kind}: and what was made of them`, () => [...house.log().matchAll(/forwarded as (\w+)/g)].every(([, id]) => isOver(id!)) && [...house.log().matchAll(/notification: (\w+)/g)].every(([, id]) => isOver(id!)));
    const log = house.log().split('\n');
    const warnings = log.filter((line) => /warning|fatal|panic/.test(line) && !/overriding earlier entry/.test(line))
      .map((line) => line.replace(/^.{15} \S+ postfix\/(\w+)\[\d+\]: /, '$1: ').replace(/\b[0-9A-F]{9,12}\b/g, 'ID').replaceAll(d, '@d@'));
    return { lines: new Map([...ids].map(([recipient, id]) => [recipient, story(log, id, d)])), warnings: [...new Set(warnings)].sort(), files: boxes(d, house) };
  } finally {
    await house.stop();
    rmSync(d, { recursive: true, force: true });
  }
}

const skip = noDebianPostfix();
let ours: Found | undefined;
let theirs: Found | undefined;
before(async () => {
  if (skip) return;
  theirs = await found('theirs');
  ours = await found('ours');
});

/** Newer releases stop a loop one step before it is found in the alias table. */
const sameLoop = (line: string): string => line.replace('alias database loop for loop2', 'recipient nesting limit exceeded').replace(/(recipient nesting limit exceeded) for \S+$/, '$1');

for (const recipient of recipients) {
  test(`local delivery to ${recipient}: the log`, { skip }, () => {
    const [mine, other] = [ours!.lines.get(recipient)!, theirs!.lines.get(recipient)!];
    // A list of nobody is nobody's mail.
    assert.equal(other.length > 0, recipient !== 'inc-empty');
    assert.deepEqual(mine.map(sameLoop), other.map(sameLoop));
  });
}

test('local delivery: warnings', { skip }, () => assert.deepEqual(ours!.warnings.map(sameLoop).sort(), theirs!.warnings.map(sameLoop).sort()));
test('local delivery: mailboxes, files and what commands saw', { skip }, () => assert.deepEqual(ours!.files, theirs!.files));
