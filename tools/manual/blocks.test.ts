import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blocksOf, proseLines, type Block } from './blocks.ts';
import { filled, inline, roff } from './roff.ts';

const read = (text: string): Block[] => blocksOf('x.md', proseLines('x.md', text));
const paragraph = (text: string): Block => ({ is: 'paragraph', text });

for (const [name, text, want] of [
  ['paragraphs', 'one\ntwo\n\nthree', [paragraph('one two'), paragraph('three')]],
  ['headings', '## A b\ntext\n### C', [{ is: 'heading', depth: 2, text: 'A b' }, paragraph('text'), { is: 'heading', depth: 3, text: 'C' }]],
  ['an example keeps its blank lines, but not those behind it', '    a\n\n      b\n\ntext', [{ is: 'example', lines: ['a', '', '  b'] }, paragraph('text')]],
  ['points', '- a\n  b\n- c\n\n  d\n\ne', [{ is: 'list', points: [[paragraph('a b')], [paragraph('c'), paragraph('d')]] }, paragraph('e')]],
  ['a list needs no blank line before it', 'text\n- a', [paragraph('text'), { is: 'list', points: [[paragraph('a')]] }]],
  ['a term', '`-x`\n: does\n  this\n\n  and that', [{ is: 'term', terms: ['`-x`'], blocks: [paragraph('does this'), paragraph('and that')] }]],
  ['two terms for one meaning', '`-x`\n`-y`\n: does', [{ is: 'term', terms: ['`-x`', '`-y`'], blocks: [paragraph('does')] }]],
  ['an example in a point', '- a\n\n      b', [{ is: 'list', points: [[paragraph('a'), { is: 'example', lines: ['b'] }]] }]],
] as const) test(`read: ${name}`, () => assert.deepEqual(read(text), want));

for (const [name, text, want] of [
  ['indented by two below a paragraph', 'text\n\n  more', /x\.md:3: indented/],
  ['a meaning without a term', 'text\n\n: meaning', /x\.md:3: ": meaning" begins nothing/],
  ['a heading too deep', '#### x', /x\.md:1: .*begins nothing/],
  ['a tab', 'a\tb', /x\.md:1: a character/],
  ['white space at the end', 'a ', /x\.md:1: white space/],
] as const) test(`refused: ${name}`, () => assert.throws(() => read(text), want));

for (const [name, text, want] of [
  ['literal', 'use `-o a\\b`', 'use \\fB\\-o\\ a\\eb\\fP'],
  ['a word that stands for something', '*type*:*name*', '\\fItype\\fP:\\fIname\\fP'],
  ['other pages', 'see post-x(1), smtpd(8)', 'see \\fBpost\\-x\\fP(1), \\fBsmtpd\\fP(8)'],
  ['a hyphen and an option', 'well-known -x', 'well-known \\-x'],
  ['a star is a star', '2 * 3 * 4', '2 * 3 * 4'],
] as const) test(`inline: ${name}`, () => assert.equal(inline(text), want));

test('a line of text is never a request', () => assert.equal(filled(".x and 'y"), "\\&.x and 'y\n"));

test('no paragraph mark right behind a heading', () => assert.equal(roff(read('## A\ntext\n\nmore')), '.SH A\ntext\n.PP\nmore\n'));
