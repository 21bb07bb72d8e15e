import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DataReader } from './content.ts';
import { ContentGauge, Opening } from './gauge.ts';
import type { NewlineWatch } from './gauge.ts';
import { Input } from './input.ts';

interface Taken { content: string; rest: string; finished: boolean; trouble: string | undefined; bare: boolean }

function take(pieces: readonly string[], policed = true, watch: NewlineWatch = 'none', limit = 0, opening = false): Taken {
  const gauge = new ContentGauge(limit, watch, opening ? new Opening(2048) : undefined);
  const reader = new DataReader(gauge, policed, 2048);
  const input = new Input(2048, policed);
  let content = '';
  for (const piece of pieces) {
    input.push(Buffer.from(piece, 'latin1'));
    for (let slice = reader.next(input); slice !== undefined; slice = reader.next(input)) content += slice.toString('latin1');
  }
  let rest = '';
  for (let head = input.peek(); head !== undefined; head = input.peek()) {
    rest += head.toString('latin1');
    input.use(head.length);
  }
  return { content, rest, finished: reader.finished, trouble: gauge.trouble, bare: gauge.bareNewline };
}

for (const [name, input, content, rest] of [
  ['nothing', '.\r\n', '', ''],
  ['a line', 'a\r\n.\r\n', 'a\r\n', ''],
  ['what follows is left', 'a\r\n.\r\nQUIT\r\n', 'a\r\n', 'QUIT\r\n'],
  ['stuffed dots', '..\r\n...\r\n.a\r\n.\r\n', '.\r\n..\r\na\r\n', ''],
  ['LF . LF', 'a\n.\nb\r\n.\r\n', 'a\nb\r\n', ''],
  ['CR LF . LF', 'a\r\n.\nb\r\n.\r\n', 'a\r\nb\r\n', ''],
  ['LF . CR LF', 'a\n.\r\nb\r\n.\r\n', 'a\nb\r\n', ''],
  ['CR . CR LF', 'a\r.\r\nb\r\n.\r\n', 'a\r.\r\nb\r\n', ''],
  ['CR LF . CR x', 'a\r\n.\rx\r\n.\r\n', 'a\r\n\rx\r\n', ''],
  ['CR LF . CR CR LF', 'a\r\n.\r\r\nb\r\n.\r\n', 'a\r\n\r\r\nb\r\n', ''],
  ['CR CR LF . CR LF', 'a\r\r\n.\r\n', 'a\r\r\n', ''],
] as const) {
  test(`content whole and byte by byte: ${name}`, () => {
    for (const pieces of [[input], [...input]]) {
      const taken = take(pieces);
      assert.deepEqual([taken.content, taken.rest, taken.finished], [content, rest, true]);
    }
  });
}

for (const [name, input, content] of [
  ['LF . LF ends', 'a\n.\n', 'a\n'],
  ['CR CR LF . CR CR LF ends', 'a\r\r\n.\r\r\n', 'a\r\r\n'],
  ['a dot and CRs that do not end', 'a\r\n.\r\rx\n.\n', 'a\r\n\r\rx\n'],
] as const) {
  test(`content without policing: ${name}`, () => {
    for (const pieces of [[input], [...input]]) {
      const taken = take(pieces, false);
      assert.deepEqual([taken.content, taken.finished], [content, true]);
    }
  });
}

for (const [name, input, want] of [
  ['From ', 'From joe\r\n.\r\n', 'X-Mailbox-Line: From joe\r\n'],
  ['>From ', '>>From joe\r\n.\r\n', 'X-Mailbox-Line: >>From joe\r\n'],
  ['From: ', 'From: joe\r\n.\r\n', 'From: joe\r\n'],
  ['Fr', 'Fr\r\n.\r\n', 'Fr\r\n'],
  ['dotted', '.From joe\r\n.\r\n', 'From joe\r\n'],
  ['in the second line', 'a\r\nFrom joe\r\n.\r\n', 'a\r\nFrom joe\r\n'],
  ['a blank', ' a\r\n.\r\n', '\r\n a\r\n'],
  ['a tab', '\ta\r\n.\r\n', '\r\n\ta\r\n'],
  ['a blank behind a dot', '. a\r\n.\r\n', ' a\r\n'],
  ['many quotes', `${'>'.repeat(3000)}From x\r\n.\r\n`, `${'>'.repeat(3000)}From x\r\n`],
] as const) {
  test(`how content begins: ${name}`, () => {
    for (const pieces of [[input], [...input]]) assert.equal(take(pieces, true, 'none', 0, true).content, want);
  });
}

test('bare newlines are seen in whatever pieces', () => {
  for (const [input, want] of [['a\r\nb\r\n.\r\n', false], ['a\r\nb\n\r\n.\r\n', true], ['.\n.\r\n', true], ['\n.\r\n.\r\n', true]] as const) {
    for (const pieces of [[input], [...input]]) {
      assert.equal(take(pieces, true, 'note').bare, want, JSON.stringify(pieces));
      assert.equal(take(pieces, true, 'reject').trouble, want ? 'bare-newline' : undefined);
    }
  }
});

test('a size limit is for what is passed on', () => {
  assert.equal(take(['..12\r\n.\r\n'], true, 'none', 5).trouble, undefined);
  assert.equal(take(['..123\r\n.\r\n'], true, 'none', 5).trouble, 'size');
});

/** The same rules, line by line: slow and plain. */
function byLines(text: string): { content: string; rest: string } {
  let content = '';
  let afterBare = false;
  for (;;) {
    const end = text.indexOf('\n');
    if (end < 0) return { content: content + text.replace(/^\./, ''), rest: '' };
    const line = text.slice(0, end + 1);
    text = text.slice(end + 1);
    const bare = !line.endsWith('\r\n');
    if (line === '.\r\n' && !afterBare) return { content, rest: text };
    const isDot = line === '.\r\n' || line === '.\n';
    if (!isDot) content += line.startsWith('.') ? line.slice(1) : line;
    afterBare = bare;
  }
}

test('any pieces of any content: the same as line by line', () => {
  const text = fc.array(fc.constantFrom('\r\n', '\n', '\r', '.', 'a', '\0', '..', '\r\n.\r\n'), { maxLength: 30 })
    .map((parts) => `${parts.join('')}x\r\n.\r\n`);
  fc.assert(fc.property(text, fc.array(fc.nat(60), { maxLength: 8 }), (input, cuts) => {
    const places = [0, ...cuts.map((cut) => Math.min(cut, input.length)).sort((a, b) => a - b), input.length];
    const pieces = places.slice(1).map((end, at) => input.slice(places[at], end));
    const { content, rest } = take(pieces);
    assert.deepEqual({ content, rest }, byLines(input));
  }), { numRuns: 2000 });
});
