import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeTrouble, parseMasterCf } from './master-cf.ts';
import type { MasterRow } from './master-cf.ts';
import { checkPipeArguments } from './pipe-arguments.ts';

function read(text: string): { rows: readonly MasterRow[]; troubles: string[]; warnings: string[] } {
  const warnings: string[] = [];
  const { rows, troubles } = parseMasterCf(text, 'master.cf', { warn: (warning) => warnings.push(warning) });
  return { rows, troubles: troubles.map(describeTrouble), warnings };
}

function only(text: string): MasterRow {
  const { rows, troubles, warnings } = read(text);
  assert.deepEqual([troubles, warnings, rows.length], [[], [], 1]);
  return rows[0]!;
}

for (const [text, want] of [
  ['smtp inet n - - - - smtpd', { service: 'smtp', type: 'inet', private: false, unprivileged: true, chroot: false, wakeup: 0, maxproc: undefined, program: 'smtpd', host: '', port: 'smtp' }],
  ['pickup\tfifo\tn\tn\ty\t60\t1\tpickup', { type: 'fifo', private: false, unprivileged: false, chroot: true, wakeup: 60, wakeupOnlyIfUsed: false, maxproc: 1 }],
  ['flush unix - - n 1000? 0 flush', { private: true, wakeup: 1000, wakeupOnlyIfUsed: true, maxproc: 0 }],
  ['x unix - - n 0? 0 flush', { wakeup: 0, wakeupOnlyIfUsed: false }],
  ['127.0.0.1:10025 inet n - n - 5 smtpd', { host: '127.0.0.1', port: '10025', maxproc: 5 }],
  ['[::1]:25 inet n - n - - smtpd', { host: '::1', port: '25' }],
  ['localhost:smtp inet n - n - - smtpd', { host: 'localhost', port: 'smtp' }],
  [':25 inet n - n - - smtpd', { host: '', port: '25' }],
  ['postlog unix-dgram n - n - 1 postlogd', { type: 'unix-dgram' }],
  ['a inet n - - - - smtpd\n  -v -o a=1\n # comment\n\n  -o b=2 -vv', { verbose: 3, overrides: [['a', '1'], ['b', '2']], args: [], line: 1 }],
  ['a inet n - - - - smtpd -o { a = 1 2 } -ob=3 -o {c=}', { overrides: [['a', '1 2'], ['b', '3'], ['c', '']] }],
  ['a inet n - - - - smtpd -Dvo x=y', { debug: true, verbose: 1, overrides: [['x', 'y']] }],
  ['a unix - n n - - pipe -o x=y flags=F user=uucp argv=/bin/x { a b } -o z', { overrides: [['x', 'y']], args: ['flags=F', 'user=uucp', 'argv=/bin/x', 'a b', '-o', 'z'] }],
  ['a unix - n n - - nqmgr', { program: 'nqmgr' }],
] as const) test(`reads ${JSON.stringify(text)}`, () => {
  const row = only(text);
  assert.deepEqual(Object.fromEntries(Object.keys(want).map((key) => [key, row[key as keyof MasterRow]])), want);
});

for (const [text, want] of [
  ['smtp', 'missing "transport type" field'],
  ['smtp inet n - - -', 'missing "max_proc" field'],
  ['smtp ient n - - - - smtpd', 'bad transport type: ient (did you mean inet?)'],
  ['smtp - n - - - - smtpd', 'field "transport type" has no default value'],
  ['smtp inet - - - - - smtpd', 'inet service cannot be private (write n in the third column)'],
  ['smtp inet n - yes - - smtpd', 'field "chroot": bad value: "yes" (write y)'],
  ['smtp inet n - - soon - smtpd', 'field "wakeup_time": bad value: "soon"'],
  ['smtp inet n - - - many smtpd', 'field "max_proc": bad value: "many"'],
  ['smtp inet n - - - - -', 'field "command" has no default value'],
  ['[::1 inet n - - - - smtpd', 'missing "]" in "[::1"'],
  ['[::1]25 inet n - - - - smtpd', 'garbage after "]" in "[::1]25"'],
  ['1.2.3.4.5:25 inet n - - - - smtpd', 'valid hostname or network address required in'],
  ['25x inet n - - - - smtpd', 'garbage after numerical service in "25x"'],
  ['a: inet n - - - - smtpd', 'missing service information in "a:"'],
  ['a inet n - - - - smtpd -o', 'option -o without a value'],
  ['a inet n - - - - smtpd -o foo', `missing '=' after attribute name: "-o foo"`],
  ['a inet n - - - - smtpd -o { a = b', `missing '}' in "{ a = b"`],
  ['a inet n - - - - smtpd -x', 'unknown option: -x'],
  ['../a unix - - - - - error', 'bad service name "../a" (it is the name of a file, without "/")'],
  [`${'a'.repeat(91)} unix - - - - - error`, `bad service name "${'a'.repeat(30)}..." (write 90 characters or less)`],
] as const) test(`reports ${JSON.stringify(text)} and keeps the other rows`, () => {
  const { rows, troubles } = read(`\n${text}\nlocal unix - n n - - local`);
  assert.deepEqual(rows.map((row) => row.service), ['local']);
  assert.equal(troubles.length, 1);
  assert.ok(troubles[0]!.startsWith(`master.cf: line 2: ${want}`), troubles[0]);
});

test('the last row of a service holds, whatever name its port has', () => {
  const { rows, warnings } = read('smtp inet n - - - - smtpd\nlocal unix - n n - - local\n25 inet n - - - 9 smtpd\nsmtp unix - - - - - smtp');
  assert.deepEqual(rows.map(({ service, type, maxproc }) => [service, type, maxproc]), [['25', 'inet', 9], ['local', 'unix', undefined], ['smtp', 'unix', undefined]]);
  assert.deepEqual(warnings, ['duplicate master.cf entry for service "25" (25) -- using the last entry']);
});

for (const [args, want] of [
  ['flags=R user=cyrus argv=/x', undefined],
  ['FLAGS=Rhu user=cyrus:mail directory=/ eol=\\n null_sender= size=5 argv=/x flag=a', undefined],
  ['flag=R user=cyrus argv=/x', 'unknown attribute name: flag=R (did you mean flags=R?)'],
  ['flags=Z user=cyrus argv=/x', 'unknown flag: Z (known are BDFORX.>hqu)'],
  ['flags=R argv=/x', 'missing user= command-line attribute'],
  ['user=x', 'missing argv= command-line attribute'],
  ['user=x size=1k argv=/x', 'bad size= value: 1k (write a number of bytes)'],
] as const) test(`pipe arguments ${args}`, () => {
  const [trouble] = checkPipeArguments(only(`cyrus unix - n n - - pipe\n  ${args}`));
  assert.equal(trouble?.text, want);
  if (trouble) assert.deepEqual([trouble.file, trouble.line], ['master.cf', 1]);
});

test('only pipe has pipe arguments', () => assert.deepEqual(checkPipeArguments(only('a unix - n n - - spawn user=x')), []));
