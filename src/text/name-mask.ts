/**
 * Tables of names for bits ("NEVER,SUCCESS" and 3) and for codes ("FULL" and 1).
 *
 * Parsing gives a value or an error that names the bad word; nothing throws.
 */
import { lowerAscii } from './ascii.ts';

/** Names and their bits, in the order in which they are written out. */
export type NameTable = readonly (readonly [name: string, value: number])[];

export interface NameMaskOptions {
  /** what separates names (default: comma and blanks) */
  readonly separators?: string;
  /** do capitals matter? (default: no) */
  readonly exactCase?: boolean;
  /** take 0x... for bits that have no name */
  readonly hexadecimal?: boolean;
}

export type NameMaskResult = { readonly mask: number } | { readonly error: string; readonly word: string };

/** The bits of a list of names. `context` says in the error what kind of names they are. */
export function parseNameMask(context: string, table: NameTable, text: string, options: NameMaskOptions = {}): NameMaskResult {
  const separators = options.separators ?? ', \t\r\n';
  let mask = 0;
  for (const word of splitAt(text, separators)) {
    const bits = valueOf(table, word, options.exactCase ?? false) ?? (options.hexadecimal ? hexValue(word) : undefined);
    if (bits === undefined) return { word, error: `unknown ${context} value "${word}" in "${text}"` };
    mask |= bits;
  }
  return { mask: mask >>> 0 };
}

/** The names of all bits that are set; bits without a name are left out. */
export function renderNameMask(table: NameTable, mask: number, separator = ' '): string {
  return table.filter(([, bits]) => (mask & bits) !== 0).map(([name]) => name).join(separator);
}

/** The code a name stands for (whatever its case); undefined when it stands for none. */
export function parseNameCode(table: NameTable, word: string): number | undefined {
  return valueOf(table, word, false);
}

/** The name of a code. */
export function renderNameCode(table: NameTable, code: number): string | undefined {
  return table.find(([, value]) => value === code)?.[0];
}

function valueOf(table: NameTable, word: string, exactCase: boolean): number | undefined {
  const wanted = exactCase ? word : lowerAscii(word);
  return table.find(([name]) => (exactCase ? name : lowerAscii(name)) === wanted)?.[1];
}

function hexValue(word: string): number | undefined {
  return /^0x[0-9a-f]{1,8}$/i.test(word) ? parseInt(word, 16) : undefined;
}

function splitAt(text: string, separators: string): string[] {
  const words: string[] = [];
  let start = 0;
  for (let at = 0; at <= text.length; at++) {
    if (at < text.length && !separators.includes(text[at]!)) continue;
    if (at > start) words.push(text.slice(start, at));
    start = at + 1;
  }
  return words;
}
