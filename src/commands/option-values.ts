/** Values of options as Postfix's test tools read them. Pure; what makes no sense ends the command by `fatal`. */
import { validHostname, validMailhostLiteral } from '../text/hostname.ts';

type Fatal = (text: string) => never;

const largest = 2 ** 31 - 1;

/** atoi(3): what begins like a number is one, anything else is 0. */
export function numberIn(text: string): number {
  const number = Number.parseInt(/^[\t-\r ]*[+-]?[0-9]+/.exec(text)?.[0] ?? '0', 10);
  return Math.abs(number) > largest ? 0 : number;
}

/** A number above 0, or `complaint` as it is. */
export function positive(text: string, complaint: string, fatal: Fatal): number {
  const number = numberIn(text);
  return number > 0 ? number : fatal(complaint);
}

/** A host name, or an address in brackets. */
export function hostnameOrLiteral(text: string, fatal: Fatal): string {
  if (text.startsWith('[') && !validMailhostLiteral(text)) fatal(`bad address literal: ${text}`);
  if (!text.startsWith('[') && !validHostname(text)) fatal(`bad hostname: ${text}`);
  return text;
}
