import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyOf, fromDate, mailboxForm, maildirForm, messageCopy, piecesOf, preamble, wholeCopy, type CopyForm } from './content.ts';
import { DeliveredTo } from './delivered-to.ts';

const addresses = { sender: 'joe smith@example.org', originalRecipient: 'info@example.net', delivered: 'ann@example.net' };
const now = new Date(2026, 10, 5, 3, 1, 2).getTime();

async function* pieces(text: string, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < text.length; at += size) yield Buffer.from(text.slice(at, at + size), 'latin1');
}

async function copied(text: string, form: CopyForm, size = 1000): Promise<string> {
  let result = '';
  for await (const chunk of messageCopy(pieces(text, size), form, addresses, now)) result += chunk.toString('latin1');
  return result;
}

test('a mailbox gets a From_ line and the three headers, a Maildir the headers only', () => {
  const headers = 'Return-Path: <"joe smith"@example.org>\nX-Original-To: info@example.net\nDelivered-To: ann@example.net\n';
  assert.equal(preamble(mailboxForm, addresses, now), `From "joe smith"@example.org  Thu Nov  5 03:01:02 2026\n${headers}`);
  assert.equal(preamble(maildirForm, addresses, now), headers);
});

test('the null sender is MAILER-DAEMON in the From_ line and empty in Return-Path', () => {
  const text = preamble({ fromLine: true, returnPath: true }, { ...addresses, sender: '' }, now);
  assert.equal(text, `From MAILER-DAEMON  ${fromDate(now)}\nReturn-Path: <>\n`);
});

test('without an original recipient there is no X-Original-To', () => {
  assert.equal(preamble({ originalTo: true }, { ...addresses, originalRecipient: '' }, now), '');
});

const bodies: [name: string, form: CopyForm, text: string, want: string][] = [
  ['nothing is changed when nothing is asked for', {}, 'From x\n.\n', 'From x\n.\n'],
  ['From_ lines are quoted', { quoteFrom: true }, 'From me\nFrom you\nfrom her\n From him\nFromage\n>From it\n', '>From me\n>From you\nfrom her\n From him\nFromage\n>From it\n'],
  ['dots are doubled at the start of lines', { quoteDots: true }, '.\na.b\n..c\n', '..\na.b\n...c\n'],
  ['a missing last line end is added', {}, 'abc', 'abc\n'],
  ['an empty message stays empty', {}, '', ''],
  ['an empty line follows', { blankLine: true }, 'abc\n', 'abc\n\n'],
  ['and does after a missing line end', { blankLine: true, quoteFrom: true }, 'abc\nFrom', 'abc\nFrom\n\n'],
  ['line ends are changed', { lineEnd: '\r\n', quoteFrom: true, blankLine: true }, 'a\nFrom b\n', 'a\r\n>From b\r\n\r\n'],
  ['both kinds of quoting', { quoteFrom: true, quoteDots: true }, 'From a\n.b\n\nFrom c\n', '>From a\n..b\n\n>From c\n'],
];

for (const [name, form, text, want] of bodies) {
  test(`${name}, however the text is cut`, async () => {
    for (let size = 1; size <= text.length + 1; size++) assert.equal(await copied(text, form, size), want, `pieces of ${size}`);
  });
}

test('a queue file that cannot be read is a temporary failure', async () => {
  async function* broken(): AsyncGenerator<Buffer> {
    yield Buffer.from('a\n');
    throw Object.assign(new Error('boom'), { errno: -5, code: 'EIO' });
  }
  const copy = messageCopy(broken(), {}, addresses, now);
  await assert.rejects(async () => { for await (const chunk of copy) assert.ok(chunk); }, (error: { failure?: { dsn: string; text: string } }) => {
    assert.deepEqual([error.failure?.dsn, error.failure?.text], ['4.3.0', 'error reading message: Input/output error']);
    return true;
  });
});

const loops: [name: string, header: string, address: string, want: boolean][] = [
  ['the address itself', 'Subject: x\nDelivered-To: ann@example.net\n\n', 'ann@example.net', true],
  ['in another case', 'DELIVERED-TO:   Ann@Example.NET\n\n', 'ann@example.net', true],
  ['quoted', 'Delivered-To: "joe smith"@example.net\n\n', 'joe smith@example.net', true],
  ['another address', 'Delivered-To: bob@example.net\n\n', 'ann@example.net', false],
  ['in the body', 'Subject: x\n\nDelivered-To: ann@example.net\n', 'ann@example.net', false],
  ['behind a continued header', 'Received: a\n b\n\tc\nDelivered-To: ann@example.net\n\n', 'ann@example.net', true],
  ['in a continuation line', 'Subject: x\n Delivered-To: ann@example.net\n\n', 'ann@example.net', false],
  ['at the very end', 'Delivered-To: ann@example.net', 'ann@example.net', true],
];

for (const [name, header, address, want] of loops) {
  test(`Delivered-To: ${name}`, async () => {
    for (const size of [1, 7, 1000]) assert.equal((await DeliveredTo.of(pieces(header, size))).has(address), want);
  });
}

for (const [name, form, text, want] of bodies) {
  test(`a message in memory: ${name}`, () => {
    assert.equal(Buffer.concat(wholeCopy(Buffer.from(text, 'latin1'), form, addresses, now)).toString('latin1'), want);
  });
}

test('a message in memory has its headers in front, and many pieces become one', async () => {
  const text = 'From x\n\n'.repeat(20);
  const whole = wholeCopy(Buffer.from(text), mailboxForm, addresses, now);
  assert.equal(whole.length, 1);
  assert.equal(whole[0]!.toString('latin1'), await copied(text, mailboxForm));
});

test('a copy is taken from memory where the message is there, else as it is read', async () => {
  const content = (): AsyncIterable<Buffer> => pieces('read\n', 3);
  const sources = [{ content, contentNow: () => Buffer.from('at hand\n') }, { content, contentNow: () => undefined }];
  const texts = sources.map(async (source) => {
    let found = '';
    for await (const piece of piecesOf(copyOf(source, {}, addresses, now))) found += piece.toString('latin1');
    return found;
  });
  assert.deepEqual(await Promise.all(texts), ['at hand\n', 'read\n']);
  const broken = { content, contentNow: () => { throw Object.assign(new Error('boom'), { errno: -5 }); } };
  assert.throws(() => copyOf(broken, {}, addresses, now), /error reading message: Input\/output error/);
});
