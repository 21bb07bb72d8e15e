/**
 * The text form of a table (postmap(1)): `key whitespace value`, continuation lines, comments, quoted keys.
 *
 * Bad lines are left out and told of as "FILE, line N: ...", in Postfix's words; nothing throws.
 */
import { eachLogicalLine } from '../config/logical-lines.ts';
import { isAscii, isWhite, trimWhite } from '../text/ascii.ts';
import { isUtf8 } from '../text/utf8.ts';

export interface SourceEntry {
  /** In the quotes it was written in. */
  readonly key: string;
  readonly value: string;
  /** First line of the entry, from 1. */
  readonly line: number;
}

export interface SourceOptions {
  /** How the file is called in warnings. */
  readonly file: string;
  readonly utf8: boolean;
  readonly warn: (text: string) => void;
  /** What to append to some warnings, as Postfix's texthash does. */
  readonly ignoring?: boolean;
}

/** Where a key ends: at the first white space that is neither quoted nor escaped. -1: a quote is missing. */
export function endOfKey(text: string, stop: (code: number) => boolean = isWhite): number {
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '\\') at++;
    else if (char === '"') quoted = !quoted;
    else if (!quoted && stop(text.charCodeAt(at))) return at;
  }
  return quoted ? -1 : text.length;
}

export function* sourceEntries(text: string, options: SourceOptions): Generator<SourceEntry> {
  const { file, warn } = options;
  const ignoring = options.ignoring ? ' -- ignoring this line' : '';
  for (const { text: whole, first: line } of eachLogicalLine(text, file, warn)) {
    const end = whole.indexOf('\0');
    const content = end < 0 ? whole : whole.slice(0, end);
    if (options.utf8 && !isAscii(content) && !isUtf8(content)) {
      warn(`${file}, line ${line}: non-UTF-8 input "${content}" -- ignoring this line`);
      continue;
    }
    const split = endOfKey(content);
    if (split < 0) {
      warn(`${file}, line ${line}: unbalanced '"' in '${content}' -- ignoring this line`);
      continue;
    }
    const key = content.slice(0, split);
    const value = trimWhite(content.slice(split));
    if (key === '' || value === '') {
      warn(`${file}, line ${line}: expected format: key whitespace value${ignoring}`);
      continue;
    }
    if (key.endsWith(':')) warn(`${file}, line ${line}: record is in "key: value" format; is this an alias file?`);
    yield { key, value, line };
  }
}
