// main.cf as programs see it: every parameter by name, checked, with the defaults of its card.
// Values are read when they are asked for and kept; `load` fails only for a file that cannot be read or parsed, everything
// else throws ConfigurationError when the bad value is asked for. Text is a byte string. A Configuration never changes:
// reload makes a new one, and a master.cf row's `-o` gives another that shares the file's settings.
import { familyMember, splitFamilyName } from '../parameters/families.ts';
import type { TransportSuffix, TransportValue } from '../parameters/families.ts';
import { cardOf } from '../parameters/parameters.ts';
import type { ParameterName, ParameterValue, View } from '../parameters/parameters.ts';
import type { Card } from '../parameters/card.ts';
import { LevelError } from './comparison.ts';
import { computedDefault } from './computed-defaults.ts';
import { ConfigurationError } from './configuration-error.ts';
import type { Origin } from './configuration-error.ts';
import { ExpansionError, expand } from './expand.ts';
import { readMainCf } from './main-cf.ts';
import type { Settings } from './main-cf.ts';
import { convertValue } from './value.ts';
import type { Warn } from './logical-lines.ts';

/** A name and the text behind its `=`. */
export type Override = readonly [name: string, value: string];

export interface LoadOptions {
  /** As from `-o name=value`: above main.cf; of equal names the last holds. */
  readonly overrides?: readonly Override[] | undefined;
  /** Of the process. No value depends on it so far; the directory is found by configDirectory(). */
  readonly environment?: NodeJS.ProcessEnv | undefined;
  /** Told about odd but usable text in main.cf. */
  readonly warn?: Warn | undefined;
}

type Value = number | boolean | string;

const defaultDirectory = '/etc/postfix';

/** Where main.cf and master.cf are: `-c` as on the command line, else MAIL_CONFIG, else the built-in place. A byte string. */
export function configDirectory(option?: string, environment: NodeJS.ProcessEnv = process.env): string {
  return Buffer.from(option || environment['MAIL_CONFIG'] || defaultDirectory, 'utf8').toString('latin1');
}

export class Configuration {
  readonly directory: string;
  /** What main.cf says, unexpanded, with file and line. */
  readonly settings: Settings;
  readonly #overrides: ReadonlyMap<string, string>;
  readonly #texts = new Map<string, string>();
  readonly #values = new Map<string, Value>();
  readonly #computedTexts = new Map<string, string>();

  constructor(directory: string, settings: Settings, overrides: readonly Override[] = []) {
    this.directory = directory;
    this.settings = settings;
    this.#overrides = new Map(overrides);
  }

  /** Reads main.cf of this directory; throws ConfigurationError when it is missing or cannot be parsed. */
  static load(directory: string, { overrides, warn = () => {} }: LoadOptions = {}): Configuration {
    return new Configuration(directory, readMainCf(`${directory}/main.cf`, warn), overrides);
  }

  /** The same main.cf below other overrides: a row's `-o`, which stand above those that hold already. */
  withOverrides(overrides: readonly Override[]): Configuration {
    return new Configuration(this.directory, this.settings, [...this.#overrides, ...overrides]);
  }

  /** The value of a parameter in its own type; times are seconds. */
  get<N extends ParameterName>(name: N): ParameterValue<N> {
    let value = this.#values.get(name);
    if (value === undefined) {
      value = this.#convert(name, cardOf(name) as Card);
      this.#values.set(name, value);
    }
    return value as ParameterValue<N>;
  }

  /** What a program reads, all at once: later access costs nothing, and bad values are known at the start. */
  view<const N extends readonly ParameterName[]>(names: N): View<N> {
    return Object.freeze(Object.fromEntries(names.map((name) => [name, this.get(name)]))) as View<N>;
  }

  /** What holds for this transport: `<transport><suffix>`, or the default for all transports. */
  transport<S extends TransportSuffix>(transport: string, suffix: S): TransportValue<S> {
    const name = transport + suffix;
    let value = this.#values.get(name);
    if (value === undefined) {
      value = this.#convert(name, familyMember(transport, suffix).card);
      this.#values.set(name, value);
    }
    return value as TransportValue<S>;
  }

  /** Expanded text of any name: parameter, member of a family, user-defined; '' when nobody defined it. */
  text(name: string): string {
    let text = this.#texts.get(name);
    if (text === undefined) {
      const written = this.written(name);
      text = written === undefined ? '' : cardOf(name)?.kind === 'raw' ? written : this.#expand(written, name);
      this.#texts.set(name, text);
    }
    return text;
  }

  /** The text of a name before expansion: override, main.cf, or default. */
  written(name: string): string | undefined {
    return this.#overrides.get(name) ?? this.settings.get(name)?.value ?? this.defaultText(name);
  }

  /** The unexpanded default; for the computed ones what this machine gives. */
  defaultText(name: string): string | undefined {
    const card = cardOf(name) ?? splitFamilyName(name)?.card;
    return card?.computed ? this.#computed(name) : card?.default;
  }

  // mydomain looks at myhostname and the other way round; a main.cf that makes this a circle gets an empty text.
  #computed(name: string): string {
    let text = this.#computedTexts.get(name);
    if (text === undefined) {
      this.#computedTexts.set(name, '');
      text = computedDefault(name, this);
      this.#computedTexts.set(name, text);
    }
    return text;
  }

  /** Is it set, in main.cf or by an override? */
  has(name: string): boolean {
    return this.#overrides.has(name) || this.settings.has(name);
  }

  /** Where main.cf sets it; undefined for overrides and defaults. */
  origin(name: string): Origin | undefined {
    return this.#overrides.has(name) ? undefined : this.settings.get(name);
  }

  /** Text with every `$name` replaced; for text that is not itself the value of a parameter. */
  expand(text: string): string {
    return this.#expand(text);
  }

  #expand(text: string, name?: string): string {
    if (!text.includes('$')) return text;
    try {
      return expand(text, { lookup: (other) => this.written(other), recursive: true });
    } catch (error) {
      if (!(error instanceof ExpansionError || error instanceof LevelError)) throw error;
      const fix = error.message.startsWith('unreasonable') ? 'a value must not refer to itself' : undefined;
      throw new ConfigurationError(name === undefined ? error.message : `parameter ${name}: ${error.message}`, name === undefined ? undefined : this.origin(name), fix);
    }
  }

  #convert(name: string, card: Card): Value {
    return convertValue(name, this.text(name), card, (text) => this.#expand(text), this.origin(name));
  }
}
