// The arguments of a master.cf row: options for the daemon (`-v`, `-D`, `-o name=value`, `-o { name = value }`), then what is
// its own. Pure. What cannot be read is returned as a trouble, in words close to Postfix's.
import { trimWhite } from '../text/ascii.ts';
import type { Override } from './configuration.ts';
import { splitNameValue } from './main-cf.ts';

export interface ArgumentTrouble { readonly trouble: string }

/** The same form as showArguments() gives, or the first trouble. */
export function normalizeArguments(words: readonly string[]): { readonly args: readonly string[] } | ArgumentTrouble {
  try {
    return { args: showArguments(words, (trouble) => { throw new BadArgument(trouble); }) };
  } catch (error) {
    if (error instanceof BadArgument) return { trouble: error.message };
    throw error;
  }
}

class BadArgument extends Error {}

type Complain = (trouble: string) => void;

/**
 * Options apart from their values, `-vo` split into `-v -o`, braces taken off, `{ name = value }` as `name=value`: the form in
 * which `postconf -M` shows a row. Goes on after a complaint with what can be made of the text.
 */
export function showArguments(words: readonly string[], complain: Complain): string[] {
  const args: string[] = [];
  const rest = [...words];
  while (isOption(rest[0])) {
    const word = rest.shift()!;
    const value = word.indexOf('o', 1);
    if (value < 0) {
      args.push(word);
      continue;
    }
    if (value > 1) args.push(word.slice(0, value));
    args.push('-o');
    const attached = word.slice(value + 1);
    if (attached !== '') args.push(optionValue(attached, complain));
    else if (rest.length > 0) args.push(optionValue(rest.shift()!, complain));
  }
  return [...args, ...rest.map((word) => (word[0] === '{' ? withoutBraces(word, complain) : word))];
}

function isOption(word: string | undefined): boolean {
  return word !== undefined && word[0] === '-' && word !== '--';
}

function optionValue(word: string, complain: Complain): string {
  if (word[0] !== '{') return word;
  const inner = withoutBraces(word, complain);
  const pair = splitNameValue(inner);
  if (typeof pair !== 'string') return `${pair[0]}=${pair[1]}`;
  complain(`${pair}: "${inner}" (write -o { name = value })`);
  return inner;
}

/** The text within one pair of braces, without white space at its ends. */
function withoutBraces(word: string, complain: Complain): string {
  let level = 0;
  for (let at = 0; at < word.length; at++) {
    if (word[at] === '{') level++;
    else if (word[at] === '}' && --level === 0) {
      if (at < word.length - 1) complain(`syntax error after '}' in "${word}"`);
      return trimWhite(word.slice(1, at));
    }
  }
  complain(`missing '}' in "${word}"`);
  return trimWhite(word.slice(1));
}

export interface DaemonOptions {
  readonly args: readonly string[];
  readonly overrides: readonly Override[];
  readonly verbose: number;
  readonly debug: boolean;
}

/** Takes the options off normalised arguments. */
export function readOptions(normalized: readonly string[]): DaemonOptions | ArgumentTrouble {
  const overrides: Override[] = [];
  let [verbose, debug, at] = [0, false, 0];
  for (; isOption(normalized[at]); at++) {
    const word = normalized[at]!;
    if (word === '-o') {
      const text = normalized[++at];
      const pair = text === undefined ? 'missing value' : splitNameValue(text);
      if (typeof pair === 'string') return { trouble: badOption(pair, text) };
      overrides.push(pair);
    } else if (/^-[vD]+$/.test(word)) {
      verbose += word.split('v').length - 1;
      debug ||= word.includes('D');
    } else return { trouble: `unknown option: ${word} (options of a daemon are -o name=value, -v and -D)` };
  }
  if (normalized[at] === '--') at++;
  return { args: normalized.slice(at), overrides, verbose, debug };
}

function badOption(trouble: string, text: string | undefined): string {
  if (text === undefined) return 'option -o without a value (write -o name=value)';
  return `${trouble}: "-o ${text}" (write -o ${text.split('=')[0] || 'name'}=value, or -o { name = value } where the value has spaces)`;
}
