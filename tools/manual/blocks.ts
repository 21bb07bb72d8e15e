// The few forms that prose of the manual has (docs/decisions/manual-pages.md), read into blocks. Pure.
// What has no form is an error that names file and line.

export type Block =
  | { readonly is: 'paragraph'; readonly text: string }
  | { readonly is: 'example'; readonly lines: readonly string[] }
  | { readonly is: 'list'; readonly points: readonly (readonly Block[])[] }
  | { readonly is: 'term'; readonly terms: readonly string[]; readonly blocks: readonly Block[] }
  | { readonly is: 'heading'; readonly depth: number; readonly text: string };

export interface Line {
  readonly text: string;
  readonly number: number;
}

export class ProseError extends Error {
  constructor(file: string, line: number, text: string) {
    super(`${file}:${line}: ${text}`);
  }
}

/** The lines of a file, checked for what no form allows. */
export function proseLines(file: string, text: string): Line[] {
  return text.split('\n').map((line, index) => {
    if (/[^\x20-\x7e]/.test(line)) throw new ProseError(file, index + 1, 'a character that is not printable ASCII');
    if (/\s$/.test(line)) throw new ProseError(file, index + 1, 'white space at the end of the line');
    return { text: line, number: index + 1 };
  });
}

const isBlank = ({ text }: Line): boolean => text === '';
const isExample = ({ text }: Line): boolean => text.startsWith('    ');
const isPoint = ({ text }: Line): boolean => text.startsWith('- ');
const isMeaning = (line: Line | undefined): boolean => line?.text.startsWith(': ') ?? false;
const isHeading = ({ text }: Line): boolean => /^#{2,3} /.test(text);
const isIndented = ({ text }: Line): boolean => text.startsWith('  ');

/** Reads lines from the top; `file` is for errors. */
export function blocksOf(file: string, lines: readonly Line[]): Block[] {
  return new Reader(file, lines).blocks();
}

class Reader {
  readonly #file: string;
  readonly #lines: readonly Line[];
  #at = 0;

  constructor(file: string, lines: readonly Line[]) {
    this.#file = file;
    this.#lines = lines;
  }

  blocks(): Block[] {
    const found: Block[] = [];
    for (let line = this.#lines[this.#at]; line; line = this.#lines[this.#at]) {
      if (isBlank(line)) this.#at += 1;
      else found.push(this.#block(line));
    }
    return found;
  }

  #block(line: Line): Block {
    if (isExample(line)) return this.#example();
    if (isPoint(line)) return this.#list();
    if (isHeading(line)) return this.#heading(line);
    if (/^[:#]/.test(line.text)) throw new ProseError(this.#file, line.number, `"${line.text.slice(0, 20)}" begins nothing that is known`);
    if (isIndented(line)) throw new ProseError(this.#file, line.number, 'indented, and belongs to no point or term; an example has four spaces');
    return this.#terms() ?? this.#paragraph();
  }

  #heading({ text }: Line): Block {
    this.#at += 1;
    const [marks] = text.split(' ', 1);
    return { is: 'heading', depth: marks!.length, text: text.slice(marks!.length + 1) };
  }

  /** Blank lines are part of an example where it goes on behind them. */
  #example(): Block {
    const lines: string[] = [];
    for (let line = this.#lines[this.#at]; line && (isExample(line) || isBlank(line)); line = this.#lines[++this.#at]) lines.push(line.text.slice(4));
    while (lines.at(-1) === '') lines.pop();
    return { is: 'example', lines };
  }

  #list(): Block {
    const points: Block[][] = [];
    for (let line = this.#lines[this.#at]; line && isPoint(line); line = this.#lines[this.#at]) points.push(this.#inner());
    return { is: 'list', points };
  }

  /** Lines that stand right above a meaning are the terms that have it. */
  #terms(): Block | undefined {
    let end = this.#at;
    while (this.#isPlain(this.#lines[end])) end += 1;
    if (end === this.#at || !isMeaning(this.#lines[end])) return undefined;
    const terms = this.#lines.slice(this.#at, end).map(({ text }) => text);
    this.#at = end;
    return { is: 'term', terms, blocks: this.#inner() };
  }

  #isPlain(line: Line | undefined): boolean {
    return line !== undefined && !isBlank(line) && !isPoint(line) && !isHeading(line) && !isIndented(line) && !/^[:#]/.test(line.text);
  }

  /** What stands behind a mark of two characters, and the lines below that are indented by two. */
  #inner(): Block[] {
    const first = this.#lines[this.#at]!;
    const lines = [{ ...first, text: first.text.slice(2) }];
    for (this.#at += 1; this.#continues(); this.#at += 1) {
      const line = this.#lines[this.#at]!;
      lines.push({ ...line, text: line.text.slice(2) });
    }
    return blocksOf(this.#file, lines);
  }

  /** An indented line, or blank lines with an indented one behind them. */
  #continues(): boolean {
    let next = this.#at;
    while (this.#lines[next] && isBlank(this.#lines[next]!)) next += 1;
    return this.#lines[next] !== undefined && isIndented(this.#lines[next]!);
  }

  #paragraph(): Block {
    const words: string[] = [];
    for (let line = this.#lines[this.#at]; this.#isPlain(line); line = this.#lines[++this.#at]) words.push(line!.text);
    return { is: 'paragraph', text: words.join(' ') };
  }
}
