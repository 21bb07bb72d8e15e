// What postconf(5) says of each parameter: prose from src/parameters/*.md, and the facts of its card.
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Card } from '../../src/parameters/card.ts';
import { cardOf, parameterNames } from '../../src/parameters/parameters.ts';
import { blocksOf, proseLines, ProseError, type Block, type Line } from './blocks.ts';
import { filled, inline, namedSection, roff } from './roff.ts';

const folder = fileURLToPath(new URL('../../src/parameters', import.meta.url));

/** Prose by heading, from all topic files; an error when a heading stands twice. */
export function readProse(): Map<string, readonly Block[]> {
  const found = new Map<string, readonly Block[]>();
  for (const file of globSync('*.md', { cwd: folder }).filter((name) => !/\.[1-9]\.md$/.test(name)).sort()) {
    for (const [name, blocks] of topic(file)) {
      if (found.has(name)) throw new Error(`src/parameters/${file}: a second text for ${name}`);
      found.set(name, blocks);
    }
  }
  return found;
}

function topic(file: string): [string, Block[]][] {
  const label = `src/parameters/${file}`;
  const lines = proseLines(label, readFileSync(path.join(folder, file), 'latin1'));
  if (!lines[0]!.text.startsWith('# ')) throw new ProseError(label, 1, 'the first line is not a title');
  const starts = lines.flatMap(({ text }, index) => (text.startsWith('## ') ? [index] : []));
  return starts.map((start, index) => entry(label, lines[start]!, lines.slice(start + 1, starts[index + 1])));
}

function entry(label: string, { text, number }: Line, lines: readonly Line[]): [string, Block[]] {
  const blocks = blocksOf(label, lines);
  if (blocks[0]?.is !== 'paragraph') throw new ProseError(label, number, 'the text of a parameter begins with a paragraph');
  return [text.slice(3), blocks];
}

/** `smtp_x` for an `lmtp_x` that is the same for another client; undefined for all other names. */
export function twinOf(name: string): string | undefined {
  const twin = name.startsWith('lmtp_') ? `smtp_${name.slice(5)}` : undefined;
  return twin !== undefined && cardOf(twin) ? twin : undefined;
}

let prose: ReadonlyMap<string, readonly Block[]> | undefined;

function allProse(): ReadonlyMap<string, readonly Block[]> {
  return (prose ??= readProse());
}

function proseOf(name: string): readonly Block[] {
  const twin = twinOf(name);
  if (!allProse().has(name) && twin !== undefined) return [{ is: 'paragraph', text: `The same as \`${twin}\`, for the lmtp(8) client.` }];
  return allProse().get(name) ?? [];
}

/** The first sentence. */
export function shortMeaning(name: string): string {
  const [first] = proseOf(name);
  return first?.is === 'paragraph' ? /^.*?[.:](?=\s|$)/.exec(first.text)?.[0].replace(/:$/, '.') ?? first.text : '';
}

const kindWords: { readonly [K in Card['kind']]: string } = {
  int: 'a number', nint: 'a number', long: 'a number', time: 'a time', ntime: 'a time', bool: 'yes or no', nbool: 'yes or no', str: 'text',
  raw: 'text whose `$name` is expanded where it is used',
};

function limits({ kind, min, max, minLength, maxLength }: Card): string[] {
  const unit = kind === 'time' || kind === 'ntime' ? 's' : '';
  const words: string[] = [];
  if (min !== undefined) words.push(`at least ${min}${unit}`);
  if (max !== undefined) words.push(`at most ${max}${unit}`);
  if (minLength) words.push('not empty');
  if (maxLength !== undefined) words.push(`at most ${maxLength} bytes`);
  return words;
}

function facts(card: Card): string {
  const sentences = [`Value: ${[kindWords[card.kind], ...limits(card)].join(', ')}.`];
  if (card.since !== undefined) sentences.push(`Since Postfix ${card.since}.`);
  if (card.olderNames?.length) sentences.push(`Earlier names that still count: ${card.olderNames.map((name) => `\`${name}\``).join(', ')}.`);
  if (card.deprecated !== undefined) sentences.push(card.deprecated === '' ? 'Deprecated: leave it unset.' : `Deprecated: use \`${card.deprecated}\`.`);
  if (card.ours) sentences.push('Postfix does not have this parameter.');
  if (card.notYetUsed) sentences.push('Accepted, and not yet used in this release.');
  return sentences.join(' ');
}

function defaultText(card: Card): string {
  if (card.computed) return 'default: of this machine';
  return card.default === '' ? 'default: empty' : `default: ${card.default}`;
}

function parameterSection(name: string): string {
  const card = cardOf(name)!;
  return `${namedSection(`${name} (${defaultText(card)})`)}${roff(proseOf(name)).replace(/^\.PP\n/, '')}.PP\n${filled(inline(facts(card)))}`;
}

/** Names per transport have no card of their own, and stand behind the others. */
function familySection([name, blocks]: [string, readonly Block[]]): string {
  return `${namedSection(name)}${roff(blocks).replace(/^\.PP\n/, '')}`;
}

/** All parameters in the order of their names. */
export function parameterSections(): string {
  const families = [...allProse()].filter(([name]) => !cardOf(name));
  return parameterNames().map(parameterSection).join('') + families.map(familySection).join('');
}
