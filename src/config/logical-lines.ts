// Splits main.cf, master.cf and files like them into logical lines (postconf(5), file format): a line that starts with
// white space continues the one before; empty lines, white lines and lines whose first visible character is `#` do not
// count, not even between a line and its continuation. Text is a byte string. Nothing here throws; what is odd is warned of.
import { isWhite } from '../text/ascii.ts';

export interface LogicalLine {
  /** The physical lines joined without their newlines, up to a null byte; never empty, never starting with white space. */
  readonly text: string;
  /** Numbers of the first and the last physical line, from 1. */
  readonly first: number;
  readonly last: number;
}

/** Called with one line of text for the log. */
export type Warn = (text: string) => void;

export function logicalLines(text: string, file: string, warn: Warn): LogicalLine[] {
  return [...eachLogicalLine(text, file, warn)];
}

/** The same one by one: the source of a large table has millions. */
export function* eachLogicalLine(text: string, file: string, warn: Warn): Generator<LogicalLine, void, undefined> {
  let parts: string[] = [];
  let first = 0;
  let last = 0;
  let number = 0;
  for (const line of physicalLines(text)) {
    number++;
    if (parts.length > 0 && line !== '' && line[0] !== '#' && !isWhite(line.charCodeAt(0))) {
      yield* checked({ text: parts.join(''), first, last }, file, warn);
      parts = [];
    }
    if (isIgnored(line)) continue;
    if (parts.length === 0) first = number;
    last = number;
    parts.push(line);
  }
  if (parts.length > 0) yield* checked({ text: parts.join(''), first, last }, file, warn);
}

/** The line, unless nothing is left of it. */
function checked(line: LogicalLine, file: string, warn: Warn): LogicalLine[] {
  if (line.text.includes('\0')) {
    const where = line.first === line.last ? `line ${line.last}` : `line ${line.first}-${line.last}`;
    warn(`${file}, ${where}: text after null byte may be ignored`);
    line = { ...line, text: line.text.slice(0, line.text.indexOf('\0')) };
  }
  if (line.text !== '' && !isWhite(line.text.charCodeAt(0))) return [line];
  warn(`${file}: logical line must not start with whitespace: "${shortened(line.text)}"`);
  return [];
}

function shortened(text: string): string {
  return text.length > 30 ? `${text.slice(0, 30)}...` : text;
}

function* physicalLines(text: string): Generator<string, void, undefined> {
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    yield text.slice(at, end < 0 ? text.length : end);
    at = end < 0 ? text.length : end + 1;
  }
}

/** Comments and white lines; `#` counts as a comment behind white space too. */
export function isIgnored(line: string): boolean {
  let at = 0;
  while (at < line.length && isWhite(line.charCodeAt(at))) at++;
  return at === line.length || line[at] === '#';
}
