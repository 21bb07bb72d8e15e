/**
 * The text of main.cf or master.cf with tables of the Berkeley DB types under another type's name. Pure.
 *
 * Comments stay as they are, and so does everything else: only the word before the colon changes.
 */
import { isIgnored } from '../../../config/logical-lines.ts';

const types: ReadonlySet<string> = new Set(['hash', 'btree', 'dbm', 'sdbm']);

export function isBerkeley(type: string): boolean {
  return types.has(type);
}

/** A name starts with a slash, or with the value of a parameter. */
const reference = /(?<![A-Za-z0-9_])(hash|btree|dbm|sdbm):(?=[/$])/g;

export function rewriteTypes(text: string, newType: (type: string) => string): { readonly text: string; readonly count: number } {
  let count = 0;
  const line = (each: string): string => (isIgnored(each) ? each : each.replace(reference, (_, type: string) => {
    count++;
    return `${newType(type)}:`;
  }));
  return { text: text.split('\n').map(line).join('\n'), count };
}
