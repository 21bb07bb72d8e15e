/**
 * The environment of external commands: what export_environment names, a safe PATH, and what the agent adds.
 *
 * Node writes environment and arguments as UTF-8, so byte strings are decoded first; what is not UTF-8 cannot be passed on as it is.
 */
import { splitListGroups } from '../text/ascii.ts';
import { decodeUtf8 } from '../text/utf8.ts';

/** The search path of commands (_PATH_DEFPATH), whatever the mail system's own is. */
export const commandPath = '/usr/bin:/bin';

/** `export_environment`: names that are passed on, and name=value settings, these in braces when they hold blanks. */
export function exportedEnvironment(setting: string, own: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const exported: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const item of splitListGroups(setting)) {
    const text = item.startsWith('{') && item.endsWith('}') ? item.slice(1, -1).trim() : item;
    const equals = text.indexOf('=');
    if (equals > 0) exported[text.slice(0, equals).trim()] = text.slice(equals + 1).trim();
    else if (own[text] !== undefined) exported[text] = own[text];
  }
  return exported;
}

/** A byte string as Node must be given it, so that the command sees the same bytes. Undefined: it would not. */
export function nativeText(text: string): string | undefined {
  return text.includes('\0') ? undefined : decodeUtf8(text);
}

/** Every byte of `text` that is not in `allowed` becomes `_` (command_expansion_filter). */
export function censored(text: string, allowed: string): string {
  let safe = '';
  for (const char of text) safe += allowed.includes(char) ? char : '_';
  return safe;
}
