/**
 * Text within `{ ... }`, as in inline tables and long forms of list items. Pure; trouble is told in Postfix's words.
 */
import { trimWhite } from '../text/ascii.ts';

/** Length of the balanced `{ ... }` at the beginning of a text; 0 when it has none. */
export function balancedLength(text: string): number {
  if (text[0] !== '{') return 0;
  let level = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '{') level++;
    else if (text[at] === '}' && --level === 0) return at + 1;
  }
  return 0;
}

/** What is between the braces, without white space at its ends. Throws an Error with the trouble. */
export function insideBraces(text: string): string {
  if (text[0] !== '{') throw new Error(`no '{' at start of text in "${text}"`);
  const length = balancedLength(text);
  if (length === 0) throw new Error(`missing '}' in "${text}"`);
  if (length < text.length) throw new Error(`syntax error after '}' in "${text}"`);
  return trimWhite(text.slice(1, -1));
}

/** The text between the braces of a table name like `{a, b}`; undefined when it is not one, or is empty. */
export function braceContent(name: string): string | undefined {
  const length = balancedLength(name);
  return length === 0 || length !== name.length || length === 2 ? undefined : name.slice(1, -1);
}
