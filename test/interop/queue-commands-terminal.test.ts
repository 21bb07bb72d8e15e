/**
 * Long work on a real terminal (a pseudo-terminal of python3's): a line that tells how far it has come, and nothing of it in a pipe.
 * Skipped, by name, where python3 is not installed.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '../instance.ts';

const python = '/usr/bin/python3';
const skip = fs.existsSync(python) ? false : 'python3 is not installed';
const runner = fileURLToPath(new URL('../../src/commands/run.ts', import.meta.url));
const folder = fs.mkdtempSync(`${os.tmpdir()}/postern-terminal-`);
after(() => fs.rmSync(folder, { recursive: true }));
fs.writeFileSync(`${folder}/main.cf`, `compatibility_level = 3.12\nqueue_directory = ${folder}\nmyhostname = host.example.test\n`);
// Some seconds of work for a slow machine, half a second for a fast one: the line comes after four tenths.
const rows = 400_000;
fs.writeFileSync(`${folder}/big`, `${Array.from({ length: rows }, (_, row) => `user${row}@example${row % 977}.org target${row}@other.example`).join('\n')}\nuser1@example1.org again\n`);

const onTerminal = `
import pty, sys, os, fcntl, termios, struct
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 132, 0, 0))
while True:
    try:
        b = os.read(fd, 65536)
    except OSError:
        break
    if not b:
        break
    sys.stdout.buffer.write(b)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

const words = [process.execPath, runner, 'postmap', '-c', folder, `cdb:${folder}/big`];
const warning = `postmap: warning: ${folder}/big, line ${rows + 1}: duplicate entry: "user1@example1.org"`;

function terminal(environment: Record<string, string>): string {
  const { status, stdout } = spawnSync(python, ['-c', onTerminal, ...words], { encoding: 'latin1', env: { PATH: process.env['PATH'], TERM: 'xterm', ...environment }, timeout: 60_000 });
  assert.equal(status, 0);
  return stdout;
}

test('on a terminal: progress with rate and time left; the warning stays, the progress does not', { skip }, () => {
  const text = terminal({ NO_COLOR: '1' });
  assert.match(text, /\r\x1b\[Kpostmap: big \[#* *\] +[0-9]+%  [0-9,]+  [0-9,]+\/s  [0-9:]+ left/);
  assert.ok(!/\x1b\[3[0-9]m/.test(text), 'no colour');
  assert.deepEqual(text.split(/\r?\n/).map((line) => line.split('\r\x1b[K').at(-1)), [warning, '']);
});

test('colour without NO_COLOR', { skip }, () => assert.match(terminal({}), /\x1b\[32m#/));

test('a terminal that cannot', { skip }, () => assert.equal(terminal({ TERM: 'dumb' }).replaceAll('\r', ''), `${warning}\n`));

test('in a pipe: nothing but the warning', () => {
  const { status, stdout, stderr } = spawnSync(words[0]!, words.slice(1), { encoding: 'latin1', env: { PATH: process.env['PATH'], TERM: 'xterm' }, timeout: 60_000 });
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: `${warning}\n` });
});

test('interrupted in the middle: the old table stays, and the next run makes the new one', { timeout: 60_000 }, async () => {
  const ask = (key: string): string => spawnSync(words[0]!, [runner, 'postmap', '-c', folder, '-q', key, `cdb:${folder}/big`], { encoding: 'latin1' }).stdout;
  const before = ask('user7@example7.org');
  assert.equal(before, 'target7@other.example\n');
  fs.writeFileSync(`${folder}/big`, fs.readFileSync(`${folder}/big`, 'latin1').replaceAll('@other.example', '@new.example'));
  const child = spawn(words[0]!, words.slice(1), { stdio: 'ignore' });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on('close', (_status, signal) => resolve(signal)));
  await eventually('the new table is being written', () => fs.existsSync(`${folder}/big.cdb.tmp`));
  child.kill('SIGINT');
  assert.equal(await ended, 'SIGINT');
  assert.equal(ask('user7@example7.org'), before);
  const { status } = spawnSync(words[0]!, words.slice(1), { stdio: 'ignore' });
  assert.deepEqual([status, ask('user7@example7.org'), fs.existsSync(`${folder}/big.cdb.tmp`)], [0, 'target7@new.example\n', false]);
});
