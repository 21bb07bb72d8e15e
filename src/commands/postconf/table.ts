// All names that have a meaning here: built-in parameters, those that the services of master.cf bring with them, legacy names
// that defaults refer to, and names that the operator made up and uses. Names that are set but in none of these are unused.
import { cardOf, parameterNames } from '../../parameters/parameters.ts';
import { familyMember, familyNamesWithOwnDefault, splitFamilyName, suffixesOfProgram } from '../../parameters/families.ts';
import { expand } from '../../config/expand.ts';
import type { Configuration } from '../../config/configuration.ts';
import type { ServiceRow } from './service-rows.ts';

export type ParameterClass = 'builtin' | 'service' | 'user' | 'legacy';

export interface TableEntry {
  class: ParameterClass;
  readonly raw: boolean;
  readonly readOnly: boolean;
  /** The unexpanded default. */
  readonly defaultText: () => string;
}

/** Parameters of the process itself: nobody can set them. */
const readOnlyNames = new Set(['process_id', 'process_name', 'service_name']);

export type Scope = 'defaults' | 'settings';

export class ParameterTable {
  readonly entries = new Map<string, TableEntry>();
  /** What main.cf and `-o` say; not consulted for defaults only. */
  readonly settings: Map<string, string>;
  readonly configuration: Configuration;
  readonly scope: Scope;

  constructor(configuration: Configuration, settings: Map<string, string>, scope: Scope) {
    this.configuration = configuration;
    this.settings = settings;
    this.scope = scope;
    for (const name of [...parameterNames(), ...familyNamesWithOwnDefault]) this.#addBuiltIn(name);
    for (const name of legacyNames()) this.entries.set(name, entry('legacy', () => ''));
  }

  #addBuiltIn(name: string): void {
    const raw = cardOf(name)?.kind === 'raw';
    const defaultText = (): string => {
      if (name === 'process_name') return 'postconf';
      // With -d nothing but the built-in text counts, wherever the files are.
      if (name === 'config_directory') return cardOf(name)!.default;
      return this.configuration.defaultText(name) ?? '';
    };
    this.entries.set(name, { class: 'builtin', raw, readOnly: readOnlyNames.has(name), defaultText });
  }

  /** Adds the names that exist because of this row: `<service>_destination_recipient_limit` and its like. */
  addService({ fields }: ServiceRow): void {
    const [service, program] = [fields[0]!, fields[7]!];
    for (const suffix of suffixesOfProgram.get(program) ?? []) {
      const known = this.entries.get(service + suffix);
      const { fallback } = familyMember(service, suffix);
      if (known) known.class = 'service';
      else this.entries.set(service + suffix, entry('service', () => `$${fallback}`));
    }
  }

  addUserDefined(name: string): void {
    if (!this.entries.has(name)) this.entries.set(name, entry('user', () => ''));
  }

  /** The text of a name before expansion: of this row, of main.cf, or the default. */
  lookup(name: string, row?: ServiceRow | undefined, settingsOnly = false): string | undefined {
    if (this.scope === 'settings') {
      const value = row?.readOnly.get(name) ?? row?.parameters?.get(name) ?? this.settings.get(name);
      if (value !== undefined) return value;
      if (settingsOnly) return undefined;
    }
    return this.entries.get(name)?.defaultText();
  }

  /** Throws ExpansionError or LevelError. */
  expand(text: string, row?: ServiceRow | undefined): string {
    return expand(text, {
      lookup: (name) => this.lookup(name, row),
      recursive: true,
      isRaw: (name) => this.entries.get(name)?.raw === true,
    });
  }
}

function entry(parameterClass: ParameterClass, defaultText: () => string): TableEntry {
  return { class: parameterClass, raw: false, readOnly: false, defaultText };
}

/** Earlier names that still count, because the default of the newer one refers to them. */
export function legacyNames(): string[] {
  return parameterNames().flatMap((name) => cardOf(name)?.olderNames ?? []);
}

/** Every name that could be meant by one that is not known. */
export function knownNames(table: ParameterTable): string[] {
  return [...table.entries.keys()].filter((name) => splitFamilyName(name) === undefined || cardOf(name) !== undefined);
}
