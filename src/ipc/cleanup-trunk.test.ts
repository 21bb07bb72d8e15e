import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import test, { type TestContext } from 'node:test';
import fc from 'fast-check';
import { createLog } from '../log/log.ts';
import { recordType } from '../message/record.ts';
import { RemoteCleanup } from './cleanup-client.ts';
import { serveCleanup } from './cleanup-server.ts';
import { heldLimit } from './trunk-session.ts';
import { cleanupStatus, type Cleanup, type CleanupOptions, type CleanupReply, type CleanupSession } from './cleanup.ts';
import { eachRecord, FrameCutter, frameString, recordString, wholeLimit } from './trunk-wire.ts';

const limits = { timeout: 5000, idle: 1000, retries: 2 };

interface Kept { queueId: string; text: string; content: string; aborted: boolean; answer: (reply: CleanupReply) => void }

/** A cleanup that keeps what it hears, answers when told to (or at once), and has `names` names to give. */
class Desk implements Cleanup {
  readonly kept: Kept[] = [];
  /** Names that are out: neither given back nor used. */
  readonly out = new Set<string>();
  names: number;
  patient = false;
  trouble: Error | undefined;
  #number = 0;

  constructor(names = Infinity) {
    this.names = names;
  }

  reserve() {
    if (this.names <= 0) return undefined;
    this.names--;
    const inode = (0xa000 + this.#number++).toString(16).toUpperCase();
    this.out.add(inode);
    return { inode, long: false, release: () => { assert.ok(this.out.delete(inode), `${inode} is released twice`); } };
  }

  open({ lineEnd, flags, reserved }: CleanupOptions): CleanupSession {
    if (reserved !== undefined) assert.ok(this.out.delete(reserved.reservation.inode), 'a name is used twice');
    if (this.trouble !== undefined) throw this.trouble;
    const queueId = reserved?.queueId ?? `NONAME${this.kept.length}`;
    let answer!: (reply: CleanupReply) => void;
    const answered = new Promise<CleanupReply>((resolve) => { answer = resolve; });
    const mine: Kept = { queueId, text: `${lineEnd}${flags} `, content: '', aborted: false, answer };
    this.kept.push(mine);
    return {
      queueId,
      record: (type, text) => { mine.text += `${String.fromCharCode(type)}=${text} `; },
      message: () => { mine.text += 'M '; },
      content: (chunk) => { mine.content += chunk.toString('latin1'); return true; },
      drained: async () => {},
      extracted: () => { mine.text += 'X '; },
      end: () => (this.patient ? answered : Promise.resolve({ status: mine.content.startsWith('bad') ? cleanupStatus.contents : 0, reason: mine.content.startsWith('bad') ? '5.7.1 no' : '' })),
      abort: () => { mine.aborted = true; },
    };
  }
}

/** The wish of a process to end. */
class Wish {
  readonly #listeners = new Set<() => void>();

  listen(run: () => void): () => void {
    this.#listeners.add(run);
    return () => this.#listeners.delete(run);
  }

  request(): void {
    for (const run of this.#listeners) run();
  }
}

interface Door { path: string; connections: () => number; drop(): void; ending: Wish; log: string[]; close(): void }

async function door(t: TestContext, desk: () => Cleanup): Promise<Door> {
  const directory = fs.mkdtempSync(`${os.tmpdir()}/trunk-`);
  const sockets = new Set<net.Socket>();
  const ending = new Wish();
  const lines: string[] = [];
  const log = createLog({ write: (_severity, _tag, _number, text) => void lines.push(text), flush: () => undefined }, 'postfix/test', 1, () => { throw new Error('exit'); });
  let connections = 0;
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    void serveCleanup(socket, desk(), log, connections === 1 ? ending : undefined);
  });
  server.listen(`${directory}/s`);
  await once(server, 'listening');
  const drop = (): void => { for (const socket of sockets) socket.destroy(); };
  const close = (): void => { drop(); server.close(); };
  t.after(() => {
    close();
    fs.rmSync(directory, { recursive: true });
  });
  return { path: `${directory}/s`, connections: () => connections, drop, ending, log: lines, close };
}

const opened = (cleanup: Cleanup, lineEnd: 'crlf' | 'lf' = 'crlf') => Promise.resolve(cleanup.open({ flags: 3, lineEnd }));

function fill(session: CleanupSession, body: string, sender = 'me'): void {
  session.record(recordType.sender, sender);
  session.message();
  session.content(Buffer.from(body, 'latin1'));
  session.extracted();
}

/** Until `done` is so: other ends need turns of the loop, not time. */
async function until(done: () => boolean): Promise<void> {
  for (let turn = 0; !done(); turn++) {
    assert.ok(turn < 200_000, 'it never happens');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('messages share a connection, interleaved, and each gets its own answer', async (t) => {
  const desk = new Desk();
  const { path, connections } = await door(t, () => desk);
  const cleanup = new RemoteCleanup(path, limits);
  const [one, two, three] = [await opened(cleanup), await opened(cleanup, 'lf'), await opened(cleanup)];
  desk.patient = true;
  fill(two, 'two\n', 'b');
  one.record(recordType.sender, 'a');
  fill(three, 'three\r\n', 'c');
  one.message();
  one.content(Buffer.from('o'));
  one.content(Buffer.from('ne\xff\r\n', 'latin1'));
  one.extracted();
  one.record(recordType.recipient, 'late@example.org');
  const answers = [one.end(), two.end(), three.end()];
  await until(() => desk.kept.length === 3);
  desk.kept[2]!.answer({ status: 0, reason: '' });
  desk.kept[1]!.answer({ status: cleanupStatus.size, reason: 'too \xe9big' });
  desk.kept[0]!.answer({ status: 0, reason: 'fine' });
  assert.deepEqual(await Promise.all(answers), [{ status: 0, reason: 'fine' }, { status: cleanupStatus.size, reason: 'too \xe9big' }, { status: 0, reason: '' }]);
  assert.deepEqual(desk.kept.map(({ queueId, text, content }) => [queueId, text, content]), [
    [one.queueId, 'crlf3 S=a M X R=late@example.org ', 'one\xff\r\n'], [two.queueId, 'lf3 S=b M X ', 'two\n'], [three.queueId, 'crlf3 S=c M X ', 'three\r\n'],
  ]);
  assert.equal(connections(), 1);
  assert.equal(new Set([one, two, three].map(({ queueId }) => queueId)).size, 3);
});

test('a refusal comes back, and the trunk goes on', async (t) => {
  const desk = new Desk();
  const { path, connections } = await door(t, () => desk);
  const cleanup = new RemoteCleanup(path, limits);
  for (const [body, want] of [['bad\n', { status: cleanupStatus.contents, reason: '5.7.1 no' }], ['good\n', { status: 0, reason: '' }]] as const) {
    const session = await opened(cleanup);
    fill(session, body);
    assert.deepEqual(await session.end(), want);
  }
  assert.equal(connections(), 1);
});

test('trouble of the server end is a write error, and a warning', async (t) => {
  const desk = new Desk();
  const { path, log } = await door(t, () => desk);
  const session = await opened(new RemoteCleanup(path, limits));
  desk.trouble = new Error('create incoming/X: No space left on device');
  fill(session, 'x\n');
  assert.deepEqual(await session.end(), { status: cleanupStatus.write, reason: '' });
  assert.deepEqual(log, ['warning: cleanup: create incoming/X: No space left on device']);
});

test('a message that ends too early is a mistake of its source, and goes nowhere', async (t) => {
  const desk = new Desk();
  const { path } = await door(t, () => desk);
  const session = await opened(new RemoteCleanup(path, limits));
  session.record(recordType.sender, 'me');
  session.message();
  assert.deepEqual(await session.end(), { status: cleanupStatus.bad, reason: '' });
  assert.deepEqual(desk.kept, []);
});

for (const [name, begin] of [
  ['before its end', (session: CleanupSession) => session.message()],
  ['between its end and the write', (session: CleanupSession) => { fill(session, 'x\n'); void session.end(); }],
] as const) {
  test(`a message that is aborted ${name} never arrives, and its name is used again`, async (t) => {
    const desk = new Desk();
    const { path } = await door(t, () => desk);
    const cleanup = new RemoteCleanup(path, limits);
    const aborted = await opened(cleanup);
    begin(aborted);
    aborted.abort();
    const sent: string[] = [];
    for (let count = 0; count < 20; count++) {
      const session = await opened(cleanup);
      fill(session, 'y\n');
      assert.equal((await session.end()).status, 0);
      sent.push(session.queueId);
    }
    assert.deepEqual(desk.kept.map(({ queueId }) => queueId), sent);
    assert.ok(sent.some((id) => id.slice(5) === aborted.queueId.slice(5)));
    assert.ok(!sent.includes(aborted.queueId));
  });
}

test('a trunk that breaks answers write for all on it, and nothing is sent again', async (t) => {
  const desk = new Desk();
  desk.patient = true;
  const { path, drop, connections } = await door(t, () => desk);
  const cleanup = new RemoteCleanup(path, limits);
  const [sent, begun] = [await opened(cleanup), await opened(cleanup)];
  fill(sent, 'sent\n');
  const answer = sent.end();
  await until(() => desk.kept.length === 1);
  begun.record(recordType.sender, 'me');
  drop();
  assert.deepEqual(await answer, { status: cleanupStatus.write, reason: '' });
  fill(begun, 'begun\n');
  assert.deepEqual(await begun.end(), { status: cleanupStatus.write, reason: '' });
  desk.patient = false;
  const next = await opened(cleanup);
  fill(next, 'next\n');
  assert.equal((await next.end()).status, 0);
  assert.deepEqual(desk.kept.map(({ content }) => content), ['sent\n', 'next\n']);
  assert.equal(desk.kept[0]!.aborted, true);
  assert.equal(connections(), 2);
});

test('a client that goes away aborts what is under way and frees its names', async (t) => {
  const desk = new Desk();
  desk.patient = true;
  const { path, drop } = await door(t, () => desk);
  const session = await opened(new RemoteCleanup(path, limits));
  fill(session, 'x\n');
  void session.end();
  await until(() => desk.kept.length === 1);
  assert.ok(desk.out.size > 0);
  drop();
  await until(() => desk.out.size === 0);
  assert.equal(desk.kept[0]!.aborted, true);
});

test('a stock that runs out is filled up: every message has a name of its own', async (t) => {
  const desk = new Desk();
  const { path, connections } = await door(t, () => desk);
  const cleanup = new RemoteCleanup(path, limits);
  for (let round = 0; round < 3; round++) {
    const sessions = await Promise.all(Array.from({ length: 150 }, () => opened(cleanup)));
    assert.equal(new Set(sessions.map(({ queueId }) => queueId.slice(5))).size, 150);
    for (const session of sessions) fill(session, 'x\n');
    assert.ok((await Promise.all(sessions.map((session) => session.end()))).every(({ status }) => status === 0));
  }
  assert.equal(connections(), 1);
  assert.ok(desk.out.size <= 260, `${desk.out.size} names are out`);
});

test('one message after the other needs no more than a stock of names', async (t) => {
  const desk = new Desk();
  const { path } = await door(t, () => desk);
  const cleanup = new RemoteCleanup(path, limits);
  for (let count = 0; count < 100; count++) {
    const session = await opened(cleanup);
    fill(session, 'x\n');
    await session.end();
    assert.ok(desk.out.size <= 20, `${desk.out.size} names are out`);
  }
});

test('without names every message is opened for itself', async (t) => {
  const desk = new Desk(0);
  const { path } = await door(t, () => desk);
  const cleanup = new RemoteCleanup(path, limits);
  const sessions = [await opened(cleanup), await opened(cleanup)];
  assert.deepEqual(sessions.map(({ queueId }) => queueId), ['NONAME0', 'NONAME1']);
  sessions.forEach((session, at) => fill(session, `${at}\n`));
  for (const session of sessions) assert.equal((await session.end()).status, 0);
  assert.deepEqual(desk.kept.map(({ content }) => content), ['0\n', '1\n']);
});

test('a message that grows too large goes on alone, under the name it has', async (t) => {
  const desk = new Desk();
  const { path, connections } = await door(t, () => desk);
  const cleanup = new RemoteCleanup(path, limits);
  const [large, small] = [await opened(cleanup), await opened(cleanup)];
  const line = `${'x'.repeat(999)}\n`;
  large.record(recordType.sender, 'me');
  large.message();
  let sent = 0;
  for (; sent < 5000; sent++) if (!large.content(Buffer.from(line))) await large.drained();
  large.extracted();
  large.record(recordType.recipient, 'late@example.org');
  fill(small, 'small\n');
  assert.deepEqual((await Promise.all([large.end(), small.end()])).map(({ status }) => status), [0, 0]);
  const kept = new Map(desk.kept.map((each) => [each.queueId, each]));
  assert.equal(kept.get(large.queueId)!.content, line.repeat(sent));
  assert.equal(kept.get(large.queueId)!.text, 'crlf3 S=me M X R=late@example.org ');
  assert.equal(kept.get(small.queueId)!.content, 'small\n');
  assert.equal(connections(), 2);
});

test('a large message that is aborted on its way to a connection of its own is aborted there', async (t) => {
  const desk = new Desk();
  const { path } = await door(t, () => desk);
  const session = await opened(new RemoteCleanup(path, limits));
  session.message();
  assert.equal(session.content(Buffer.alloc(wholeLimit + 1)), false);
  session.abort();
  await until(() => desk.kept.some(({ aborted }) => aborted));
});

test('when all messages together hold too much, the next go alone', async (t) => {
  const desk = new Desk();
  const { path, connections } = await door(t, () => desk);
  const cleanup = new RemoteCleanup(path, limits);
  const piece = Buffer.alloc(wholeLimit, 'x');
  const sessions = await Promise.all(Array.from({ length: heldLimit / wholeLimit + 2 }, () => opened(cleanup)));
  for (const session of sessions) session.message();
  const full = sessions.filter((session) => !session.content(piece));
  assert.equal(full.length, 2);
  await Promise.all(full.map((session) => session.drained()));
  assert.equal(connections(), 3);
  for (const session of sessions) session.extracted();
  assert.ok((await Promise.all(sessions.map((session) => session.end()))).every(({ status }) => status === 0));
  assert.ok(desk.kept.every(({ content }) => content.length === wholeLimit));
  const after = await opened(cleanup);
  after.message();
  assert.equal(after.content(piece), true);
  after.abort();
});

test('a server that ends finishes what was begun there; the next message finds another', async (t) => {
  const [old, young] = [new Desk(), new Desk()];
  let desk = old;
  const { path, ending } = await door(t, () => desk);
  const cleanup = new RemoteCleanup(path, limits);
  const [begun, second] = [await opened(cleanup), await opened(cleanup)];
  begun.record(recordType.sender, 'me');
  desk = young;
  ending.request();
  let next: CleanupSession;
  do {
    next = await opened(cleanup);
    fill(next, 'next\n');
    assert.equal((await next.end()).status, 0);
  } while (young.kept.length === 0);
  begun.message();
  begun.content(Buffer.from('begun\n'));
  begun.extracted();
  assert.equal((await begun.end()).status, 0);
  assert.ok(old.kept.some(({ content }) => content === 'begun\n'));
  second.abort();
  await until(() => old.out.size === 0);
});

test('large and small frames survive any cut, and each keeps its bytes', () => {
  const length = fc.constantFrom(0, 1, 2, 200, 16_378, 16_379, 16_380, 50_000, 140_000);
  fc.assert(fc.property(fc.array(length, { maxLength: 8 }), fc.array(fc.constantFrom(1, 2, 3, 4, 5, 6, 1000, 65_536, 300_000), { minLength: 1, maxLength: 6 }), (lengths, cuts) => {
    const texts = lengths.map((each, number) => String.fromCharCode(0x61 + number).repeat(each));
    const stream = Buffer.from(texts.map((text) => frameString(7, text)).join(''), 'latin1');
    const cutter = new FrameCutter(200_000);
    const seen: Buffer[] = [];
    for (let at = 0, turn = 0; at < stream.length; turn++) {
      // In small steps only around the beginning of a frame.
      const size = cuts[turn % cuts.length]!;
      const next = at + Math.max(size, turn > 200 ? 10_000 : 1);
      cutter.feed(Buffer.from(stream.subarray(at, next)), (frame, start, end) => seen.push(frame.subarray(start, end)));
      at = next;
    }
    assert.deepEqual(seen.map((frame) => frame.toString('latin1')), texts.map((text) => `\x07${text}`));
  }));
});

test('a frame that is too long, or of no length, is refused as soon as its length is there, however that is cut', () => {
  for (const length of [0, 1001, 0xffffffff]) {
    const field = Buffer.alloc(4);
    field.writeUInt32BE(length);
    const stream = Buffer.concat([Buffer.from(frameString(7, 'first'), 'latin1'), field]);
    for (let cut = 1; cut <= stream.length; cut++) {
      const cutter = new FrameCutter(1000);
      const taken: string[] = [];
      const feed = (from: number, to: number): void => cutter.feed(stream.subarray(from, to), (frame, start, end) => taken.push(frame.toString('latin1', start, end)));
      if (cut < stream.length) feed(0, cut);
      assert.throws(() => feed(cut < stream.length ? cut : 0, stream.length), { message: `frame of ${length} bytes` });
      assert.deepEqual(taken, ['\x07first']);
    }
  }
});

test('frames and records survive any cut', () => {
  const piece = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 300 });
  fc.assert(fc.property(fc.array(piece, { maxLength: 8 }), fc.array(fc.nat(40), { minLength: 1 }), (texts, cuts) => {
    const stream = Buffer.from(texts.map((text) => frameString(7, text)).join(''), 'latin1');
    const cutter = new FrameCutter(1000);
    const seen: string[] = [];
    for (let at = 0, turn = 0; at < stream.length; turn++) {
      const next = at + 1 + cuts[turn % cuts.length]!;
      cutter.feed(stream.subarray(at, next), (frame, start, end) => seen.push(frame.toString('latin1', start + 1, end)));
      at = next;
    }
    assert.deepEqual(seen, texts);
    const records: string[] = [];
    const clean = texts.map((text) => text.replaceAll('\0', ''));
    eachRecord(clean.map((text) => recordString(0x52, text)).join(''), (type, text) => records.push(`${type}${text}`));
    assert.deepEqual(records, clean.map((text) => `82${text}`));
  }));
});
