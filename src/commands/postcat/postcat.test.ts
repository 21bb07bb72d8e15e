import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import fc from 'fast-check';
import { asctime } from '../../text/asctime.ts';
import { SampleQueue } from '../../queue/sample-queue.ts';
import { main } from './postcat.ts';

async function postcat(queue: SampleQueue, ...argv: string[]): Promise<{ status: number; out: string; said: string }> {
  let [out, said] = ['', ''];
  const before = process.cwd();
  const keep = (take: (text: string) => void) => ({ write: (bytes: Uint8Array) => { take(Buffer.from(bytes).toString('latin1')); return true; } });
  try {
    const status = await main(['-c', queue.etc, ...argv], {}, { stdin: {}, stdout: keep((text) => { out += text; }), stderr: keep((text) => { said += text; }) });
    return { status, out, said };
  } finally {
    process.chdir(before);
  }
}

const sample = { recipients: [{ address: 'one@x', originalAddress: 'alias@x', done: true }, 'two@x'], content: 'Subject: sample\n\tmore\n\nhello\nworld\n' };
const time = asctime(1_700_000_000);
const envelope = `message_arrival_time: ${time}create_time: ${time}sender: sender@example.test\noriginal_recipient: alias@x\ndone_recipient: one@x\nrecipient: two@x\n`;
const header = 'Subject: sample\n\tmore\n';
const body = '\nhello\nworld\n';

// As Postfix 3.12 shows the same file.
for (const [options, want] of [
  [[], (path: string, head: string) => `*** ENVELOPE RECORDS ${path} ***\n${head}${envelope}*** MESSAGE CONTENTS ${path} ***\n${header}${body}*** HEADER EXTRACTED ${path} ***\n*** MESSAGE FILE END ${path} ***\n`],
  [['-e'], (path: string, head: string) => `*** ENVELOPE RECORDS ${path} ***\n${head}${envelope}*** MESSAGE CONTENTS ${path} ***\n*** HEADER EXTRACTED ${path} ***\n*** MESSAGE FILE END ${path} ***\n`],
  [['-h'], () => header],
  [['-b'], () => body],
  [['-bh'], () => header + body],
  [['-fh'], (path: string) => `${path}: Subject: sample\n${path}: \tmore\n`],
  [['-hod'], () => '      181  78 Subject: sample\n      198  78 \tmore\n'],
] as const) {
  test(`postcat -q ${options.join(' ')}`, async (t) => {
    const queue = new SampleQueue(t);
    const id = await queue.put('deferred', sample);
    const { status, out, said } = await postcat(queue, ...options, '-q', id);
    const head = `message_size: ${fs.readFileSync(`${queue.root}/deferred/${id[0]}/${id}`, 'latin1').slice(2, 97)}\n`;
    assert.deepEqual({ status, said }, { status: 0, said: '' });
    assert.equal(out, want(`deferred/${id[0]}/${id}`, head));
  });
}

test('files by path, and no file at all', async (t) => {
  const queue = new SampleQueue(t);
  const id = await queue.put('active', sample);
  assert.equal((await postcat(queue, '-b', `${queue.root}/active/${id}`)).out, body);
  assert.deepEqual(await postcat(queue, '/nonexistent'), { status: 1, out: '', said: 'postcat: fatal: open /nonexistent: No such file or directory\n' });
  assert.deepEqual(await postcat(queue, '/etc/passwd'), { status: 0, out: '', said: 'postcat: warning: /etc/passwd: input is not a valid queue file\n' });
});

for (const [argv, said] of [
  [['-q', '../passwd'], 'postcat: fatal: bad mail queue ID: ../passwd\n'],
  [['-q', 'AB12345'], 'postcat: fatal: open queue file AB12345: No such file or directory\n'],
  [['-s', 'x', 'y'], 'postcat: fatal: bad offset: x\n'],
] as const) {
  test(`postcat ${argv.join(' ')}`, async (t) => {
    assert.deepEqual(await postcat(new SampleQueue(t), ...argv), { status: 1, out: '', said });
  });
}

test('a file that is cut off is shown as far as it goes', async (t) => {
  const queue = new SampleQueue(t);
  queue.write('active/AB12345', 'S\x03s@xR\x03r@xR\x09x');
  assert.deepEqual(await postcat(queue, '-q', 'AB12345'), {
    status: 1, out: '*** ENVELOPE RECORDS active/AB12345 ***\nsender: s@x\nrecipient: r@x\n',
    said: 'postcat: warning: active/AB12345: unexpected EOF in data, record type 82 length 9\npostcat: fatal: record read error\n',
  });
});

test('a file that leads back to where it was is shown so often, and not for ever', async (t) => {
  const queue = new SampleQueue(t);
  const number = (value: number): string => `${value}`.padStart(15);
  const size = [7, 106, 1, 1, 0, 35, 0].map(number).join(' ');
  queue.write('active/AB12345', `C${String.fromCharCode(size.length)}${size}S\x03s@xR\x03r@xM\x00N\x0eSubject: hello!X\x00E\x00`);
  const { status, out, said } = await postcat(queue, '-e', '-q', 'AB12345');
  assert.equal(status, 1);
  assert.ok(out.split('recipient: r@x').length <= 10_002);
  assert.match(said, /postcat: warning: active\/AB12345: too many reverse jump records\npostcat: fatal: record read error\n$/);
});

test('any damage is shown or told, never thrown', async (t) => {
  const queue = new SampleQueue(t);
  const id = await queue.put('active', sample);
  const path = `${queue.root}/active/${id}`;
  const good = fs.readFileSync(path);
  const options = fc.constantFrom([], ['-vo'], ['-b'], ['-e'], ['-rv']);
  await fc.assert(fc.asyncProperty(fc.nat(good.length), fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 }), options, async (length, changes, argv) => {
    const bad = Buffer.from(good);
    for (const [at, value] of changes) bad[at] = value;
    fs.writeFileSync(path, bad.subarray(0, length));
    const { status } = await postcat(queue, ...argv, path);
    assert.ok(status === 0 || status === 1);
  }), { numRuns: 200 });
});
