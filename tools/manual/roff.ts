// Blocks as man(7) source. Pure. Lines are filled here and not only by the formatter, so that sources can be read and compared.
import type { Block } from './blocks.ts';

const width = 76;

/** A literal: every character as it is typed. */
function literal(text: string): string {
  return text.replace(/\\/g, '\\e').replace(/-/g, '\\-').replace(/`/g, '\\(ga').replace(/\^/g, '\\(ha').replace(/~/g, '\\(ti').replace(/'/g, '\\(aq');
}

/** Running text: hyphens are hyphens. */
function plain(text: string): string {
  return text.replace(/\\/g, '\\e').replace(/\^/g, '\\(ha').replace(/~/g, '\\(ti').replace(/`/g, '\\(ga').replace(/(^|\s)--?(?=\w)/g, (dashes) => dashes.replaceAll('-', '\\-'));
}

const inlineForms = /`([^`]+)`|\*([^*\s](?:[^*]*[^*\s])?)\*|\b([a-z](?:[a-z0-9_.-]*[a-z0-9])?)\(([1-9])\)/gi;

/** One line of roff without line breaks. A space inside of a literal must not be broken at, nor filled. */
export function inline(text: string): string {
  let [result, last] = ['', 0];
  for (const match of text.matchAll(inlineForms)) {
    const [whole, code, word, page, section] = match;
    result += plain(text.slice(last, match.index));
    if (code !== undefined) result += `\\fB${literal(code).replaceAll(' ', '\\ ')}\\fP`;
    else if (word !== undefined) result += `\\fI${plain(word)}\\fP`;
    else result += `\\fB${literal(page!)}\\fP(${section})`;
    last = match.index + whole.length;
  }
  return result + plain(text.slice(last));
}

/** A line of text that begins like a request would be taken for one. */
const guarded = (line: string): string => (/^[.']/.test(line) ? `\\&${line}` : line);

/** Text filled to lines; breaks at spaces that are not protected. */
export function filled(text: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/(?<!\\) +/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => `${guarded(one)}\n`).join('');
}

function example(lines: readonly string[]): string {
  return `.RS 4\n.nf\n${lines.map((line) => `${guarded(literal(line))}\n`.replace(/^\n$/, '.sp\n')).join('')}.fi\n.RE\n`;
}

/** The first paragraph follows its mark; what else there is stands beside it. */
function hanging(mark: string, blocks: readonly Block[], indent: string): string {
  const [first, ...rest] = blocks;
  const begins = first?.is === 'paragraph' ? filled(inline(first.text)) : '';
  const others = first?.is === 'paragraph' ? rest : blocks;
  if (others.length === 0) return mark + begins;
  // What begins with a mark of its own makes room in front of it.
  const apart = others[0]!.is === 'paragraph' || others[0]!.is === 'example' ? '.PP\n' : '';
  return `${mark}${begins}${apart}.RS ${indent}\n${rendered(others)}.RE\n`;
}

/** Terms that share a meaning stand above each other. */
function term(terms: readonly string[], blocks: readonly Block[]): string {
  const marks = terms.map((text, index) => `${index === 0 ? '.TP\n' : '.TQ\n'}${guarded(inline(text))}\n`);
  return hanging(marks.join(''), blocks, '7');
}

const forms: { [K in Block['is']]: (block: Extract<Block, { is: K }>) => string } = {
  paragraph: ({ text }) => `.PP\n${filled(inline(text))}`,
  example: ({ lines }) => `.PP\n${example(lines)}`,
  list: ({ points }) => points.map((blocks) => hanging('.IP \\(bu 2\n', blocks, '2')).join(''),
  term: ({ terms, blocks }) => term(terms, blocks),
  heading: ({ depth, text }) => `${depth === 2 ? '.SH' : '.SS'} ${quoted(depth === 2 ? text.toUpperCase() : text)}\n`,
};

function quoted(text: string): string {
  return /[\s"]/.test(text) ? `"${literal(text).replaceAll('"', '\\(dq')}"` : literal(text);
}

function rendered(blocks: readonly Block[]): string {
  return blocks.map((block) => (forms[block.is] as (one: Block) => string)(block)).join('');
}

/**
 * Blocks of a page as man(7). A paragraph right behind a heading, or at the start of an indented part, needs no `.PP`, and mandoc(1)
 * says so.
 */
export function roff(blocks: readonly Block[]): string {
  return rendered(blocks).replace(/^(\.(?:SH|SS|RS)\b.*\n)\.PP\n/gm, '$1');
}

/** The heading of a section. */
export function section(text: string): string {
  return forms.heading({ is: 'heading', depth: 2, text });
}

/** A heading that keeps its case: names of parameters. */
export function namedSection(text: string): string {
  return `.SH ${quoted(text)}\n`;
}
