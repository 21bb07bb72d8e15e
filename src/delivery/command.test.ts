import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { runCommand, type Command, type CommandOutcome } from './command.ts';
import { exportedEnvironment } from './environment.ts';
import { ears } from './testing.ts';

const isRoot = process.getuid!() === 0;
const rights = isRoot ? { uid: 65533, gid: 65532 } : { uid: process.getuid!(), gid: process.getgid!() };
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'command-'));
fs.chmodSync(directory, 0o755);
after(() => fs.rmSync(directory, { recursive: true }));

async function* message(text = 'Subject: x\n\nhello\n'): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}

function run(what: string | string[], changes: Partial<Command> = {}, input: AsyncIterable<Buffer> = message()): Promise<CommandOutcome> {
  const how = typeof what === 'string' ? { text: what, shell: '' } : { argv: what };
  return runCommand({ run: how, rights, environment: {}, timeLimit: 60_000, agent: 'local', utf8: true, ...changes }, input, ears().log);
}

const unix = (text: string) => ({ type: 'x-unix', text });

const outcomes: [name: string, command: string | string[], want: CommandOutcome][] = [
  ['success', 'true', { output: '' }],
  ['the message comes at standard input', 'cat', { output: 'Subject: x  hello ' }],
  ['which is a pipe', 'cat < /dev/stdin', { output: 'Subject: x  hello ' }],
  ['standard error is output too', 'echo out; echo err >&2', { output: 'out err ' }],
  ['a builtin of the shell', 'exit 67', { failure: { dsn: '5.1.1', text: 'user unknown', diagnostic: unix('user unknown') } }],
  ['sysexits with output', 'echo no such box; exit 67', { failure: { dsn: '5.1.1', text: 'user unknown. Command output: no such box ', diagnostic: unix('no such box ') } }],
  ['EX_TEMPFAIL', 'exit 75', { failure: { dsn: '4.3.0', text: 'temporary failure', diagnostic: unix('temporary failure') } }],
  ['another status', 'exit 1', { failure: { dsn: '5.3.0', text: 'Command died with status 1: "exit 1"', diagnostic: unix('unknown mail system error 1') } }],
  ['another status with output', 'echo oops; exit 1', { failure: { dsn: '5.3.0', text: 'Command died with status 1: "echo oops; exit 1". Command output: oops ', diagnostic: unix('oops ') } }],
  ['a status code in the output', 'echo 4.2.1 not today; exit 1', { failure: { dsn: '4.2.1', text: 'not today ', diagnostic: unix('not today ') } }],
  ['but not after success', 'echo 4.2.1 not today', { output: '4.2.1 not today ' }],
  ['a signal', 'kill -TERM $$', { failure: { dsn: '4.3.0', text: 'Command died with signal 15: "kill -TERM $$"', diagnostic: unix('internal software error') } }],
  ['no shell for words that need none', ['echo', '$HOME', '`id`', 'a b'], { output: '$HOME `id` a b ' }],
  ['an empty argument stays', ['sh', '-c', 'echo $#:$1:', 'x', '', 'b'], { output: '2:: ' }],
  ['bytes beyond ASCII', ['printf', '\xc3\xa4'], { output: '\xc3\xa4' }],
  ['unprintable output', 'printf "a\\001b\\tc\\rd\\377"', { output: 'a_b c_d_' }],
  ['a program that is not there', '/no/such/program x', {
    failure: { dsn: '4.3.0', text: 'temporary failure. Command output: local: fatal: execvp /no/such/program: No such file or directory ', diagnostic: unix('local: fatal: execvp /no/such/program: No such file or directory ') },
  }],
  ['a program that may not be run', ['/etc/passwd'], {
    failure: { dsn: '4.3.0', text: 'temporary failure. Command output: local: fatal: pipe_command: execvp /etc/passwd: Permission denied ', diagnostic: unix('local: fatal: pipe_command: execvp /etc/passwd: Permission denied ') },
  }],
  ['a message that is not read', 'exec 0<&-; true', { output: '' }],
];

for (const [name, command, want] of outcomes) test(name, async () => assert.deepEqual(await run(command), want));

test('UTF-8 in the output, where mail has none', async () => assert.deepEqual(await run(['printf', '\xc3\xa4b'], { utf8: false }), { output: '__b' }));

test('a program that is not in the path and no builtin', async () => {
  const result = await run('no-such-program x');
  assert.ok('failure' in result && /^Command died with status 127: "no-such-program x"\. Command output: .*not found $/.test(result.failure.text), JSON.stringify(result));
});

test('a large message to a command that does not read it', async () => {
  async function* large(): AsyncGenerator<Buffer> {
    for (let left = 64; left > 0; left--) yield Buffer.alloc(65536, 'x');
  }
  assert.deepEqual(await run('true', {}, large()), { output: '' });
  assert.deepEqual(await run('wc -c', {}, large()), { output: `${64 * 65536} ` });
});

test('of a flood of output the first 4096 bytes are kept', async () => {
  const result = await run('head -c 300000 /dev/zero | tr "\\0" x');
  assert.ok('output' in result && result.output === 'x'.repeat(4096));
});

test('out of time, the command is killed', async () => {
  const result = await run('sleep 3600 & sleep 3600', { timeLimit: 1 });
  assert.deepEqual(result, {
    failure: { dsn: '5.3.0', text: 'Command time limit exceeded: "sleep 3600 & sleep 3600"', diagnostic: unix('internal software error') },
  });
});

test('a queue file that cannot be read is no delivery, and temporary', async () => {
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from('half');
    throw Object.assign(new Error('x'), { code: 'EIO', errno: -5 });
  }
  const result = await run('cat', {}, broken());
  assert.ok('failure' in result && result.failure.dsn === '4.3.0' && result.failure.text.endsWith('Input/output error: "cat"'), JSON.stringify(result));
});

test('the environment is what is given and a PATH', async () => {
  const result = await run('/usr/bin/env', { environment: { PATH: '/elsewhere', USER: 'joe', ODD: '\xc3\xa4' } });
  assert.deepEqual('output' in result && result.output.trim().split(' ').filter((each) => !each.startsWith('_=')).sort(), ['ODD=\xc3\xa4', 'PATH=/usr/bin:/bin', 'USER=joe']);
});

test('the working directory', async () => {
  assert.deepEqual(await run('pwd', { directory }), { output: `${directory} ` });
  const missing = await run('pwd', { directory: `${directory}/none` });
  assert.deepEqual(missing, { failure: { dsn: '4.3.0', text: 'temporary failure', diagnostic: unix('temporary failure') } });
});

test('a shell of the operator\'s choice runs everything', async () => {
  const shell = path.join(directory, 'shell');
  fs.writeFileSync(shell, '#!/bin/sh\necho "<$1><$2>"\n', { mode: 0o755 });
  assert.deepEqual(await run('plain words', { run: { text: 'plain words', shell: `${shell} -x` } }), { output: '<-x><plain words> ' });
});

test('a command runs as the user, with no other groups', { skip: isRoot ? false : 'only root can become others' }, async () => {
  assert.deepEqual(await run('id -u; id -g; id -G'), { output: `${rights.uid} ${rights.gid} ${rights.gid} ` });
});

test('and in a session of its own', async () => {
  // proc(5): the fourth word after the name in parentheses is the session.
  const result = await run('sed "s/.*) //" /proc/$$/stat; echo $$');
  const words = 'output' in result ? result.output.trim().split(/[ \n]+/) : [];
  assert.match(words.at(-1)!, /^[0-9]+$/);
  assert.equal(words[3], words.at(-1));
});

test('what is exported', () => {
  const own = { TZ: 'UTC', SECRET: 'x', LANG: 'C' };
  assert.deepEqual({ ...exportedEnvironment('TZ LANG MISSING A=b {C = d e}', own) }, { TZ: 'UTC', LANG: 'C', A: 'b', C: 'd e' });
});

/** A directory with a program in it and what that needs. */
function jail(program: string): string {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'postern-jail-'));
  fs.chmodSync(root, 0o755);
  const needed = execFileSync('ldd', [program], { encoding: 'latin1' }).match(/\/\S+/g) ?? [];
  for (const file of [program, ...needed]) {
    fs.mkdirSync(path.dirname(`${root}${file}`), { recursive: true });
    fs.copyFileSync(file, `${root}${file}`);
  }
  fs.mkdirSync(`${root}/inside`);
  return root;
}

test('a root directory of its own, while ours stays', { skip: isRoot ? false : 'only root changes the root directory' }, async () => {
  const root = jail('/bin/pwd');
  try {
    const before = process.cwd();
    const inJail = (within?: string) => run(['/bin/pwd', '-P'], { root, directory: within });
    const [top, inside, missing] = [await inJail(), await inJail('/inside'), await inJail('/outside')];
    assert.deepEqual([top, inside], [{ output: '/ ' }, { output: '/inside ' }]);
    assert.ok('failure' in missing && missing.failure.dsn === '4.3.0');
    assert.deepEqual([process.cwd(), fs.existsSync(root), fs.existsSync('/inside'), (await fs.promises.stat(root)).isDirectory()], [before, true, false, true]);
    const none = await run(['/bin/pwd'], { root: `${root}/none` });
    assert.ok('failure' in none && none.failure.dsn === '4.3.0');
  } finally {
    fs.rmSync(root, { recursive: true });
  }
});
