// `service/type/rest` as postconf's -M, -F and -P take it on the command line; `*` stands for anything. Pure.
import { Fatal } from './output.ts';
import { fieldNames } from './service-rows.ts';

export interface Pattern {
  readonly raw: string;
  readonly parts: readonly string[];
}

/** Undefined when the text has too few or too many parts; missing ones mean anything. */
export function parsePattern(raw: string, least: number, most: number, text = raw): Pattern | undefined {
  const parts = text.split('/').filter((part) => part !== '');
  if (text[0] === '/' || parts.length < least || parts.length > most) return undefined;
  if (parts.some((part) => part !== '*' && part.includes('*'))) return undefined;
  while (parts.length < most) parts.push('*');
  return { raw, parts };
}

export function matches({ parts }: Pattern, service: string, type: string): boolean {
  const fits = (pattern: string | undefined, text: string): boolean => pattern === '*' || pattern === text;
  return fits(parts[0], service) && fits(parts[1], type);
}

/** The column of that name; undefined for `*`. */
export function fieldIndex(name: string): number | undefined {
  if (name === '*') return undefined;
  const index = (fieldNames as readonly string[]).indexOf(name);
  if (index < 0) throw new Fatal(`invalid service attribute name: "${name}" (known are ${fieldNames.join(', ')})`);
  return index;
}
