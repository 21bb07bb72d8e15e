/**
 * The settings of one table: a file of `name = value` lines, or names of main.cf that begin with the table's own.
 *
 * `mysql:/etc/postfix/aliases.cf` and `mysql:./aliases.cf` name a file; `mysql:aliases` reads `aliases_hosts`, `aliases_user` and so on from main.cf.
 * In a file `$name` means nothing. Everything here throws an Error whose message says what is wrong and where.
 */
import { readFileSync } from 'node:fs';
import { errorText } from '../../host/libc.ts';
import { parseMainCf } from '../../config/main-cf.ts';
import { lowerAscii, splitList } from '../../text/ascii.ts';
import type { TableContext } from '../table.ts';

export interface Range { readonly min?: number; readonly max?: number }

export class Settings {
  /** As in the table's name. */
  readonly name: string;
  /** Undefined: the settings stand in main.cf. */
  readonly file: string | undefined;
  readonly #find: (name: string) => string | undefined;

  constructor(name: string, file: string | undefined, find: (name: string) => string | undefined) {
    this.name = name;
    this.file = file;
    this.#find = find;
  }

  text(name: string, fallback = '', minimum = 0): string {
    const value = this.#find(name) ?? fallback;
    if (value.length < minimum) throw new Error(`${this.name}: bad string length ${value.length} < ${minimum}: ${name} = ${value}`);
    return value;
  }

  /** Undefined when it is missing or empty. */
  given(name: string): string | undefined {
    return this.#find(name) || undefined;
  }

  required(name: string): string {
    const value = this.given(name);
    if (value === undefined) throw new Error(`${this.name}: '${name}' parameter not defined`);
    return value;
  }

  list(name: string, fallback = ''): string[] {
    return splitList(this.text(name, fallback));
  }

  number(name: string, fallback: number, { min = 0, max = 2 ** 31 - 1 }: Range = {}): number {
    const text = this.#find(name);
    if (text === undefined) return fallback;
    if (!/^[+-]?[0-9]+$/.test(text) || Math.abs(Number(text)) >= 2 ** 31) throw new Error(`${this.name}: bad numerical configuration: ${name} = ${text}`);
    const value = Number(text);
    if (value < min) throw new Error(`${this.name}: invalid ${name} parameter value ${value} < ${min}`);
    if (value > max) throw new Error(`${this.name}: invalid ${name} parameter value ${value} > ${max}`);
    return value;
  }

  flag(name: string, fallback: boolean): boolean;
  flag(name: string, fallback: undefined): boolean | undefined;
  flag(name: string, fallback: boolean | undefined): boolean | undefined {
    const text = this.#find(name);
    if (text === undefined) return fallback;
    const value = lowerAscii(text);
    if (value !== 'yes' && value !== 'no') throw new Error(`${this.name}: bad boolean configuration: ${name} = ${text}`);
    return value === 'yes';
  }
}

/** The file that a table's name means, if it means one. */
export function settingsFile(name: string): string | undefined {
  return name.startsWith('/') || name.startsWith('.') ? name : undefined;
}

export function readSettings(name: string, context: TableContext): Settings {
  const file = settingsFile(name);
  if (file === undefined) return new Settings(name, undefined, (setting) => context.parameter(`${name}_${setting}`) || undefined);
  let text: string;
  try {
    text = readFileSync(Buffer.from(file, 'latin1'), 'latin1');
  } catch (error) {
    throw new Error(`open ${name}: ${errorText(error)}`);
  }
  const settings = parseMainCf(text, file, context.warn);
  return new Settings(name, file, (setting) => settings.get(setting)?.value);
}
