// How postconf lays out what it prints: words separated by single spaces, long lines folded on request, JSON text. Pure.
import { splitWhite } from '../../text/ascii.ts';

export const foldLimit = 80;
export const indent = '    ';

/** One line, or several with all but the first indented; white space between words becomes one space. */
export function layOutWords(text: string, fold: boolean): string {
  let [result, length] = ['', 0];
  for (const word of splitWhite(text)) {
    if (length > 0 && fold && length + word.length >= foldLimit) {
      result += `\n${indent}`;
      length = indent.length;
    } else if (length > 0) {
      result += ' ';
      length += 1;
    }
    result += word;
    length += word.length;
  }
  return `${result}\n`;
}

const jsonEscapes: ReadonlyMap<string, string> = new Map([
  ['\b', '\\b'], ['\f', '\\f'], ['\n', '\\n'], ['\r', '\\r'], ['\t', '\\t'], ['\\', '\\\\'], ['"', '\\"'],
]);

/** A byte string as a JSON string, with its quotes; bytes beyond ASCII stay as they are. */
export function quoteJson(text: string): string {
  const escape = (char: string): string =>
    jsonEscapes.get(char) ?? `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  return `"${text.replace(/[\x00-\x1f\x7f"\\]/g, escape)}"`;
}

export function jsonLine(name: string, value: string): string {
  return `{${quoteJson(name)}: ${quoteJson(value)}}\n`;
}
