/**
 * main.cf and master.cf that cannot be followed: `postfix check` and master(8) name the file, the line and the likely fix, and nothing
 * crashes. And tables that cannot be read: mail waits, with 451, instead of being refused or let through.
 */
import assert from 'node:assert/strict';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { main as postfix } from '../../src/commands/postfix/postfix.ts';
import { SmtpClient } from '../faults/smtp-client.ts';
import { eventually, freePort, Instance } from '../instance.ts';

const row = 'rewrite unix - - n - - trivial-rewrite\n';
const line = 60;

let instance: Instance;
before(async () => { instance = await Instance.create({ masterCf: row }); });
after(() => instance?.stop());

interface Answer { readonly status: number; readonly said: string }

/** What `postfix check` says, with D for the instance's directory. */
async function check(): Promise<Answer> {
  let said = '';
  const status = await postfix(['-c', `${instance.directory}/etc`, 'check'], process.env, { stderr: { write: (bytes: Buffer) => { said += bytes.toString('latin1'); } } });
  return { status, said: said.replaceAll(instance.directory, 'D').replaceAll('postlog: ', '') };
}

const needed = new Map<string, string>();

/** main.cf of the instance without the names that `text` sets, `text` on line 60. */
function mainCf(text: string): void {
  if (needed.size === 0) for (const each of instance.mainCfText().split('\n').filter((one) => one.includes(' = '))) needed.set(each.split(' = ')[0]!, each);
  const own = [...needed].filter(([name]) => !new RegExp(`^${name} *=`, 'm').test(text)).map(([, each]) => each);
  const lines = [...own, ...Array.from({ length: line }, () => '')].slice(0, line - 1);
  writeFileSync(`${instance.directory}/etc/main.cf`, `${lines.join('\n')}\n${text}\n`, 'latin1');
}

const at = `(D/etc/main.cf, line ${line}`;
const asRoot = process.getuid!() === 0;

for (const [text, want] of [
  ['no setting', `D/etc/main.cf, line ${line}: missing '=' after attribute name: "no setting" (write "name = value", or start the line with white space when it continues the one above)`],
  ['= x', `D/etc/main.cf, line ${line}: missing attribute name: "= x" (write "name = value")`],
  ['smtpd_timeout = soon', `parameter smtpd_timeout: bad time value or unit: soon ${at}: write a whole number`],
  ['smtpd_timeout = 5y', `parameter smtpd_timeout: bad time value or unit: 5y ${at}`],
  ['smtpd_timeout = \xff', `parameter smtpd_timeout: bad time value or unit: ? ${at}`],
  ['smtpd_timeout = 0', `invalid smtpd_timeout: 0 (min 1) ${at}: write 1s or more)`],
  ['message_size_limit = ten', `bad numerical configuration: message_size_limit = ten ${at}: write a whole number, as in "message_size_limit = 10240000")`],
  ['smtpd_recipient_limit = -1', `invalid smtpd_recipient_limit parameter value -1 < 1 ${at}: write 1 or more)`],
  ['default_process_limit = 0', `invalid default_process_limit parameter value 0 < 1 ${at}: write 1 or more)`],
  ['default_process_limit = 99999999999', `bad numerical configuration: default_process_limit = 99999999999 ${at}`],
  ['strict_rfc821_envelopes = maybe', `bad boolean configuration: strict_rfc821_envelopes = maybe ${at}: write yes or no)`],
  ['queue_directory =', `bad string length 0 < 1: queue_directory =  ${at}: give it a value, or remove the line)`],
  ['queue_directory = queue', `bad directory: queue_directory = queue ${at}: write the whole path, from / on)`],
  ['data_directory = /dev/null/data', 'unable to create missing queue directories: /dev/null/data: Not a directory'],
  ['relayhost = $relayhost', `parameter relayhost: unreasonable macro call nesting: "relayhost" ${at}: a value must not refer to itself)`],
  ['a = $b\nb = $a\nrelayhost = $a', `parameter relayhost: unreasonable macro call nesting: `],
  ['smtpd_banner = ${', `parameter smtpd_banner: truncated macro reference: "\${" ${at})`],
  ['smtpd_banner = $', `parameter smtpd_banner: empty macro name: "$" ${at})`],
  ['smtpd_banner = ${{a} = {b}?{c}}', `parameter smtpd_banner: "==" or "!=" or "<" or "<=" or ">=" or ">" expected at: `],
  ['compatibility_level = new', `malformed compatibility level syntax: "new" ${at}: write a release, as in 3.6)`],
  ['inet_interfaces = no.such.host.invalid', `config variable inet_interfaces: host not found: no.such.host.invalid (write addresses, or a name that /etc/hosts knows) ${at})`],
  ['inet_protocols = ipv5', `unknown inet_protocols value "ipv5" in "ipv5" (write all, ipv4, ipv6, or "ipv4, ipv6") ${at})`],
  ['myhostname = a b', `file D/etc/main.cf: parameter myhostname: bad parameter value: a b ${at}: invalid character 32(decimal))`],
  ['relayhost = host.example.test', `myhostname and relayhost parameter settings must not be identical: host.example.test ${at}`],
  ['myorigin = a.example, b.example', `myorigin parameter setting must not contain multiple values: a.example, b.example ${at}: write one domain)`],
  ...asRoot ? [
    ['queue_directory = /nonexistent/queue', 'unable to create missing queue directories: /nonexistent'],
    ['mail_owner = no-such-user', `file D/etc/main.cf: parameter mail_owner: unknown user name value: no-such-user ${at}: make an account`],
    ['mail_owner = root', `file D/etc/main.cf: parameter mail_owner: user root has privileged user ID ${at}`],
    ['setgid_group = no-such-group', `file D/etc/main.cf: parameter setgid_group: unknown group name: no-such-group ${at}: make a group`],
  ] as const : [],
] as const) {
  test(`main.cf: ${JSON.stringify(text)}`, async () => {
    mainCf(text);
    const { status, said } = await check();
    assert.equal(status, 1);
    assert.ok(said.split('\n').some((each) => each.replace(/^(?:postfix: )?(?:error|fatal): /, '').startsWith(want)), said);
    assert.doesNotMatch(said, /\bat .*\.ts:/);
  });
}

test('main.cf: the names of properties of JavaScript\'s objects are ordinary names', async () => {
  mainCf('constructor = x\n__proto__ = y\ntoString = z\nsmtpd_banner = $myhostname $constructor $__proto__ $hasOwnProperty.');
  assert.equal((await check()).status, 0);
});

test('main.cf: a file that is missing, unreadable or a directory', async () => {
  for (const [prepare, want] of [
    [() => rmSync(`${instance.directory}/etc/main.cf`), 'No such file or directory'],
    ...asRoot ? [] : [[() => { mainCf(''); chmodSync(`${instance.directory}/etc/main.cf`, 0); }, 'Permission denied'] as const],
  ] as const) {
    prepare();
    assert.deepEqual(await check(), { status: 1, said: `postfix: fatal: open D/etc/main.cf: ${want}\n` });
  }
  if (!asRoot) chmodSync(`${instance.directory}/etc/main.cf`, 0o644);
});

const badRows: readonly (readonly [row: string, want: string])[] = [
  ['a', 'missing "transport type" field'],
  ['a unxi - - n - - error', 'bad transport type: unxi (did you mean unix?)'],
  ['a unix x - n - - error', 'field "private": bad value: "x" (write y, n or -)'],
  ['a unix - yes n - - error', 'field "unprivileged": bad value: "yes" (write y)'],
  ['a unix - - 0 - - error', 'field "chroot": bad value: "0" (write n)'],
  ['a unix - - n 5m - error', 'field "wakeup_time": bad value: "5m" (write seconds, seconds and ?, or -)'],
  ['a unix - - n - -1 error', 'field "max_proc": bad value: "-1" (write a number, 0 for no limit, or -)'],
  ['a unix - - n - -', 'missing "command" field'],
  ['../a unix - - n - - error', 'bad service name "../a"'],
  ['25 inet - - n - - smtpd', 'inet service cannot be private (write n in the third column)'],
  ['[::1 inet n - n - - smtpd', 'missing "]" in "[::1"'],
  ['a unix - n n - - pipe flag=R user=nobody argv=/bin/true', 'unknown attribute name: flag=R (did you mean flags=R?)'],
  ['b unix - n n - - pipe flags=z user=nobody argv=/bin/true', 'unknown flag: z (known are '],
  ['c unix - n n - - pipe user=nobody', 'missing argv= command-line attribute'],
  ['d unix - n n - - pipe argv=/bin/true', 'missing user= command-line attribute'],
  ['a unix - - n - - error -o', 'option -o without a value (write -o name=value)'],
  ['a unix - - n - - error -o foo', `missing '=' after attribute name: "-o foo" (write -o foo=value`],
  ['a unix - - n - - error -z', 'unknown option: -z (options of a daemon are'],
  ['a unix - - n - - error -o { a = b', `missing '}' in "{ a = b"`],
];

/** What only master knows: which programs there are, which ports, and which users. */
const unusable: readonly (readonly [row: string, want: string])[] = [
  ['k unix - - n - - smptd', 'unknown program "smptd" (did you mean smtpd?)'],
  ['l unix - - n - - constructor', 'unknown program "constructor" (known are '],
  ['m unix - - n - - /bin/sh', 'unknown program "/bin/sh" (known are '],
  ['99999 inet n - n - - smtpd', 'unknown port or service: 99999 (write its number, or name it in known_tcp_ports or /etc/services)'],
];

test('master.cf: every bad row is named with its line, and the others stay', async () => {
  mainCf('');
  instance.masterCf(`# table\n${badRows.map(([text]) => `${text}\n`).join('')}${row}`);
  const { status, said } = await check();
  assert.equal(status, 1);
  const lines = said.split('\n');
  for (const [index, [, want]] of badRows.entries()) assert.ok(lines.some((each) => each.startsWith(`error: D/etc/master.cf: line ${index + 2}: ${want}`)), `${want}\n${said}`);
});

test('master.cf: master serves the good rows and says which it does not start', async () => {
  mainCf('');
  const all = [...badRows, ...unusable];
  instance.masterCf(`# table\n${all.map(([text]) => `${text}\n`).join('')}${row}`);
  await instance.start();
  const log = instance.log().replaceAll(instance.directory, 'D').split('\n');
  for (const [index, [, want]] of all.entries()) assert.ok(log.some((each) => each.includes(`error: D/etc/master.cf: line ${index + 2}: ${want}`) && each.endsWith('is not started')), want);
  assert.equal(await instance.end(), 0);
});

test('master ends with a line on its standard error when main.cf cannot be followed', async () => {
  for (const [text, want] of [['no setting', /fatal: .*main\.cf, line 60: missing '='/], ['default_process_limit = 0', /fatal: invalid default_process_limit .*line 60/], ['myhostname = -', /fatal: .*parameter myhostname: .*line 60/]] as const) {
    mainCf(text);
    await assert.rejects(instance.start(), want);
  }
});

test('tables that cannot be read: mail waits, and the log says why', async () => {
  const port = await freePort();
  const etc = `${instance.directory}/etc`;
  mainCf(`mydestination = texthash:${etc}/missing, missing.example.test
virtual_mailbox_domains = broken.example.test
virtual_mailbox_maps = cdb:${etc}/broken
relay_domains = unknown.example.test
relay_recipient_maps = nosuch:${etc}/x
alias_maps =
local_recipient_maps = texthash:${etc}/half`);
  writeFileSync(`${etc}/broken.cdb`, 'this is no cdb file');
  writeFileSync(`${etc}/half`, 'no-value\nann x\n"open quote y\n');
  instance.masterCf(`127.0.0.1:${port} inet n - n - - smtpd\n${row}`);
  await instance.start();
  const client = await SmtpClient.meet(port);
  assert.equal((await client.command('MAIL FROM:<a@example.test>')).code, 250);
  for (const recipient of ['joe@missing.example.test', 'joe@broken.example.test', 'joe@unknown.example.test'])
    assert.match((await client.command(`RCPT TO:<${recipient}>`)).text, /^451 4\.3\.[05] /, recipient);
  await client.quit();
  for (const name of ['missing', 'broken', 'nosuch']) await eventually(`the log names ${name}`, () => instance.lines(new RegExp(`(?:error|warning): .*${name}`)).length > 0);
  assert.deepEqual(instance.lines(/panic/), []);
  assert.equal(await instance.end(), 0);
});
