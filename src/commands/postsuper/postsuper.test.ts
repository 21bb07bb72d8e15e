import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SampleQueue } from '../../queue/sample-queue.ts';

const runner = fileURLToPath(new URL('../run.ts', import.meta.url));

/** Its own process: the command gives up root for good. Lines of what it says, without its name. */
async function postsuper(queue: SampleQueue, argv: readonly string[], input = ''): Promise<{ status: number; said: string[] }> {
  const child = spawn(process.execPath, [runner, 'postsuper', '-c', queue.etc, ...argv], { stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('latin1').on('data', (text: string) => { said += text; });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const status = await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? -1)));
  return { status, said: said.split('\n').slice(0, -1).map((line) => line.replace(/^postsuper: /, '')) };
}

interface Case {
  readonly name: string;
  /** Option letters; `ID` stands for the message's queue id. */
  readonly argv: readonly string[];
  readonly from: 'maildrop' | 'incoming' | 'active' | 'deferred' | 'hold';
  /** Where the message is afterwards; undefined: gone. */
  readonly to: string | undefined;
  readonly said: readonly string[];
  readonly input?: string;
}

const cases: readonly Case[] = [
  { name: 'delete', argv: ['-d', 'ID'], from: 'deferred', to: undefined, said: ['ID: removed', 'Deleted: 1 message'] },
  { name: 'delete from another queue', argv: ['-d', 'ID', 'hold'], from: 'active', to: 'active', said: ['Deleted: 0 messages'] },
  { name: 'delete all', argv: ['-d', 'ALL'], from: 'hold', to: undefined, said: ['Deleted: 1 message'] },
  { name: 'delete by list', argv: ['-d', '-'], input: 'NOPE12\nID\n../x\n', from: 'incoming', to: undefined, said: ['ID: removed', 'warning: invalid mail queue id: ../x', 'Deleted: 1 message'] },
  { name: 'hold', argv: ['-h', 'ID'], from: 'active', to: 'hold', said: ['ID: placed on hold', 'Placed on hold: 1 message'] },
  { name: 'hold what is held', argv: ['-h', 'ID'], from: 'hold', to: 'hold', said: ['Placed on hold: 0 messages'] },
  { name: 'hold never touches maildrop', argv: ['-h', 'ID', '-h', 'ALL'], from: 'maildrop', to: 'maildrop', said: ['Placed on hold: 0 messages'] },
  { name: 'hold all', argv: ['-h', 'ALL'], from: 'deferred', to: 'hold', said: ['Placed on hold: 1 message'] },
  { name: 'release', argv: ['-H', 'ID'], from: 'hold', to: 'deferred', said: ['ID: released from hold', 'Released from hold: 1 message'] },
  { name: 'release all', argv: ['-H', 'ALL'], from: 'hold', to: 'deferred', said: ['Released from hold: 1 message'] },
  { name: 'requeue', argv: ['-r', 'ID'], from: 'hold', to: 'maildrop', said: ['ID: requeued', 'Requeued: 1 message'] },
  { name: 'requeue all', argv: ['-r', 'ALL'], from: 'active', to: 'maildrop', said: ['Requeued: 1 message'] },
  { name: 'expire', argv: ['-e', 'ID', '-e', 'ID'], from: 'hold', to: 'hold', said: ['ID: expired', 'Force-expired: 1 message'] },
  { name: 'expire and release', argv: ['-f', 'ID'], from: 'hold', to: 'deferred', said: ['ID: expired', 'ID: released from hold', 'Force-expired: 1 message', 'Released from hold: 1 message'] },
  { name: 'expire and release all', argv: ['-f', 'ALL'], from: 'hold', to: 'deferred', said: ['Force-expired: 1 message', 'Released from hold: 1 message'] },
  { name: 'in the order asked for', argv: ['-h', 'ID', '-H', 'ID', '-r', 'ID'], from: 'active', to: 'maildrop',
    said: ['ID: placed on hold', 'ID: released from hold', 'ID: requeued', 'Requeued: 1 message', 'Placed on hold: 1 message', 'Released from hold: 1 message'] },
];

for (const { name, argv, from, to, said, input } of cases) {
  test(`postsuper: ${name}`, async (t) => {
    const queue = new SampleQueue(t);
    const id = await queue.put(from);
    queue.write(`defer/${id[0]}/${id}`, 'why\n', 0o600);
    queue.write(`bounce/${id}`, 'why\n', 0o600);
    const put = (text: string): string => text.replaceAll('ID', id);
    assert.deepEqual(await postsuper(queue, argv.map(put), put(input ?? '')), { status: 0, said: said.map(put) });
    const path = to === 'deferred' ? `deferred/${id[0]}/${id}` : `${to}/${id}`;
    const single = argv.includes('ID') || argv.includes('-');
    const logs = to === undefined && single ? [] : [`bounce/${id}`, `defer/${id[0]}/${id}`];
    const gone = to === undefined && !single;
    assert.deepEqual(queue.files(), gone ? [] : [...(to === undefined ? [] : [path]), ...logs].sort());
    const logged = queue.log().split('\n').map((line) => line.replace(/^.*? postfix\/postsuper\[[0-9]+\]: /, ''));
    for (const line of said) assert.ok(logged.includes(put(line)), line);
    if (argv[0] === '-e' || argv[0] === '-f') assert.equal(fs.statSync(`${queue.root}/${path}`).mode & 0o777, 0o710);
  });
}

test('repair: places, names, leftovers', async (t) => {
  const queue = new SampleQueue(t);
  const id = await queue.put('deferred');
  fs.renameSync(`${queue.root}/deferred/${id[0]}/${id}`, `${queue.root}/deferred/${id}`);
  fs.mkdirSync(`${queue.root}/active/8/1`, { recursive: true });
  fs.mkdirSync(`${queue.root}/hold/directory`);
  fs.symlinkSync('/etc/passwd', `${queue.root}/hold/ABCDE123`);
  queue.write('incoming/123456.7', 'left by a crash', 0o600);
  fs.utimesSync(`${queue.root}/incoming/123456.7`, 1, 1);
  queue.write('incoming/123457.7', 'being written', 0o600);
  queue.write('hold/bad.name', '');
  queue.own();
  assert.deepEqual(await postsuper(queue, []), { status: 0, said: ['warning: bogus file name: incoming/123457.7', 'warning: bogus file name: hold/bad.name'] });
  assert.deepEqual(queue.files(), [`deferred/${id[0]}/${id}`, 'hold/bad.name', 'incoming/123457.7']);
  assert.ok(!fs.existsSync(`${queue.root}/active/8`) && !fs.existsSync(`${queue.root}/hold/directory`));
});

test('repair: a restored queue gets names that fit, with its logs; then nothing is done by the old ids', async (t) => {
  const queue = new SampleQueue(t);
  const old = 'ABCDE1';
  queue.write(`deferred/A/${old}`, fs.readFileSync('/dev/null'));
  queue.write(`defer/A/${old}`, 'why\n', 0o600);
  const { status, said } = await postsuper(queue, ['-s', '-d', old]);
  const now = `ABCDE${fs.statSync(`${queue.root}/${queue.files()[1]!}`).ino.toString(16).toUpperCase()}`;
  assert.deepEqual(queue.files(), [`defer/A/${now}`, `deferred/A/${now}`]);
  assert.equal(status, 1);
  assert.deepEqual(said, [
    'error: QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS',
    'warning: OPERATION INCOMPLETE -- RERUN COMMAND TO FIX THE QUEUE FIRST',
    'fatal: CHECK YOUR QUEUE IDS AND RE-ISSUE THE COMMAND',
  ]);
  assert.deepEqual(await postsuper(queue, ['-s']), { status: 0, said: [] });
});

test('repair: long ids become short ones when they are switched off', async (t) => {
  const queue = new SampleQueue(t, { longQueueIds: true });
  await queue.put('hold');
  queue.own();
  fs.writeFileSync(`${queue.etc}/main.cf`, fs.readFileSync(`${queue.etc}/main.cf`, 'latin1').replace('ids = yes', 'ids = no'));
  const { said } = await postsuper(queue, ['-s']);
  assert.deepEqual(said, ['Renamed to match inode number: 1 message', 'warning: QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS']);
  assert.match(queue.files()[0]!, /^hold\/[0-9A-F]{6,}$/);
});

for (const [name, argv, said] of [
  ['an unknown queue', ['-d', 'AB12345', 'corrupt'], 'fatal: invalid directory name: corrupt'],
  ['a relative configuration directory', ['-c', 'etc', '-s'], 'fatal: -c requires absolute pathname'],
  ['an unknown option', ['-x'], "invalid option -- 'x'"],
] as const) {
  test(`postsuper refuses ${name}`, async (t) => {
    const result = await postsuper(new SampleQueue(t), argv);
    assert.equal(result.status, 1);
    assert.equal(result.said[0], said);
  });
}
