/**
 * The arguments of MAIL and RCPT (RFC 5321 sections 4.1.2 and 4.1.1): the command's words, the path, the parameters.
 *
 * Bad input is a value: a refusal with the texts Postfix's SMTP server uses, ready to be sent. Whether an address is one we
 * like (domain syntax, relaying) is for others to say. All text is byte strings; nothing throws.
 */
import { isWhite, lowerAscii, sameIgnoringCase } from '../text/ascii.ts';
import { internalAddress, parseAddresses } from './address-tokens.ts';

/** A word of a command. `broken`: a quote or angle bracket in it was not closed. */
export interface CommandWord {
  readonly text: string;
  readonly broken: boolean;
}

/**
 * Split a command line at white space, except within <...> and "...". `FROM:` and `TO:` are words of their own, with or without a
 * space behind. A backslash takes the next character.
 */
export function splitCommand(line: string): CommandWord[] {
  const words: CommandWord[] = [];
  /** Where the word at hand begins; -1: there is none. A word is always one piece of the line. */
  let start = -1;
  let broken = false;
  for (let at = 0; at <= line.length; at++) {
    const code = at < line.length ? line.charCodeAt(at) : 32;
    if (isWhite(code)) {
      if (start >= 0) words.push({ text: line.slice(start, at), broken });
      start = -1;
      broken = false;
      continue;
    }
    if (start < 0) start = at;
    if (code === LESS || code === QUOTE) {
      const end = closingAt(line, at + 1, code === QUOTE);
      broken ||= end < 0;
      at = end < 0 ? line.length - 1 : end;
    } else if (code === BACKSLASH) at = Math.min(at + 1, line.length - 1);
    else if (code === COLON && isPathMark(line, start, at)) {
      words.push({ text: line.slice(start, at + 1), broken });
      start = -1;
      broken = false;
    }
  }
  return words;
}

const QUOTE = 34;
const COLON = 58;
const LESS = 60;
const GREATER = 62;
const BACKSLASH = 92;

/** Is that `TO:` or `FROM:`? */
function isPathMark(line: string, start: number, colon: number): boolean {
  const word = line.slice(start, colon);
  return sameIgnoringCase(word, 'to') || sameIgnoringCase(word, 'from');
}

/** Where the bracket or quote ends that was opened before `at`: quotes bind tighter than brackets, brackets nest. -1: nowhere. */
function closingAt(line: string, at: number, isQuote: boolean): number {
  let depth = 1;
  let inQuotes = isQuote;
  for (; at < line.length; at++) {
    const code = line.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === QUOTE) {
      if (isQuote) return at;
      inQuotes = !inQuotes;
    } else if (inQuotes) continue;
    else if (code === LESS) depth++;
    else if (code === GREATER && --depth === 0) return at;
  }
  return -1;
}

/** A refusal to send: "501 5.1.7 Bad sender address syntax". */
export interface PathRefusal {
  readonly code: number;
  readonly status: string;
  readonly text: string;
}

const refuse = (code: number, status: string, text: string): { readonly refusal: PathRefusal } => ({ refusal: { code, status, text } });

export interface PathOptions {
  /** strict_rfc821_envelopes: insist on <address> and on nothing but an address in it */
  readonly strict?: boolean;
  /** is the null sender (<>) an answer? */
  readonly allowEmpty?: boolean;
}

/** The internal form of a path; undefined: this is no path ("Illegal address syntax"). */
export function parsePath(word: string, options: PathOptions = {}): string | undefined {
  const enclosed = word.startsWith('<') && word.endsWith('>') && word.length > 1;
  if (options.strict && !word.startsWith('<')) return undefined;
  const tokens = parseAddresses(withoutRoute(enclosed ? word.slice(1, -1) : word));
  const addresses = tokens.filter((each) => each.type === 'address');
  const others = tokens.some((each) => each.type !== 'address' && each.type !== '<' && each.type !== '>');
  if (addresses.length > 1 || (options.strict && others)) return undefined;
  const address = addresses[0] ? internalAddress(addresses[0].tokens) : '';
  if (address === '' && !options.allowEmpty) return undefined;
  return options.strict && address.startsWith('@') ? undefined : address;
}

// RFC 5321 section 4.1.1.3 and appendix C: a source route is accepted and ignored.
function withoutRoute(text: string): string {
  return text.startsWith('@') ? text.slice(text.indexOf(':') + 1) : text;
}

/** MAIL or RCPT taken apart: the path in both forms, and the parameters as they came. */
export interface PathCommand {
  /** internal form; '' is the null sender */
  readonly address: string;
  /** as it stood in the command, with its brackets */
  readonly path: string;
  readonly parameters: readonly string[];
}

export type PathResult = PathCommand | { readonly refusal: PathRefusal };

/** The words of a MAIL command, the verb included. */
export function mailCommand(words: readonly CommandWord[], strict = false): PathResult {
  const path = words[2];
  if (!path || lowerAscii(words[1]!.text) !== 'from:') return refuse(501, '5.5.4', 'Syntax: MAIL FROM:<address>');
  const address = path.broken ? undefined : parsePath(path.text, { strict, allowEmpty: true });
  if (address === undefined) return refuse(501, '5.1.7', 'Bad sender address syntax');
  return { address, path: path.text, parameters: words.slice(3).map((word) => word.text) };
}

/** The words of a RCPT command, the verb included. */
export function rcptCommand(words: readonly CommandWord[], strict = false): PathResult {
  const path = words[2];
  if (!path || lowerAscii(words[1]!.text) !== 'to:') return refuse(501, '5.5.4', 'Syntax: RCPT TO:<address>');
  const address = path.broken ? undefined : parsePath(path.text, { strict });
  if (address === undefined) return refuse(501, '5.1.3', 'Bad recipient address syntax');
  return { address, path: path.text, parameters: words.slice(3).map((word) => word.text) };
}
