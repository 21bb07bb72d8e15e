/**
 * The text form of an alias table (aliases(5)): `name: value, value, ...`, continuation lines, comments, quoted names.
 *
 * The value is stored in its external form, commas and quotes as mail addresses have them; `:include:/file`, `/file`, `"|command"`
 * are for local delivery to understand. Bad lines are left out and told of as "FILE, line N: ...".
 */
import { eachLogicalLine } from '../config/logical-lines.ts';
import { externalize, scanAddress } from '../message/address-tokens.ts';
import { isAscii } from '../text/ascii.ts';
import { isUtf8 } from '../text/utf8.ts';
import type { SourceEntry, SourceOptions } from './source.ts';

export function* aliasEntries(text: string, { file, utf8, warn }: SourceOptions): Generator<SourceEntry> {
  for (const { text: whole, first: line } of eachLogicalLine(text, file, warn)) {
    const end = whole.indexOf('\0');
    const content = end < 0 ? whole : whole.slice(0, end);
    if (utf8 && !isAscii(content) && !isUtf8(content)) {
      warn(`${file}, line ${line}: non-UTF-8 input "${content}" -- ignoring this line`);
      continue;
    }
    const tokens = scanAddress(content);
    const colon = tokens.findIndex((token) => token.type === ':');
    const name = tokens.slice(0, Math.max(colon, 0));
    if (name.length === 0 || colon === tokens.length - 1 || name.some((token) => token.type === ',')) {
      if (tokens.length > 0) warn(`${file}, line ${line}: need name:value pair`);
      continue;
    }
    if (name.some((token) => token.type === '@' || token.type === '%')) {
      warn(`${file}, line ${line}: name must be local and have no domain`);
      continue;
    }
    yield { key: externalize(name), value: externalize(tokens.slice(colon + 1)), line };
  }
}

/** What marks an alias table as complete for Sendmail's NIS clients, the last entry of each. */
export const completeMark: readonly [string, string] = ['@', '@'];
