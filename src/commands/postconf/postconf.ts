// postconf(1): shows and edits main.cf and master.cf. Ends with 0, or with 1 when something could not be done at all; odd names
// and values are warned of on standard error and do not change the status.
import { Configuration, configDirectory } from '../../config/configuration.ts';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { readConfigurationFile, readMainCf, splitNameValue } from '../../config/main-cf.ts';
import { describeNotYetUsed, notYetUsed } from '../../config/not-yet-used.ts';
import type { Settings } from '../../config/main-cf.ts';
import { editMain, parseEdits } from './edit-main.ts';
import type { EditMode } from './edit-main.ts';
import { MasterEdit } from './edit-master.ts';
import { parseCommandLine, WrongOption } from './options.ts';
import type { CommandLine, Flag } from './options.ts';
import { clientSaslTypes, serverSaslTypes } from '../../parameters/sasl-types.ts';
import { Console, Ended, Fatal } from './output.ts';
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
    if (error instanceof Ended) return 1;
    if (!(error instanceof Fatal || error instanceof ConfigurationError)) throw error;
    if (error instanceof WrongOption && error.trouble !== undefined) console.complain(error.trouble);
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
    else if (has('b', 't')) await this.#templates(has('b'));
    else if (has('a')) this.#console.print(serverSaslTypes.map((type) => `${type}\n`).join(''));
    else if (has('A')) this.#console.print(clientSaslTypes.map((type) => `${type}\n`).join(''));
    else if (has('T')) await this.#tls(this.#line.tls!);
    else if (has('e', 'X', '#')) await this.#edit(has('e') ? 'set' : has('X') ? 'remove' : 'comment out');
    else this.#show(has('M', 'F', 'P'));
  }

  async #tls(question: string): Promise<void> {
    const { tlsFacts, tlsQuestions } = await import('./tls-facts.ts');
    const facts = tlsFacts(question);
    if (facts === undefined) {
      this.#console.warn(`unknown 'postconf -T' mode: ${question} (known are ${tlsQuestions})`);
      throw new Ended();
    }
    this.#console.print(facts);
  }

  async #templates(expanded: boolean): Promise<void> {
    const { operands } = this.#line;
    if (operands.length > 1) throw new Fatal('options -b and -t require at most one template file');
    const { warn } = this.#console;
    const configuration = Configuration.load(this.#directory, { warn });
    const { showTemplates } = await import('./show-templates.ts');
    this.#console.print(showTemplates(configuration, operands[0] ?? configuration.get('bounce_template_file'), expanded, warn));
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
      this.#note(file, editFile(file, (text) => edit.apply(text)));
    } else {
      const file = this.#file('main.cf');
      const requests = parseEdits(operands, mode, warn);
      this.#note(file, editFile(file, (text) => editMain(text, file, mode, requests, warn)));
    }
  }

  // With -v: whether there was anything to do.
  #note(file: string, changed: boolean): void {
    if (this.#line.verbose) this.#console.complain(`${file}: ${changed ? 'changed' : 'unchanged'}`);
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
    this.#reportNotYetUsed(table, rows, master);
    if (unused.deprecated) console.warn('See https://www.postfix.org/DEPRECATION_README.html for details');
  }

  // Who asks for some parameters hears of those only.
  #reportNotYetUsed({ configuration: { settings } }: ParameterTable, rows: readonly ServiceRow[], master: boolean): void {
    const { operands } = this.#line;
    const file = this.#file('master.cf');
    const shown = master ? [] : [...settings].filter(([name]) => operands.length === 0 || operands.includes(name));
    const shownRows = master || operands.length === 0 ? rows : [];
    const rowSettings = shownRows.map(({ line, parameters }) => ({ file, line, overrides: parameters ?? [] }));
    for (const trouble of notYetUsed(new Map(shown), rowSettings)) this.#console.warn(describeNotYetUsed(trouble));
  }

  #table(defaultsOnly: boolean): ParameterTable {
    const directory = this.#directory;
    if (defaultsOnly) return new ParameterTable(new Configuration(directory, new Map()), new Map(), 'defaults');
    const file: Settings = readMainCf(this.#file('main.cf'), this.#console.warn);
    const place = file.get('config_directory');
    if (place && place.value !== directory) this.#console.warn(`${place.file}, line ${place.line}: overriding earlier entry: config_directory=${directory}`);
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
