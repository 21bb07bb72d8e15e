// The pages of the manual: where their prose stands, and what is put around it. Pages of daemons end with what they read from main.cf.
import { globSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cardOf } from '../../src/parameters/parameters.ts';
import { mailReleaseDate, releaseVersion } from '../../src/parameters/version.ts';
import { blocksOf, proseLines, ProseError, type Block } from './blocks.ts';
import { parameterSections, shortMeaning } from './parameter-sections.ts';
import { filled, inline, roff, section } from './roff.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Page {
  /** The first is the file's; the others are files that point there. */
  readonly names: readonly string[];
  readonly section: string;
  readonly summary: string;
  readonly blocks: readonly Block[];
  /** Path of the prose, from the root of the repository. */
  readonly source: string;
}

export interface Rendered {
  /** From the root of the repository. */
  readonly file: string;
  readonly text: string;
  /** Another name of a page: the file's name that a symbolic link has. */
  readonly link?: string;
}

const title = /^# ([a-z0-9_-]+(?:, [a-z0-9_-]+)*)\(([1-9])\): (\S.*)$/;

export function readPage(source: string): Page {
  const lines = proseLines(source, readFileSync(path.join(root, source), 'latin1'));
  const match = title.exec(lines[0]!.text);
  if (!match) throw new ProseError(source, 1, 'the first line is not "# name(section): summary"');
  const [, names, number, summary] = match;
  if (!path.basename(source).endsWith(`.${number}.md`)) throw new ProseError(source, 1, `section ${number} is not the one in the file's name`);
  return { names: names!.split(', '), section: number!, summary: summary!, blocks: blocksOf(source, lines.slice(1)), source };
}

/** All pages of the tree, by name. */
export function pages(): Page[] {
  return globSync('src/**/*.[1-9].md', { cwd: root }).sort().map(readPage);
}

const date = mailReleaseDate.replace(/^(\d{4})(\d\d)(\d\d)$/, '$1-$2-$3');

function head(name: string, { section: number, names, summary }: Page): string {
  return `.TH ${name.toUpperCase()} ${number} ${date} "Postern ${releaseVersion}" "Postern manual"\n${section('Name')}${names.join(', ')} \\- ${inline(summary)}\n`;
}

/** Names with a card that stand as literals in the folder of a daemon: what it reads. */
export function parametersReadIn(folder: string): string[] {
  const found = new Set<string>();
  for (const file of globSync(`${folder}/**/*.ts`, { cwd: root })) {
    if (file.endsWith('.test.ts')) continue;
    for (const [, name] of readFileSync(path.join(root, file), 'latin1').matchAll(/'([a-z0-9_]+)'/g)) if (cardOf(name!)) found.add(name!);
  }
  return [...found].sort();
}

function configurationSection(page: Page): string {
  const isDaemon = /^src\/daemons\/[^/]+\/[^/]+\.8\.md$/.test(page.source);
  const names = isDaemon ? parametersReadIn(path.dirname(page.source)) : [];
  if (names.length === 0) return '';
  return `${section('Configuration parameters')}${filled(inline('What this program reads from main.cf; postconf(5) says more about each.'))}`
    + names.map((name) => `.TP\n\\fB${name}\\fP\n${filled(inline(shortMeaning(name)))}`).join('');
}

/** "See also" stays last, whatever is put in. */
function withoutSeeAlso(blocks: readonly Block[]): [readonly Block[], readonly Block[]] {
  const at = blocks.findIndex((block) => block.is === 'heading' && block.depth === 2 && block.text.toLowerCase() === 'see also');
  return at < 0 ? [blocks, []] : [blocks.slice(0, at), blocks.slice(at)];
}

function renderPage(page: Page): Rendered[] {
  const [name] = page.names;
  const [body, seeAlso] = withoutSeeAlso(page.blocks);
  const added = name === 'postconf' && page.section === '5' ? parameterSections() : configurationSection(page);
  const own = { file: manFile(name!, page.section), text: head(name!, page) + roff(body) + added + roff(seeAlso) };
  return [own, ...page.names.slice(1).map((other) => ({ ...own, file: manFile(other, page.section), link: path.basename(own.file) }))];
}

const manFile = (name: string, number: string): string => `man/man${number}/${name}.${number}`;

/** Every file of man/. */
export function renderManual(): Rendered[] {
  return pages().flatMap(renderPage);
}

/** Is the file just what is wanted? */
export function isThere({ file, text, link }: Rendered): boolean {
  const target = path.join(root, file);
  try {
    return link === undefined ? readFileSync(target, 'latin1') === text : readlinkSync(target) === link;
  } catch {
    return false;
  }
}
