/** Bytes as C writes them in a string, so that anything a client sends fits on one log line and can be told apart. */
import { isPrintable } from '../../text/ascii.ts';

const named: ReadonlyMap<number, string> = new Map([
  [7, '\\a'], [8, '\\b'], [9, '\\t'], [10, '\\n'], [11, '\\v'], [12, '\\f'], [13, '\\r'], [92, '\\\\'],
]);

/** A byte string with control and 8-bit bytes as `\n`, `\033` and the like, and the backslash doubled. */
export function escapeBytes(text: string): string {
  let escaped = '';
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    escaped += named.get(code) ?? (isPrintable(code) ? text[at]! : `\\${code.toString(8).padStart(3, '0')}`);
  }
  return escaped;
}

/** A command ends at a NUL, as it does for a program that is written in C. */
export function untilNul(line: string): string {
  const nul = line.indexOf('\0');
  return nul < 0 ? line : line.slice(0, nul);
}
