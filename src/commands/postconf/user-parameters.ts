// Finds the names that the operator made up: a name that is set somewhere counts as known once some value refers to it, or
// once it is listed in smtpd_restriction_classes, or belongs to an old-style database table. Warns of names that values refer
// to and nobody sets.
import { splitList } from '../../text/ascii.ts';
import { visitNames } from '../../config/expand.ts';
import type { Console } from './output.ts';
import { expandOrEnd, isExpansionTrouble } from './expansion.ts';
import type { ServiceRow } from './service-rows.ts';
import type { ParameterTable } from './table.ts';
import { DatabaseNames } from './database-names.ts';

/** Names that are known within one row only. */
export type LocalNames = ReadonlyMap<ServiceRow, Set<string>>;

export interface NameScan {
  readonly table: ParameterTable;
  readonly rows: readonly ServiceRow[];
  readonly console: Console;
  readonly quiet: boolean;
}

export function registerUserNames(scan: NameScan): LocalNames {
  return new UserNames(scan).register();
}

class UserNames {
  readonly #scan: NameScan;
  readonly #local = new Map<ServiceRow, Set<string>>();
  readonly #restrictionClasses = new Set<string>();
  readonly #databases: DatabaseNames;

  constructor(scan: NameScan) {
    this.#scan = scan;
    this.#databases = new DatabaseNames(scan, (name, row) => this.#flag(name, row, false));
  }

  register(): LocalNames {
    const { rows, table } = this.#scan;
    for (const row of rows) if (row.parameters) this.#local.set(row, new Set());
    for (const row of rows) if (row.parameters) this.#visitNameSpace(row.parameters, row);
    for (const [name, { raw, defaultText }] of [...table.entries])
      if (!raw && !table.settings.has(name)) this.#visitValue(defaultText());
    this.#visitNameSpace(table.settings);
    return this.#local;
  }

  #visitNameSpace(values: Map<string, string>, row?: ServiceRow): void {
    const { table, console } = this.#scan;
    const classes = values.get('smtpd_restriction_classes');
    if (classes !== undefined)
      for (const name of splitList(expandOrEnd(table, console, classes, row))) {
        if (!row) this.#restrictionClasses.add(name);
        this.#flag(name, row);
      }
    for (const [name, value] of [...values]) {
      if (row && this.#restrictionClasses.has(name)) this.#local.get(row)!.add(name);
      const known = table.entries.get(name);
      if (known?.readOnly) {
        console.warn(`${this.#file(row)}: read-only parameter assignment: ${name}=${value}`);
        values.delete(name);
        continue;
      }
      if (known?.class === 'legacy') known.class = 'user';
      if (known?.raw) continue;
      this.#visitValue(value, row);
      if (known?.class === 'builtin' || known?.class === 'service') this.#databases.visit(value, row);
    }
  }

  #visitValue(value: string, row?: ServiceRow): void {
    try {
      visitNames(value, (name) => this.#flag(name, row));
    } catch (error) {
      if (!isExpansionTrouble(error)) throw error;
      this.#scan.console.warn(error.message);
    }
  }

  // A name of a row may refer to one of the row or of main.cf; one of main.cf also to names that rows set.
  #flag(name: string, row: ServiceRow | undefined, complain = true): void {
    const { table, rows, console } = this.#scan;
    let set = false;
    if (row?.parameters?.has(name)) {
      set = true;
      this.#local.get(row)?.add(name);
    } else if (table.settings.has(name)) {
      set = true;
      table.addUserDefined(name);
    }
    if (!row)
      for (const other of rows)
        if (other.parameters?.has(name)) {
          set = true;
          this.#local.get(other)?.add(name);
        }
    if (!set && complain && !table.entries.has(name)) console.warn(`${this.#file(row)}: undefined parameter: ${name}`);
  }

  #file(row: ServiceRow | undefined): string {
    return `${this.#scan.table.configuration.directory}/${row ? 'master.cf' : 'main.cf'}`;
  }
}
