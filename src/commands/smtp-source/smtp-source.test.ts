import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filler, Message, preformatted } from './message.ts';
import { parseSource } from './options.ts';
import { Replies } from './replies.ts';

test('replies, however they are cut', () => {
  const text = '220 one\r\n250-two\r\n250 three\r\n250\r\n12 x\r\n9999 y\r\n-\r\n421 b\x01ye\n250   spaces \r\n';
  const want = ['220 one', '250 two\nthree', '250 ', '0 x', '0 y', '421 \nb?ye', '250 spaces '];
  for (const listening of [undefined, () => {}]) {
    for (const step of [1, 2, 9, 1000]) {
      const replies = new Replies(listening);
      const found: string[] = [];
      for (let at = 0; at < text.length; at += step) {
        const bytes = Buffer.from(text.slice(at, at + step), 'latin1');
        replies.receive(bytes, bytes.length);
        while (replies.take()) found.push(`${replies.code} ${replies.text}`);
      }
      assert.deepEqual(found, want, `by ${step}`);
    }
  }
});

test('a short reply after a long one', () => {
  const replies = new Replies();
  const hear = (text: string): string => {
    replies.receive(Buffer.from(text, 'latin1'), text.length);
    return replies.take() ? `${replies.code} ${replies.text}` : 'none';
  };
  assert.deepEqual(['250-a\r\n250 b\r\n', '250 c\r\n', '354 d\r\n', '25', '0 e\r\n', '221 f\r\n'].map(hear), ['250 a\nb', '250 c', '354 d', 'none', '250 e', '221 f']);
});

test('a server that never ends its line', () => {
  const replies = new Replies();
  for (let count = 0; count < 100; count++) replies.receive(Buffer.alloc(1000, 'x'), 1000);
  assert.equal(replies.take(), false);
  replies.receive(Buffer.from('\r\n'), 2);
  assert.equal(replies.take(), true);
  assert.ok(replies.text.length <= 20_480);
});

test('filler', () => {
  assert.equal(filler(10).toString(), 'X'.repeat(10));
  assert.equal(filler(80).toString(), 'X'.repeat(80));
  assert.equal(filler(165).toString(), `1${'X'.repeat(77)}\r\n2${'X'.repeat(77)}\r\nXXXXX`);
});

test('a file', () => {
  for (const [text, want] of [['', ''], ['a\n', 'a\r\n'], ['a\n.b', 'a\r\n..b\r\n'], ['\n.\n', '\r\n..\r\n'], ['\xe4\r\n', '\xe4\r\r\n']] as const) assert.equal(preformatted(text).toString('latin1'), want);
});

test('a message in one piece', () => {
  const message = new Message(Buffer.from('text'), { sender: 'a@b', date: 'today', hostname: 'h', subject: 'S', recipientRoom: 20 });
  for (const recipient of ['long.recipient@c', 'd@e', 'another.recipient@f'])
    assert.equal(message.for(recipient, '1.2.3').toString('latin1'), `From: <a@b>\r\nTo: <${recipient}>\r\nDate: today\r\nMessage-Id: <1.2.3@h>\r\nSubject: S\r\n\r\ntext\r\n.\r\n`);
  assert.equal(new Message(Buffer.from('text'), undefined).for('x', 'y').toString('latin1'), 'text\r\n.\r\n');
});

test('options', () => {
  const parse = (...words: readonly string[]): ReturnType<typeof parseSource> => parseSource([...words, 'host'], () => {}, (text) => { throw new Error(text); });
  assert.deepEqual([parse('-r', '3').recipients, parse('-r', '3').numberRecipients, parse('-N').numberRecipients, parse('-o').old, parse('-6').family], [3, true, true, true, 6]);
  for (const [words, want] of [
    [['-m', 'x'], 'bad message count: x'], [['-R', '1', '-w', '1'], 'do not use -w and -R options at the same time'], [['-l', '5', '-F', 'f'], '-l option cannot be used with -F'],
    [['-F', 'f', '-l', '5'], '-l option cannot be used with -F'], [['-s', '99999999999'], 'bad session count: 99999999999'], [['-T', '0'], 'bad TCP window size: 0'],
  ] as const) assert.throws(() => parse(...words), { message: want });
});
