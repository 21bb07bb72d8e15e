// Splits main.cf, master.cf and files like them into logical lines (postconf(5), file format): a line that starts with
// white space continues the one before; empty lines, white lines and lines whose first visible character is `#` do not
// count, not even between a line and its continuation. Text is a byte string. Nothing here throws; what is odd is warned of.
import { isWhite } from '../text/ascii.ts';

export interface LogicalLine {
  /** The physical lines joined without their newlines; never empty, never starting with white space. */
  readonly text: string;
  /** Numbers of the first and the last physical line, from 1. */
  readonly first: number;
  readonly last: number;
}

/** Called with one line of text for the log. */
export type Warn = (text: string) => void;

export function logicalLines(text: string, file: string, warn: Warn): LogicalLine[] {
  const lines: LogicalLine[] = [];
  let parts: string[] = [];
  let first = 0;
  let last = 0;
  const finish = (): void => {
    if (parts.length > 0) keep({ text: parts.join(''), first, last }, file, lines, warn);
    parts = [];
  };
  for (const [index, line] of physicalLines(text).entries()) {
    if (parts.length > 0 && line !== '' && line[0] !== '#' && !isWhite(line.charCodeAt(0))) finish();
    if (isIgnored(line)) continue;
    if (parts.length === 0) first = index + 1;
    last = index + 1;
    parts.push(line);
  }
  finish();
  return lines;
}

function keep(line: LogicalLine, file: string, lines: LogicalLine[], warn: Warn): void {
  if (line.text.includes('\0')) {
    const where = line.first === line.last ? `line ${line.last}` : `line ${line.first}-${line.last}`;
    warn(`${file}, ${where}: text after null byte may be ignored`);
  }
  if (!isWhite(line.text.charCodeAt(0))) lines.push(line);
  else warn(`${file}: logical line must not start with whitespace: "${shortened(line.text)}"`);
}

function shortened(text: string): string {
  return text.length > 30 ? `${text.slice(0, 30)}...` : text;
}

function physicalLines(text: string): string[] {
  const lines = text.split('\n');
  if (lines[lines.length - 1] === '') lines.pop();
  return lines;
}

/** Comments and white lines; `#` counts as a comment behind white space too. */
export function isIgnored(line: string): boolean {
  let at = 0;
  while (at < line.length && isWhite(line.charCodeAt(at))) at++;
  return at === line.length || line[at] === '#';
}
