// Reads the text of main.cf into names and values as they were written, `$name` unexpanded. Text is a byte string.
// A line that is no assignment throws ConfigurationError with file and line; a repeated name is warned of, the last one holds.
import { readFileSync } from 'node:fs';
import { isWhite, trimLeft, trimRight } from '../text/ascii.ts';
import { ConfigurationError } from './configuration-error.ts';
import type { Origin } from './configuration-error.ts';
import { logicalLines } from './logical-lines.ts';
import type { Warn } from './logical-lines.ts';

export interface Setting extends Origin {
  readonly value: string;
}

/** In the order in which the names first appear. */
export type Settings = ReadonlyMap<string, Setting>;

export function parseMainCf(text: string, file: string, warn: Warn): Settings {
  const settings = new Map<string, Setting>();
  for (const line of logicalLines(text, file, warn)) {
    const pair = splitNameValue(line.text);
    if (typeof pair === 'string') throw badLine(pair, line.text, { file, line: line.first });
    const [name, value] = pair;
    const earlier = settings.get(name);
    if (earlier && earlier.value !== value)
      warn(`${file}, line ${line.first}: overriding earlier entry: ${name}=${earlier.value}`);
    settings.set(name, { value, file, line: line.first });
  }
  return settings;
}

/** Reads the file; a file that cannot be read throws ConfigurationError. */
export function readMainCf(file: string, warn: Warn): Settings {
  return parseMainCf(readConfigurationFile(file), file, warn);
}

/** The file as a byte string; so is its name. */
export function readConfigurationFile(file: string): string {
  try {
    return readFileSync(Buffer.from(file, 'latin1'), 'latin1');
  } catch (error) {
    throw new ConfigurationError(`open ${file}: ${systemText(error)}`);
  }
}

/** Name and value of `name = value`, or what is wrong with the text, in Postfix's words. */
export function splitNameValue(text: string): readonly [string, string] | string {
  const start = text.length - trimLeft(text).length;
  let end = start;
  while (end < text.length && text[end] !== '=' && !isWhite(text.charCodeAt(end))) end++;
  if (end === start) return 'missing attribute name';
  const rest = trimLeft(text.slice(end));
  if (rest[0] !== '=') return "missing '=' after attribute name";
  return [text.slice(start, end), trimRight(trimLeft(rest.slice(1)))];
}

function badLine(trouble: string, text: string, { file, line }: Origin): ConfigurationError {
  const fix = trouble.startsWith('missing attribute')
    ? 'write "name = value"'
    : 'write "name = value", or start the line with white space when it continues the one above';
  return new ConfigurationError(`${file}, line ${line}: ${trouble}: "${text}"`, undefined, fix);
}

const systemTexts: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'No such file or directory'],
  ['EACCES', 'Permission denied'],
  ['EPERM', 'Operation not permitted'],
  ['EISDIR', 'Is a directory'],
  ['ENOTDIR', 'Not a directory'],
  ['ELOOP', 'Too many levels of symbolic links'],
  ['EROFS', 'Read-only file system'],
  ['ENOSPC', 'No space left on device'],
  ['EIO', 'Input/output error'],
]);

/** The C library's words for the error of a file operation. */
export function systemText(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return systemTexts.get(code ?? '') ?? message;
}
