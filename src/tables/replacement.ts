/**
 * The right-hand side of a pattern rule: text with `$1`, `${1}` or `$(1)` for what a group matched, `$0` for the whole match, `$$` for
 * a dollar sign. Parsed once, when the table is read.
 */

/** Text, or the number of a group. */
export type Piece = string | number;

export interface Replacement {
  readonly pieces: readonly Piece[];
  /** The text, when there is nothing to substitute. */
  readonly literal: string | undefined;
  /** The highest group; -1 without any. */
  readonly highest: number;
}

/** Throws an Error whose message is a line for the log, in Postfix's words. */
export function parseReplacement(text: string): Replacement {
  const pieces: Piece[] = [];
  let literal = '';
  const flush = (): void => {
    if (literal !== '') pieces.push(literal);
    literal = '';
  };
  for (let at = 0; at < text.length; ) {
    if (text[at] !== '$') literal += text[at++];
    else if (text[at + 1] === '$') {
      literal += '$';
      at += 2;
    } else {
      flush();
      const { name, end } = nameAt(text, at + 1);
      pieces.push(groupNumber(name));
      at = end;
    }
  }
  flush();
  const highest = pieces.reduce<number>((most, piece) => (typeof piece === 'number' ? Math.max(most, piece) : most), -1);
  return { pieces, literal: highest < 0 ? pieces.join('') : undefined, highest };
}

const closing = new Map([['(', ')'], ['{', '}']]);

function nameAt(text: string, at: number): { name: string; end: number } {
  const open = text[at] ?? '';
  const close = closing.get(open);
  if (close === undefined) return notEmpty(text, /^[A-Za-z0-9_]*/.exec(text.slice(at))![0], at);
  let level = 1;
  for (let end = at + 1; end < text.length; end++) {
    if (text[end] === open) level++;
    else if (text[end] === close && --level === 0) return { ...notEmpty(text, text.slice(at + 1, end), at), end: end + 1 };
  }
  throw new Error(`truncated macro reference: "${text}"`);
}

function notEmpty(text: string, name: string, at: number): { name: string; end: number } {
  if (name === '') throw new Error(`empty macro name: "${text}"`);
  return { name, end: at + name.length };
}

function groupNumber(name: string): number {
  if (!/^[0-9]+$/.test(name)) throw new Error(`non-numeric replacement index "${name}"`);
  return Number(name);
}

/** The text with what the groups matched; a group that took no part is empty. */
export function substitute({ pieces }: Replacement, group: (number: number) => string): string {
  let text = '';
  for (const piece of pieces) text += typeof piece === 'number' ? group(piece) : piece;
  return text;
}
