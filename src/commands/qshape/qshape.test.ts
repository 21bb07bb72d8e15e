/** qshape: the table for a made-up queue; and next to Postfix's own script, where Debian has it (or QSHAPE names it). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SampleQueue } from '../../queue/sample-queue.ts';
import { domainOf, Shape, type ShapeOptions } from './shape.ts';

const runner = fileURLToPath(new URL('../run.ts', import.meta.url));
const theirs = process.env['QSHAPE'] ?? '/usr/sbin/qshape';
const skip = !fs.existsSync(theirs) || !fs.existsSync('/usr/sbin/postconf') ? "Debian's qshape is not installed" : process.getuid!() === 0 ? false : 'needs root';

const options: ShapeOptions = { parents: false, minimumSubdomains: 5, buckets: 4, tick: 5, linear: false, width: 40 };

function shapeOf(more: Partial<ShapeOptions>, mail: readonly (readonly [age: number, ...addresses: string[]])[]): string[] {
  const shape = new Shape({ ...options, ...more }, 1_000_000);
  for (const [age, ...addresses] of mail) shape.add(1_000_000 - age * 60, addresses);
  return shape.table().split('\n').slice(0, -1);
}

test('ages double, the last has no end', () => {
  assert.deepEqual(shapeOf({}, [[0, 'a@x.com', 'b@X.com.'], [5, 'x@x.com'], [9.9, 'x@x.com'], [10, 'x@x.com'], [1000, '', 'c@.y.org']]), [
    '                          T  5 10 20 20+',
    '                   TOTAL  7  2  2  1   2',
    '                   x.com  5  2  2  1   0',
    '                   y.org  1  0  0  0   1',
    '           MAILER-DAEMON  1  0  0  0   1',
  ]);
});

test('ages in equal steps; a name that is too long', () => {
  assert.deepEqual(shapeOf({ linear: true, tick: 7 }, [[13, 'a@a-domain-that-is-longer-than-its-column.example']]), [
    '                          T  7 14 21 21+',
    '                   TOTAL  1  0  1  0   0',
    '+than-its-column.example  1  0  1  0   0',
  ]);
});

test('an empty queue', () => {
  assert.deepEqual(shapeOf({}, []), ['                          T  5 10 20 20+', '                   TOTAL  0  0  0  0   0']);
});

test('parents', () => {
  const mail = ['a', 'b', 'c'].map((name) => [1, `x@${name}.example.com`] as const);
  const names = (minimumSubdomains: number): string[] => shapeOf({ parents: true, minimumSubdomains }, [...mail, [1, 'x@example.com']]).slice(2).map((line) => line.trim().split(' ')[0]!);
  assert.deepEqual(names(3), ['.example.com', 'example.com', 'a.example.com', 'b.example.com', 'c.example.com']);
  assert.deepEqual(names(4), ['example.com', 'a.example.com', 'b.example.com', 'c.example.com']);
});

for (const [address, want] of [['a@B.c', 'b.c'], ['a', 'a'], ['a@b@c', 'c'], ['x@.a..b.', 'a.b'], ['x@.', '.'], ['', 'MAILER-DAEMON'], ['x@[1.2.3.4]', '[1.2.3.4]']] as const)
  test(`domain of "${address}"`, () => assert.equal(domainOf(address), want));

interface Said { readonly status: number | null; readonly stdout: string; readonly stderr: string }

function run(side: 'ours' | 'theirs', queue: SampleQueue, argv: readonly string[]): Said {
  const [file, words] = side === 'ours' ? [process.execPath, [runner, 'qshape', ...argv]] : [theirs, argv];
  const { status, stdout, stderr } = spawnSync(file, words, { encoding: 'latin1', env: { PATH: '/usr/sbin:/usr/bin:/bin', MAIL_CONFIG: queue.etc }, timeout: 20_000 });
  // What Perl thinks of the script, and postconf of the missing master.cf.
  return { status, stdout, stderr: stderr.replace(/^(Use of uninitialized|postconf: warning: open .*master.cf).*\n/gm, '') };
}

/** Rows of equal weight and length have no order there. */
function table({ status, stdout, stderr }: Said): unknown {
  const [head, ...rows] = stdout.split('\n');
  return { status, stderr, head, rows: rows.sort(), weights: rows.map((row) => row.trimStart().split(/ +/)[1]) };
}

async function fill(t: TestContext): Promise<SampleQueue> {
  const queue = new SampleQueue(t, { mainCf: 'compatibility_level = 3.6\n' });
  const now = Math.floor(Date.now() / 1000);
  let number = 0;
  for (const name of ['incoming', 'active', 'deferred', 'hold'] as const) {
    for (let message = 0; message < 40; message++, number++) {
      const recipients = Array.from({ length: number % 4 + 1 }, (_, index) => `r${index}@${'abcdefgh'[(number + index) % 8]}.${number % 3 === 0 ? '' : 'Sub.'}example${number % 5}.com`);
      await queue.put(name, { sender: number % 7 === 0 ? '' : `s@sender${number % 6}.example.org`, arrival: now - 31 - number * 97, recipients, content: `Subject: x\n\n${'E\x01x\n'.repeat(number * 40)}` });
    }
  }
  queue.write('active/notcomplete1', 'x', 0o600);
  queue.write('corrupt/EMPTY00', '');
  queue.write('corrupt/SHORT00', 'C\x05 1 2');
  fs.symlinkSync('/etc/passwd', `${queue.root}/active/LINK000`);
  return queue;
}

test('next to Postfix\'s script', { skip }, async (t) => {
  const queue = await fill(t);
  for (const argv of [
    [], ['deferred'], ['incoming', 'active', 'deferred', 'hold'], ['-s'], ['-s', 'hold', 'deferred'], ['-p', 'deferred'], ['-p', '-m', '2', 'active', 'hold'],
    ['-b', '3'], ['-b', '1'], ['-b', '20', '-t', '1', 'deferred'], ['-l', '-t', '30', '-b', '5', 'hold'], ['-w', '120', '-b', '14', '-t', '2', 'hold'], ['-w', '30', 'hold'],
    ['-n', '1', '-N', '1', 'hold'], ['-b', '18', '-p', 'hold'], ['corrupt'], ['-b', '0', '-t', '0', 'hold'], [`${queue.root}/hold`], ['-c', queue.etc, 'hold'], ['-sp', '-m1', 'hold'],
  ]) assert.deepEqual(table(run('ours', queue, argv)), table(run('theirs', queue, argv)), argv.join(' '));
});

test('messages that wait in maildrop are counted', async (t) => {
  const queue = new SampleQueue(t);
  queue.write('maildrop/ABCDEF1', 'T\x041700A\x19rewrite_context=localxxxxS\x03s@xR\x07a@b.orgM\x00N\x02hiX\x00E\x00');
  for (const [argv, want] of [[['maildrop'], 'b.org'], [['-s', 'maildrop'], 'x']] as const) assert.match(run('ours', queue, argv).stdout, new RegExp(`^ *${want} +1`, 'm'));
});

test('a queue that is not there; a command line that makes no sense', (t) => {
  const queue = new SampleQueue(t);
  const missing = run('ours', queue, ['nothing']);
  assert.deepEqual([missing.status, missing.stderr], [0, "qshape: Can't stat nothing: No such file or directory\n"]);
  const wrong = run('ours', queue, ['-x']);
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /^qshape: invalid option -- 'x'\nUsage: qshape \[ -s \]/);
});
