import test, { type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import net from 'node:net';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { showqFarewell, showqGreeting, type ShowqEvent } from '../../ipc/showq.ts';
import { SampleQueue } from '../../queue/sample-queue.ts';
import { JsonLines } from './json-lines.ts';
import { MailqText } from './mailq-text.ts';

const message = (event: Partial<Extract<ShowqEvent, { kind: 'message' }>>): ShowqEvent => ({
  kind: 'message', queue: 'deferred', queueId: '89E01210081', arrivalTime: localTime, size: 344, forcedExpire: false, sender: 'joe@sender.test', ...event,
});
const recipient = (address: string, reason = '', log = ''): ShowqEvent => ({ kind: 'recipient', originalAddress: '', address, log, reason });
const end: ShowqEvent = { kind: 'end' };

/** Whatever the time zone, this is shown as Nov 1. */
const localTime = new Date(2026, 10, 1, 3, 5, 17).getTime() / 1000;

const listing = [
  message({}), recipient('a@dest.test', 'Connection refused'), recipient('b@dest.test', 'Connection refused'), recipient('c@dest.test'), end,
  message({ queue: 'active', queueId: '8B998210091', size: 233776, sender: 'MAILER-DAEMON' }), recipient('d@dest.test'), end,
  message({ queue: 'hold', forcedExpire: true }), recipient('e@dest.test', 'x'.repeat(80)), end,
];

function render(renderer: { take(event: ShowqEvent): string; finish(): string }, events: readonly ShowqEvent[]): string {
  return events.map((event) => renderer.take(event)).join('') + renderer.finish();
}

// Both as Postfix 3.12 prints them.
test('the listing with short queue ids', () => {
  assert.equal(render(new MailqText(false), listing), `-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------
89E01210081     344 Sun Nov  1 03:05:17  joe@sender.test
                                                          (Connection refused)
                                         a@dest.test
                                         b@dest.test
                                                        (reason unavailable)
                                         c@dest.test

8B998210091*  233776 Sun Nov  1 03:05:17  MAILER-DAEMON
                                         d@dest.test

89E01210081!#     344 Sun Nov  1 03:05:17  joe@sender.test
(${'x'.repeat(80)})
                                         e@dest.test

-- 228 Kbytes in 3 Requests.
`.replace('-Queue ID-  --Size--', '-Queue ID-  --Size--').replace('(reason', '  (reason'));
});

test('the listing with long queue ids', () => {
  assert.equal(render(new MailqText(true), [message({ queueId: '4jWdXr5MkFzJHm3' }), recipient('a@dest.test'), end]), `----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------
4jWdXr5MkFzJHm3        344 Sun Nov  1 03:05:17 joe@sender.test
                                               a@dest.test

-- 0 Kbytes in 1 Request.
`);
});

test('nothing to list', () => {
  assert.equal(render(new MailqText(false), []), 'Mail queue is empty\n');
  assert.equal(render(new JsonLines(true), []), '');
});

test('the listing for programs', () => {
  const events = [
    message({ arrivalTime: 5, sender: '"a\\"b"@x' }), { ...recipient('a@x', 'because\t\x01', 'defer'), originalAddress: 'o@x' } as ShowqEvent,
    recipient('b@x', 'no', 'bounce'), recipient('c@x', 'what', 'other'), recipient('caf\xc3\xa9@x'), end, message({ arrivalTime: 6, forcedExpire: true }), end,
  ];
  const text = render(new JsonLines(true), events);
  assert.equal(text, '{"queue_name": "deferred", "queue_id": "89E01210081", "arrival_time": 5, "message_size": 344, "forced_expire": false, '
    + '"sender": "\\"a\\\\\\"b\\"@x", "recipients": [{"orig_address": "o@x", "address": "a@x", "delay_reason": "because\\t\\u0001"}, '
    + '{"orig_address": "", "address": "b@x", "bounce_reason": "no"}, {"orig_address": "", "address": "c@x", "other_reason": "what"}, '
    + '{"orig_address": "", "address": "caf\xc3\xa9@x"}]}\n'
    + '{"queue_name": "deferred", "queue_id": "89E01210081", "arrival_time": 6, "message_size": 344, "forced_expire": true, "sender": "joe@sender.test", "recipients": []}\n');
  assert.equal(JSON.parse(Buffer.from(text.split('\n')[0]!, 'latin1').toString()).recipients[0].delay_reason, 'because\t\x01');
});

const runner = fileURLToPath(new URL('../run.ts', import.meta.url));

/** Its own process: the command may give up root for good. */
function run(command: string, ...argv: string[]): Promise<{ status: number; out: string; said: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [runner, command, ...argv], { encoding: 'latin1' }, (error, out, said) => resolve({ status: Number(error?.code ?? 0), out, said }));
  });
}

function postqueue(queue: SampleQueue, ...argv: string[]): ReturnType<typeof run> {
  return run('postqueue', '-c', queue.etc, ...argv);
}

for (const [argv, said] of [
  [[], /^postqueue: fatal: usage: postqueue -f \| postqueue -i queueid/],
  [['-p', '-j'], /fatal: usage/],
  [['-x'], /^postqueue: invalid option -- 'x'\npostqueue: fatal: usage/],
  [['-i', '../x'], /^postqueue: fatal: Cannot flush queue ID - invalid name: "\.\.\/x"\n$/],
  [['-s', '-bad-'], /^postqueue: fatal: Cannot flush mail queue - invalid destination: "-bad-"\n$/],
  [['-s', 'dest.test'], /^postqueue: fatal: Flush service is not configured for destination "dest.test"\n$/],
  [['-f'], /^postqueue: warning: unable to look up public\/qmgr: No such file or directory\npostqueue: fatal: Cannot flush mail queue - mail system is down\n$/],
  [['-i', 'AB12345'], /postqueue: fatal: Cannot flush mail queue - mail system is down\n$/],
] as const) {
  test(`postqueue ${argv.join(' ')} is refused`, async (t) => {
    const { status, said: text } = await postqueue(new SampleQueue(t), ...argv);
    assert.equal(status, 69);
    assert.match(text, said);
  });
}

test('while the mail system is down the queue is read directly', async (t) => {
  const queue = new SampleQueue(t);
  const id = await queue.put('deferred', { recipients: ['a@x'], arrival: localTime });
  const down = 'postqueue: warning: Mail system is down -- accessing queue directly (Connect to the Postfix showq service: No such file or directory)\n';
  const text = `-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n${id.padEnd(11)}      26 Sun Nov  1 03:05:17  sender@example.test\n`
    + `${' '.repeat(41)}a@x\n\n-- 0 Kbytes in 1 Request.\n`;
  assert.deepEqual(await postqueue(queue, '-p'), { status: 0, out: text, said: down });
  assert.equal((await run('mailq', '-C', queue.etc)).out, text);
  assert.match((await postqueue(queue, '-j')).out, new RegExp(`^{"queue_name": "deferred", "queue_id": "${id}", .*}\n$`));
});

async function answering(t: TestContext, queue: SampleQueue, name: string, answer: (socket: net.Socket) => void): Promise<void> {
  const server = net.createServer((socket) => answer(socket.on('error', () => undefined)));
  server.listen(`${queue.root}/public/${name}`);
  await once(server, 'listening');
  t.after(() => server.close());
  queue.own();
}

test('the showq service is asked when it is there', async (t) => {
  const queue = new SampleQueue(t);
  await answering(t, queue, 'showq', (socket) => socket.end(showqGreeting + showqFarewell));
  assert.deepEqual(await postqueue(queue, '-p'), { status: 0, out: 'Mail queue is empty\n', said: '' });
});

test('a showq service that stops in the middle is no end of the list', async (t) => {
  const queue = new SampleQueue(t);
  await answering(t, queue, 'showq', (socket) => socket.end(showqGreeting));
  assert.deepEqual(await postqueue(queue, '-p'), { status: 69, out: '', said: 'postqueue: fatal: malformed showq server response\n' });
});

test('flushing wakes queue manager and pickup', async (t) => {
  const queue = new SampleQueue(t);
  const heard: string[] = [];
  for (const name of ['qmgr', 'pickup'])
    await answering(t, queue, name, (socket) => socket.on('data', (chunk) => heard.push(`${name} ${chunk.toString()}`)).on('end', () => socket.end()));
  assert.deepEqual(await postqueue(queue, '-f'), { status: 0, out: '', said: '' });
  assert.deepEqual(heard, ['qmgr FADI\0', 'pickup W\0']);
});

test('one message is flushed without a flush service', async (t) => {
  const queue = new SampleQueue(t);
  await answering(t, queue, 'qmgr', (socket) => socket.resume().on('end', () => socket.end()));
  const id = await queue.put('deferred');
  assert.deepEqual(await postqueue(queue, '-i', id), { status: 0, out: '', said: '' });
  assert.ok(queue.files().includes(`incoming/${id}`));
  assert.equal(queue.store.open('incoming', id).unthrottle, true);
});

test('one message is flushed by the flush service', async (t) => {
  const queue = new SampleQueue(t);
  let asked = '';
  await answering(t, queue, 'flush', (socket) => {
    socket.write('protocol\0queue_flush_protocol\0\0');
    socket.on('data', (chunk) => {
      asked += chunk.toString();
      socket.write('status\0' + '3\0\0');
    });
  });
  assert.deepEqual(await postqueue(queue, '-i', 'AB12345'), { status: 69, out: '', said: 'postqueue: fatal: Invalid request: "AB12345"\n' });
  assert.equal(asked, 'request\0send_file\0queue_id\0AB12345\0\0');
});
