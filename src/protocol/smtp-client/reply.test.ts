import assert from 'node:assert/strict';
import { test } from 'node:test';
import { discardList, parseFeatures } from './features.ts';
import { ReplyReader } from './reply.ts';

function read(text: string, step: number, limit = 100): { replies: string[]; warnings: string[]; overrun: boolean } {
  const warnings: string[] = [];
  const reader = new ReplyReader({ limit, utf8: true, warn: (line) => warnings.push(line), garbage: (line) => warnings.push(`garbage ${line}`) });
  const replies: string[] = [];
  for (let at = 0; at < text.length; at += step) {
    reader.receive(Buffer.from(text.slice(at, at + step), 'latin1'));
    for (let reply = reader.take(); reply; reply = reader.take()) replies.push(`${reply.code} ${reply.status} ${reply.text}`);
  }
  return { replies, warnings, overrun: reader.overrun };
}

for (const [name, text, want] of [
  ['one line', '250 2.1.0 ok\r\n', ['250 2.1.0 250 2.1.0 ok']],
  ['no text', '250\r\n', ['250 2.0.0 250']],
  ['bare LF, spare CR', '250 a\n251 b\r\r\n', ['250 2.0.0 250 a', '251 2.0.0 251 b']],
  ['several lines: the status is that of the last', '550-5.1.1 a\r\n550 5.7.1 b\r\n', ['550 5.7.1 550-5.1.1 a\n550 5.7.1 b']],
  ['a status of another class counts for nothing', '550 4.1.1 a\r\n', ['550 5.0.0 550 4.1.1 a']],
  ['3xx', '354 2.0.0 go\r\n', ['354 5.5.0 354 2.0.0 go']],
  ['control characters', '250 a\tb\x1bc\xc3\xa9\xff\r\n', ['250 2.0.0 250 a?b?c\xc3\xa9?']],
  ['lines that are no reply become part of the next', 'hi\r\n250 ok\r\n', ['250 2.0.0 hi\n250 ok']],
  ['two at once, one begun', '220 a\r\n250-b\r\n250 c\r\n354', ['220 2.0.0 220 a', '250 2.0.0 250-b\n250 c']],
] as const) test(`reply: ${name}`, () => {
  for (const step of [1, 3, 1000]) assert.deepEqual(read(text, step).replies, want);
});

test('replies that come again are what they were the first time', () => {
  const same = '250 2.1.5 Ok\r\n';
  const first = ['250 2.1.5 250 2.1.5 Ok'];
  for (const [text, want] of [
    [same.repeat(3), [...first, ...first, ...first]],
    [`${same}${same}250 2.1.5 Ok.\r\n${same}`, [...first, ...first, '250 2.1.5 250 2.1.5 Ok.', ...first]],
    [`${same}250-2.1.5 a\r\n${same}${same}`, [...first, '250 2.1.5 250-2.1.5 a\n250 2.1.5 Ok', ...first]],
    [`${same}hi\r\n${same}${same}`, [...first, '250 2.1.5 hi\n250 2.1.5 Ok', ...first]],
    [`${same}250 2.1.5 Ok\n${same}`, [...first, ...first, ...first]],
    [`250 ${'x'.repeat(96)}\r\n`.repeat(2), Array<string>(2).fill(`250 2.0.0 250 ${'x'.repeat(96)}`)],
    [`250 ${'x'.repeat(120)}\r\n`.repeat(2), Array<string>(2).fill(`250 2.0.0 250 ${'x'.repeat(96)}`)],
  ] as const) for (const step of [1, 5, 14, 1000]) assert.deepEqual(read(text, step).replies, want);
});

test('every reply is heard and filtered, also when it came before', () => {
  const heard: string[] = [];
  const refuse = { limit: 100, utf8: true, warn: () => {}, garbage: () => {}, filter: (line: string) => (heard.length > 1 ? '550 no' : line), heard: (line: string) => heard.push(line) };
  const reader = new ReplyReader(refuse);
  reader.receive(Buffer.from('250 ok\r\n250 ok\r\n250 ok\r\n'));
  assert.deepEqual([reader.take(), reader.take(), reader.take()].map((reply) => reply?.code), [250, 250, 550]);
  assert.deepEqual(heard, ['250 ok', '250 ok', '550 no']);
});

test('what has been taken is not held any more', () => {
  const reader = new ReplyReader({ limit: 100, utf8: true, warn: () => {}, garbage: () => {} });
  reader.receive(Buffer.from('250 ok\r\n250 ok\r\n250'));
  const held = (): [number, boolean] => [reader.held, reader.partial];
  assert.deepEqual(held(), [19, true]);
  reader.take();
  assert.deepEqual(held(), [11, true]);
  assert.equal(reader.take()?.code, 250);
  assert.deepEqual([reader.take(), ...held()], [undefined, 3, true]);
  reader.receive(Buffer.from(' x\r\n'));
  assert.equal(reader.take()?.text, '250 x');
  assert.deepEqual(held(), [0, false]);
  reader.receive(Buffer.from('354'));
  reader.forget();
  assert.deepEqual([reader.take(), ...held()], [undefined, 0, false]);
});

test('a line longer than the limit is cut, an endless one ends the conversation', () => {
  const long = read(`250 ${'x'.repeat(120)}\r\n250 ok\r\n`, 10);
  assert.deepEqual(long.replies, [`250 2.0.0 250 ${'x'.repeat(96)}`, '250 2.0.0 250 ok']);
  assert.match(long.warnings[0]!, /^response longer than 100: 250 x{26}\.\.\.$/);
  assert.equal(read('x'.repeat(250), 10).overrun, true);
  assert.equal(read('x'.repeat(150), 10).overrun, false);
});

test('the text of a reply of many lines stops growing', () => {
  const { replies, warnings } = read(`${'250-0123456789\r\n'.repeat(1000)}250 end\r\n`, 1000);
  assert.ok(replies[0]!.length < 150, replies[0]);
  assert.equal(warnings.filter((line) => line.startsWith('multi-line response longer than 100')).length, 1);
});

test('features of a server', () => {
  const warnings: string[] = [];
  const features = parseFeatures('250-mx.example Hello\n250-size 1000\n250-PIPELINING\n250-XFORWARD NAME addr OTHER\n250-8BITMIME\n250 DSN', new Set(['8BITMIME']), (text) => warnings.push(text));
  assert.deepEqual(
    { ...features, xforward: [...features.xforward] },
    { extended: true, pipelining: true, eightBitMime: false, smtputf8: false, dsn: true, startTls: false, requireTls: false, size: true, sizeLimit: 1000, xforward: ['NAME', 'ADDR'], host: 'mx.example' },
  );
  assert.equal(parseFeatures('250-a\n250 SIZE=50', new Set(), () => {}).sizeLimit, 50);
  assert.equal(parseFeatures('250-a\n250 SIZE abc', new Set(), (text) => warnings.push(text)).sizeLimit, 0);
  assert.deepEqual(warnings, ['bad EHLO SIZE limit "abc"']);
});

for (const [list, want, log] of [
  ['', '', ''], ['dsn, starttls', 'STARTTLS DSN', 'STARTTLS DSN'], ['DSN silent-discard', 'DSN', ''], ['nosuch', '', ''],
] as const) test(`keywords to ignore: "${list}"`, () => {
  const found = discardList(list);
  assert.deepEqual([[...found.keywords].join(' '), found.log], [want, log]);
});
