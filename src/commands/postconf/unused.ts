// Warns of names that are set and that nothing uses, with the name that was probably meant, and of names that will go away.
import { cardOf, parameterNames } from '../../parameters/parameters.ts';
import { restrictionNames } from '../../parameters/restriction-names.ts';
import { didYouMean } from './show-parameters.ts';
import type { Console } from './output.ts';
import type { ServiceRow } from './service-rows.ts';
import type { ParameterTable } from './table.ts';
import type { LocalNames } from './user-parameters.ts';

/** Names whose card is gone or that only survive in the default of another; the value is what to use instead. */
const replacements: ReadonlyMap<string, string> = new Map([
  ...parameterNames().flatMap((name) => (cardOf(name)?.olderNames ?? []).map((older) => [older, name] as const)),
  ['tlsproxy_client_loglevel_parameter', ''],
]);

export class UnusedNames {
  /** Was a name met that will go away? */
  deprecated = false;
  readonly #table: ParameterTable;
  readonly #console: Console;
  readonly #local: LocalNames;

  constructor(table: ParameterTable, console: Console, local: LocalNames) {
    this.#table = table;
    this.#console = console;
    this.#local = local;
  }

  reportMain(): void {
    this.#report('main.cf', this.#table.settings);
  }

  reportMaster(rows: readonly ServiceRow[]): void {
    for (const row of rows) if (row.parameters) this.#report('master.cf', row.parameters, this.#local.get(row));
  }

  #report(base: string, values: ReadonlyMap<string, string>, local?: ReadonlySet<string>): void {
    const file = `${this.#table.configuration.directory}/${base}`;
    for (const name of [...values.keys()].sort()) {
      const known = this.#table.entries.has(name) || local?.has(name) === true;
      const instead = replacements.get(name) ?? cardOf(name)?.deprecated;
      if (instead !== undefined) this.#reportDeprecated(file, name, known, instead);
      else if (!known) this.#console.warn(`${file}: unused parameter: ${name}=${values.get(name)}${this.#remark(name)}`);
    }
  }

  #reportDeprecated(file: string, name: string, known: boolean, instead: string): void {
    this.deprecated = true;
    const advice = instead === '' ? this.#leaveOut(name) : `specify "${instead}"`;
    this.#console.warn(known
      ? `${file}: support for parameter "${name}" will be removed; instead, ${advice}`
      : `${file}: support for parameter ${name} has been removed; instead, ${advice}`);
  }

  #leaveOut(name: string): string {
    return name.startsWith('smtpd_tls_') ? 'do not specify (leave at default)' : 'do not specify';
  }

  #remark(name: string): string {
    if (restrictionNames.has(name)) return ` (${name} is a restriction: list it in smtpd_recipient_restrictions or one of its relatives)`;
    return didYouMean(name, this.#table);
  }
}
