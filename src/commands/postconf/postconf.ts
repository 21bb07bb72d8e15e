// postconf(1): shows and edits main.cf and master.cf. Ends with 0, or with 1 when something could not be done at all; odd names
// and values are warned of on standard error and do not change the status.
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { readConfigurationFile, readMainCf, splitNameValue } from '../../config/main-cf.ts';
import type { Settings } from '../../config/main-cf.ts';
import { editMain, parseEdits } from './edit-main.ts';
import type { EditMode } from './edit-main.ts';
import { MasterEdit } from './edit-master.ts';
import { parseCommandLine, WrongOption } from './options.ts';
import type { CommandLine, Flag } from './options.ts';
import { Console, Fatal } from './output.ts';
import type { Output } from './output.ts';
import { parseServiceRows } from './service-rows.ts';
import type { ServiceRow } from './service-rows.ts';
import { parseClasses, showParameters } from './show-parameters.ts';
import { showEntries, showFields, showServiceParameters } from './show-services.ts';
import { ParameterTable } from './table.ts';
import { UnusedNames } from './unused.ts';
import { registerUserNames } from './user-parameters.ts';

export async function main(argv: readonly string[], environment: NodeJS.ProcessEnv, out: Output): Promise<number> {
  const console = new Console(out, 'postconf');
  try {
    const line = parseCommandLine(argv);
    await new Postconf(line, configDirectory(line.directory, environment), console).run();
    return 0;
  } catch (error) {
    if (!(error instanceof Fatal || error instanceof ConfigurationError)) throw error;
    if (error instanceof WrongOption) console.complain(error.trouble);
    console.fatal(error.message);
    return 1;
  }
}

class Postconf {
  readonly #line: CommandLine;
  readonly #flags: ReadonlySet<Flag>;
  readonly #directory: string;
  readonly #console: Console;

  constructor(line: CommandLine, directory: string, console: Console) {
    this.#line = line;
    this.#flags = line.flags;
    this.#directory = directory;
    this.#console = console;
  }

  // Tables and locks bring native libraries along; who only looks at settings need not wait for those.
  async run(): Promise<void> {
    const has = (...flags: Flag[]): boolean => flags.some((flag) => this.#flags.has(flag));
    if (has('l')) this.#console.print('flock\nfcntl\ndotlock\n');
    else if (has('m')) this.#console.print((await import('../../tables/open.ts')).tableTypes().map((type) => `${type}\n`).join(''));
    else if (has('a', 'A', 'b', 't', 'T')) throw new Fatal(`option -${[...this.#flags][0]} is not supported by this release`);
    else if (has('e', 'X', '#')) await this.#edit(has('e') ? 'set' : has('X') ? 'remove' : 'comment out');
    else this.#show(has('M', 'F', 'P'));
  }

  async #edit(mode: EditMode): Promise<void> {
    const { operands } = this.#line;
    const { warn } = this.#console;
    if (operands.length === 0) throw new Fatal('missing service argument');
    const { editFile } = await import('./atomic-edit.ts');
    const target = this.#flags.has('M') ? 'row' : this.#flags.has('F') ? 'field' : this.#flags.has('P') ? 'parameter' : undefined;
    if (target) {
      const file = this.#file('master.cf');
      const edit = new MasterEdit(file, target, mode, operands, warn);
      editFile(file, (text) => edit.apply(text));
    } else {
      const file = this.#file('main.cf');
      const requests = parseEdits(operands, mode, warn);
      editFile(file, (text) => editMain(text, file, mode, requests, warn));
    }
  }

  #show(master: boolean): void {
    const { operands, classes, quiet } = this.#line;
    const console = this.#console;
    const defaultsOnly = this.#flags.has('d');
    const chosen = parseClasses(classes);
    const table = this.#table(defaultsOnly);
    const rows = this.#rows(master);
    for (const row of rows) table.addService(row);
    const local = defaultsOnly ? new Map() : registerUserNames({ table, rows, console, quiet });
    const show = { table, console, flags: this.#flags };
    if (this.#flags.has('F')) showFields(show, rows, operands);
    else if (this.#flags.has('P')) showServiceParameters(show, rows, chosen, operands);
    else if (this.#flags.has('M')) showEntries(show, rows, operands);
    else showParameters(show, chosen, operands);
    if (defaultsOnly || quiet) return;
    const unused = new UnusedNames(table, console, local);
    if (!master) unused.reportMain();
    unused.reportMaster(rows);
    if (unused.deprecated) console.warn('See https://www.postfix.org/DEPRECATION_README.html for details');
  }

  #table(defaultsOnly: boolean): ParameterTable {
    const directory = this.#directory;
    if (defaultsOnly) return new ParameterTable(new Configuration(directory, new Map()), new Map(), 'defaults');
    const file: Settings = readMainCf(this.#file('main.cf'), this.#console.warn);
    const overrides = this.#line.overrides.map(parseOverride);
    const settings = new Map([['config_directory', directory], ...[...file].map(([name, { value }]) => [name, value] as const), ...overrides]);
    return new ParameterTable(new Configuration(directory, file, overrides), settings, 'settings');
  }

  // Without master.cf main.cf can still be shown.
  #rows(needed: boolean): ServiceRow[] {
    const file = this.#file('master.cf');
    let text: string;
    try {
      text = readConfigurationFile(file);
    } catch (error) {
      if (needed || !(error instanceof ConfigurationError)) throw error;
      this.#console.warn(error.message);
      return [];
    }
    return parseServiceRows(text, file, this.#console.warn);
  }

  #file(name: string): string {
    return `${this.#directory}/${name}`;
  }
}

function parseOverride(text: string): readonly [string, string] {
  const pair = splitNameValue(text);
  if (typeof pair === 'string') throw new Fatal(`invalid parameter override: ${text}: ${pair}`);
  return pair;
}
