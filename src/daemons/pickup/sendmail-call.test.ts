import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';
import { getpwuid } from '../../host/identity.ts';
import { answerFrame, callerFrame, encodeFrame, FrameReader, keptByProgram, sendmailRequest } from '../../ipc/sendmail-call.ts';
import { servedPickup } from './testing.ts';

const uid = process.getuid!();
const login = getpwuid(uid)!.name;

/** The compiled program's side of a call. */
class Caller {
  readonly socket: net.Socket;
  readonly #reader = new FrameReader();
  readonly #chunks: AsyncIterator<Buffer>;

  constructor(path: string, argv: readonly string[], name = 'NAME=Full Name') {
    this.socket = net.connect(path);
    this.socket.on('error', () => undefined);
    this.#chunks = this.socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.socket.write(sendmailRequest, 'latin1');
    this.send(callerFrame.arguments, [name, ...argv].map((word) => `${word}\0`).join(''));
  }

  send(kind: string, text: string | Buffer = ''): this {
    this.socket.write(encodeFrame(kind, text));
    return this;
  }

  /** The kind of the next frame, with its text behind it; '' when there is none. */
  async answer(): Promise<string> {
    for (;;) {
      const frame = this.#reader.next();
      if (frame !== undefined) return frame.kind + frame.payload.toString('latin1');
      const { value, done } = await this.#chunks.next().catch(() => ({ value: undefined, done: true }));
      if (done) return '';
      this.#reader.feed(value as Buffer);
    }
  }

  /** All answers until the call ends, output and errors first. */
  async rest(): Promise<string[]> {
    const answers: string[] = [];
    for (let answer = await this.answer(); answer !== ''; answer = await this.answer()) answers.push(answer);
    return answers;
  }
}

async function call(path: string, argv: readonly string[], pieces: readonly string[], name?: string): Promise<string[]> {
  const caller = new Caller(path, argv, name);
  const first = await caller.answer();
  if (first !== answerFrame.proceed) return [first];
  for (const piece of pieces) caller.send(callerFrame.content, piece);
  caller.send(callerFrame.end);
  return caller.rest();
}

const done = `${answerFrame.exit}\0`;
const lead = ['Arewrite_context=local', 'FFull Name'];

for (const [argv, pieces, records, content] of [
  [['a@x'], ['Subject: x\n', '\nhello\n'], [...lead, `S${login}`, 'Ra@x', 'M', 'X'], 'Subject: x\n\nhello\n'],
  [['-t', '-f', 'me@x'], ['To: a, b\nSub', 'ject: x\n\nhello'], [...lead, 'Sme@x', 'M', 'X', 'Ra', 'Rb'], 'To: a, b\nSubject: x\n\nhello\n'],
  [['-i', '-f', '<>', '-F', 'Cron', 'a'], ['.\n\0\xff\n'], ['Arewrite_context=local', 'FCron', 'S', 'Ra', 'M', 'X'], '.\n\0\xff\n'],
  [['-N', 'never', '-R', 'hdrs', '-V', 'abc', '-B8BITMIME', '-f', 'me', 'a', 'b'], [],
    ['Aenvelope_id=abc', 'Aret_flags=2', ...lead, 'Sme', 'Aencoding=8bit', 'Anotify_flags=1', 'Ra', 'Anotify_flags=1', 'Rb', 'M', 'X'], ''],
] as const) {
  test(`the records of sendmail ${argv.join(' ')}`, async (t) => {
    const { path, cleanup, lines } = await servedPickup(t);
    assert.deepEqual(await call(path, argv, pieces), [done]);
    const message = cleanup.messages[0]!;
    assert.match(message.records[0]!, /^T[0-9]+ [0-9]+$/);
    assert.deepEqual([message.records.slice(1), message.fate], [records, 'kept']);
    assert.match(message.content, new RegExp(`^Received: by host\\.example\\.org \\(Postfix, from userid ${uid}\\)\\n\\tid ID1; .*\\n`));
    assert.equal(message.content.slice(message.content.indexOf('\n', message.content.indexOf('\tid')) + 1), content);
    assert.match(lines[0]!, new RegExp(`^ID1: uid=${uid} from=<`));
  });
}

test('without NAME the account gives the full name; an empty NAME is none', async (t) => {
  const { path, cleanup } = await servedPickup(t);
  await call(path, ['a'], [], 'NAME=');
  await call(path, ['a'], [], '');
  assert.equal(cleanup.messages[0]!.records[2], 'F');
  assert.match(cleanup.messages[1]!.records[2]!, /^F/);
});

test('a talkative option is answered on standard output', async (t) => {
  const { path } = await servedPickup(t);
  assert.deepEqual(await call(path, ['-v', '-f', 'me@x', 'a'], []), [`${answerFrame.output}Mail Delivery Status Report will be mailed to <me@x>.\n`, done]);
});

for (const argv of [
  ['-bs'], ['-bp'], ['-bi'], ['-I'], ['-bd'], ['-q'], ['-q30m'], ['-qRsite'], ['-qIABC'], ['-C', '/etc/other', 'a'], ['-v', '-v', 'a'],
  ['-?'], ['-n', 'a'], ['-N', 'sometimes', 'a'], ['-V', 'x\x01', 'a'], ['-bv', '-t'], ['-O', 'smtputf8=perhaps', 'a'],
]) {
  test(`declined, for Node's sendmail to see to: ${argv.join(' ')}`, async (t) => {
    const { path, cleanup, lines } = await servedPickup(t);
    assert.deepEqual(await call(path, argv, []), [answerFrame.decline]);
    assert.deepEqual([cleanup.messages, lines], [[], []]);
  });
}

test('users who are not welcome, and words that are none, are declined', async (t) => {
  const { path, cleanup } = await servedPickup(t, { authorized_submit_users: '!root, !unknown' });
  assert.deepEqual(await call(path, ['a'], []), [answerFrame.decline]);
  assert.deepEqual(await call(path, ['a'], [], 'HOME=/'), [answerFrame.decline]);
  assert.deepEqual(cleanup.messages, []);
});

for (const [name, settings, argv, pieces, text] of [
  ['no recipients', {}, ['-f', 'me@x', '-t'], ['Subject: x\n\n'], `me@x(${uid}): No recipient addresses found in message header`],
  ['too large', { message_size_limit: '1000' }, ['-f', 'me@x', 'a'], ['x'.repeat(999), '\n', 'y'.repeat(99)], `me@x(${uid}): message file too big`],
  ['a sender that is not this user\'s', { local_login_sender_maps: 'inline:{nobody=*}' }, ['-f', 'me@x', 'a'], [], `me@x(${uid}): not authorized to use sender='me@x'`],
] as const) {
  test(`fatal: ${name}`, async (t) => {
    const { path, cleanup, lines } = await servedPickup(t, settings);
    assert.deepEqual(await call(path, argv, pieces), [`${answerFrame.error}sendmail: fatal: ${text}\n`, `${answerFrame.exit}\x4b`]);
    assert.ok(cleanup.messages.every(({ fate }) => fate === 'aborted'));
    assert.equal(lines.at(-1), `fatal: ${text}`);
  });
}

test("cleanup's refusal is the program's", async (t) => {
  const { path, cleanup } = await servedPickup(t);
  cleanup.reply = { status: 2, reason: 'disk full' };
  assert.deepEqual(await call(path, ['-f', 'me@x', 'a'], []), [`${answerFrame.error}sendmail: fatal: me@x(${uid}): disk full\n`, `${answerFrame.exit}\x4b`]);
});

test('without cleanup the call is declined after its end, so that the message goes to the maildrop', async (t) => {
  const { path, cleanup } = await servedPickup(t);
  cleanup.down = true;
  assert.deepEqual(await call(path, ['a'], ['x\n']), [answerFrame.decline]);
});

test('a dot ends the message before the input ends', async (t) => {
  const { path, cleanup } = await servedPickup(t);
  const caller = new Caller(path, ['a']);
  await caller.answer();
  caller.send(callerFrame.content, 'one\n.\ntwo\n');
  assert.deepEqual(await caller.rest(), [done]);
  assert.match(cleanup.messages[0]!.content, /\none\n$/);
});

test('input that cannot be read is told', async (t) => {
  const { path, cleanup } = await servedPickup(t);
  const caller = new Caller(path, ['-f', 'me@x', 'a']);
  await caller.answer();
  caller.send(callerFrame.content, 'half').send(callerFrame.failed, '5');
  assert.deepEqual(await caller.rest(), [`${answerFrame.error}sendmail: fatal: me@x(${uid}): error reading input: Input/output error\n`, `${answerFrame.exit}\x4b`]);
  assert.deepEqual(cleanup.messages, []);
});

for (const [name, size] of [['a little', 10], ['much', 300_000]] as const) {
  test(`a program that dies after ${name} leaves nothing behind`, async (t) => {
    const { path, cleanup } = await servedPickup(t);
    const caller = new Caller(path, ['a']);
    await caller.answer();
    caller.send(callerFrame.content, `${'x'.repeat(size)}\n`);
    if (size > 100_000) while (cleanup.messages[0]?.content.length !== undefined && cleanup.messages[0].content.length < 1000) await new Promise((resolve) => setImmediate(resolve));
    caller.socket.end();
    await once(caller.socket.resume(), 'close');
    assert.ok(cleanup.messages.every(({ fate }) => fate === 'aborted'));
  });
}

test('a process that is to end declines calls that wait for input, but not one that has sent more than it kept', async (t) => {
  const { path, cleanup, ending } = await servedPickup(t);
  const [idle, busy] = [new Caller(path, ['a']), new Caller(path, ['-f', 'me', 'b'])];
  for (const caller of [idle, busy]) assert.equal(await caller.answer(), answerFrame.proceed);
  for (let left = keptByProgram + 1; left > 0; left -= 60_000) busy.send(callerFrame.content, `${'x'.repeat(60_000)}\n`);
  while ((cleanup.messages[0]?.content.length ?? 0) < keptByProgram) await new Promise((resolve) => setImmediate(resolve));
  ending.request();
  assert.deepEqual(await idle.rest(), [answerFrame.decline]);
  busy.send(callerFrame.end);
  assert.deepEqual(await busy.rest(), [done]);
});
