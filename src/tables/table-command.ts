/**
 * What postmap(1) and postalias(1) have in common: command line, queries, listing, removal, building.
 *
 * A Dialect says how they differ. Ends with 0, or 1 when a key was not found or something could not be done; complaints go to
 * standard error as "postmap: warning: ...". Everything is byte strings.
 */
import { basename } from 'node:path';
import { printable } from '../text/ascii.ts';
import { Progress, type Terminal } from '../text/progress.ts';
import { Configuration, configDirectory } from '../config/configuration.ts';
import { ConfigurationError } from '../config/configuration-error.ts';
import { addToIndex, BuildTrouble, buildIndex, checkSource, removeFromIndex, type BuildOptions } from './build.ts';
import { servingType } from './indexed.ts';
import { contentKeys, untilNul } from './content-keys.ts';
import { openTable, tableTypes } from './open.ts';
import { proxyEntries } from './server/proxy.ts';
import type { SourceEntry, SourceOptions } from './source.ts';
import { TableTrouble, type Duplicates, type LookupTable, type TableContext, type TableOptions } from './table.ts';
import { decodeFiles } from './value-file.ts';

export interface Writer {
  write(chunk: Uint8Array): unknown;
}

export interface CommandStreams {
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly stdout: Writer;
  readonly stderr: Terminal;
}

export interface Dialect {
  readonly program: string;
  /** Letters of the options, as for getopt(3). */
  readonly options: string;
  readonly usage: string;
  /** Between key and value in lists. */
  readonly separator: string;
  readonly parse: (text: string, options: SourceOptions) => Iterable<SourceEntry>;
  readonly last?: readonly [string, string];
}

/** Ends the command with status 1 after its text was told. */
class Fatal extends Error {}

interface CommandLine {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  /** The duplicates option that was given last. */
  readonly duplicates: Duplicates;
  readonly nul: 'with' | 'without' | undefined;
  readonly operands: readonly string[];
}

/** getopt(3): options end at the first operand or at `--`. The trouble is told as the C library does. */
function readOptions(argv: readonly string[], letters: string): { found: [string, string][]; operands: string[]; trouble?: string } {
  const found: [string, string][] = [];
  let at = 0;
  for (; at < argv.length && argv[at]!.startsWith('-') && argv[at] !== '-'; at++) {
    const word = argv[at]!;
    if (word === '--') return { found, operands: argv.slice(at + 1) };
    for (let index = 1; index < word.length; index++) {
      const place = word[index] === ':' ? -1 : letters.indexOf(word[index]!);
      if (place < 0) return { found, operands: [], trouble: `invalid option -- '${word[index]}'` };
      if (letters[place + 1] !== ':') {
        found.push([word[index]!, '']);
        continue;
      }
      const value = index + 1 < word.length ? word.slice(index + 1) : argv[++at];
      if (value === undefined) return { found, operands: [], trouble: `option requires an argument -- '${word[index]}'` };
      found.push([word[index]!, value]);
      break;
    }
  }
  return { found, operands: argv.slice(at) };
}

const modes = ['d', 'i', 'q', 's'];
const duplicatesOf = new Map<string, Duplicates>([['r', 'replace'], ['w', 'ignore']]);

function parseCommandLine(argv: readonly string[], { options, usage }: Dialect, say: (text: string) => void): CommandLine {
  const parsed = readOptions(argv, options);
  if (parsed.trouble !== undefined) say(parsed.trouble);
  if (parsed.trouble !== undefined) throw new Fatal(usage);
  const flags = new Set<string>();
  let duplicates: Duplicates = 'warn';
  let nul: 'with' | 'without' | undefined;
  for (const [letter] of parsed.found) {
    if (modes.includes(letter) && modes.some((mode) => flags.has(mode))) throw new Fatal('specify only one of -d -i -q or -s');
    flags.add(letter);
    duplicates = duplicatesOf.get(letter) ?? duplicates;
    if (letter === 'N' || letter === 'n') nul = letter === 'N' ? 'with' : 'without';
  }
  if (flags.has('j') && !flags.has('q') && !flags.has('s')) throw new Fatal('option -j requires -q or -s');
  const values = new Map(parsed.found);
  if (parsed.operands.length === 0 && !flags.has('s')) throw new Fatal(usage);
  return { flags, values, duplicates, nul, operands: parsed.operands };
}

/** Run the command; the exit status. */
export async function runTableCommand(dialect: Dialect, argv: readonly string[], environment: NodeJS.ProcessEnv, streams: CommandStreams): Promise<number> {
  const say = (text: string): void => void streams.stderr.write(Buffer.from(`${dialect.program}: ${printable(text, '?', true)}\n`, 'latin1'));
  const warn = (text: string): void => say(`warning: ${text}`);
  try {
    const line = parseCommandLine(argv.map((word) => Buffer.from(word, 'utf8').toString('latin1')), dialect, say);
    const configuration = Configuration.load(configDirectory(line.values.get('c'), environment), { environment, warn });
    checkMessageFlags(line, warn);
    return await new TableCommand(dialect, line, configuration, warn, { ...streams, environment }).run();
  } catch (error) {
    if (!(error instanceof Fatal || error instanceof BuildTrouble || error instanceof ConfigurationError)) throw error;
    say(`fatal: ${error.message}`);
    return 1;
  }
}

/** Complaints that come after main.cf was read. */
function checkMessageFlags({ flags, values }: CommandLine, warn: (text: string) => void): void {
  const [looksAtContent, looksAtParts] = [flags.has('b') || flags.has('h'), flags.has('m')];
  if ((looksAtContent || looksAtParts) && values.get('q') !== '-') throw new Fatal('specify -b -h or -m only with "-q -"');
  if (looksAtParts && !looksAtContent) warn('ignoring -m option without -b or -h');
}

interface Surroundings extends CommandStreams {
  readonly environment: NodeJS.ProcessEnv;
}

class TableCommand {
  readonly #dialect: Dialect;
  readonly #line: CommandLine;
  readonly #configuration: Configuration;
  readonly #context: TableContext;
  readonly #streams: Surroundings;
  readonly #utf8: boolean;
  /** The keys are made of a message (-b, -h). */
  readonly #ofMessage: boolean;

  constructor(dialect: Dialect, line: CommandLine, configuration: Configuration, warn: (text: string) => void, streams: Surroundings) {
    this.#dialect = dialect;
    this.#line = line;
    this.#configuration = configuration;
    this.#streams = streams;
    // Messages are bytes of any kind, unless the operator knows better.
    this.#ofMessage = line.flags.has('b') || line.flags.has('h');
    this.#utf8 = !line.flags.has('u') && (!this.#ofMessage || line.flags.has('U')) && configuration.get('smtputf8_enable');
    this.#context = {
      parameter: (name) => configuration.text(name),
      warn,
      error: (text) => {
        throw new Fatal(text);
      },
    };
  }

  async run(): Promise<number> {
    const { flags, values } = this.#line;
    if (flags.has('d')) return this.#remove(values.get('d')!);
    if (flags.has('q') && values.get('q') !== '-') return this.#query(values.get('q')!);
    if (flags.has('q')) return this.#queries(this.#ofMessage ? contentKeys(this.#streams.stdin, flags) : linesOf(this.#streams.stdin));
    if (flags.has('s')) return this.#list();
    process.umask(0o022);
    for (const operand of this.#line.operands) await this.#build(...this.#split(operand));
    return 0;
  }

  /** `type:name`, or a name of the default type. */
  #split(operand: string): [type: string, name: string] {
    const colon = operand.indexOf(':');
    return colon < 0 ? [this.#configuration.text('default_database_type'), operand] : [operand.slice(0, colon), operand.slice(colon + 1)];
  }

  #open(operand: string): LookupTable {
    const { flags, nul, duplicates } = this.#line;
    const options: TableOptions = { duplicates, fold: !flags.has('f'), utf8: this.#utf8, valueIsFile: flags.has('F'), ...(nul ? { nul } : {}) };
    return openTable(this.#split(operand).join(':'), this.#context, options);
  }

  async #find(table: LookupTable, key: string): Promise<string | undefined> {
    let value: string | undefined;
    try {
      value = await table.find(key);
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
      throw new Fatal(`table ${table.type}:${table.name}: query error${error.kind === 'config' ? '' : `: ${error.message}`}`);
    }
    if (value === '') this.#emptyValue(table, key);
    return value === undefined ? undefined : this.#decoded(table, key, value);
  }

  #decoded(table: LookupTable, key: string, value: string): string | undefined {
    if (!this.#line.flags.has('F') || this.#ofMessage) return value;
    try {
      return decodeFiles(value);
    } catch (error) {
      this.#context.warn(`table ${table.type}:${table.name}: key ${key}: ${(error as Error).message}`);
      return undefined;
    }
  }

  #emptyValue(table: LookupTable, key: string): void {
    this.#context.warn(`table ${table.type}:${table.name}: key ${key}: empty string result is not allowed`);
    this.#context.warn(`table ${table.type}:${table.name} should return NO RESULT in case of NOT FOUND`);
  }

  #print(text: string): void {
    this.#streams.stdout.write(Buffer.from(text, 'latin1'));
  }

  #printPair(key: string, value: string, plain: string): void {
    this.#print(this.#line.flags.has('j') ? `{"${jsonText(key)}": "${jsonText(value)}"}\n` : plain);
  }

  async #query(key: string): Promise<number> {
    for (const operand of this.#line.operands) {
      const value = await this.#find(this.#open(operand), key);
      if (value === undefined) continue;
      this.#printPair(key, value, `${value}\n`);
      return 0;
    }
    return 1;
  }

  async #queries(keys: AsyncIterable<string>): Promise<number> {
    const tables = new Map<string, LookupTable>();
    const tableOf = (operand: string): LookupTable => {
      if (!tables.has(operand)) tables.set(operand, this.#open(operand));
      return tables.get(operand)!;
    };
    let status = 1;
    for await (const key of keys) {
      for (const operand of this.#line.operands) {
        const value = await this.#find(tableOf(operand), key);
        if (value === undefined) continue;
        this.#printPair(key, value, `${key}${this.#dialect.separator}${value}\n`);
        status = 0;
        break;
      }
    }
    return status;
  }

  async #list(): Promise<number> {
    const [operand] = this.#line.operands;
    if (operand === undefined) return 1;
    const table = this.#open(operand);
    for await (const [key, value] of this.#entries(table)) {
      if (key === '') this.#context.warn(`table ${table.type}:${table.name}: empty lookup key value is not allowed`);
      else if (value === '') this.#emptyValue(table, key);
      const shown = this.#decoded(table, key, value);
      if (shown !== undefined) this.#printPair(key, shown, `${key}${this.#dialect.separator}${shown}\n`);
    }
    return 0;
  }

  async *#entries(table: LookupTable): AsyncGenerator<readonly [string, string]> {
    try {
      yield* table.type === 'proxy' ? proxyEntries(table.name, this.#context) : table.entries!();
    } catch (error) {
      throw error instanceof TableTrouble ? new Fatal(error.message) : error;
    }
  }

  async #remove(key: string): Promise<number> {
    const keys: string[] = [];
    if (key !== '-') keys.push(key);
    else for await (const line of linesOf(this.#streams.stdin)) keys.push(line);
    let removed = 0;
    for (const operand of this.#line.operands) {
      const [type, name] = this.#split(operand);
      const index = servingType(type, this.#context);
      if (!index) throw new Fatal(tableTypes().includes(type) ? `${type}:${name} map requires O_RDONLY access mode` : `unsupported dictionary type: ${type}`);
      removed += removeFromIndex(name, keys, { ...this.#buildOptions(type, name), index }).length;
    }
    return removed > 0 ? 0 : 1;
  }

  async #build(type: string, name: string): Promise<void> {
    if (!this.#line.flags.has('i') && type !== 'proxy') checkSource(name);
    const options = this.#buildOptions(type, name);
    if (this.#line.flags.has('i')) return addToIndex(name, await textOf(this.#streams.stdin), 'stdin', options);
    const { stderr, environment } = this.#streams;
    const progress = new Progress(stderr, { what: `${this.#dialect.program}: ${printable(basename(name), '?')}`, now: () => performance.now(), environment });
    const warn = (text: string): void => (progress.clear(), this.#context.warn(text));
    try {
      buildIndex(name, { ...options, warn, ...(progress.live ? { progress } : {}) });
    } finally {
      progress.clear();
    }
  }

  #buildOptions(type: string, name: string): BuildOptions {
    const { flags, duplicates, nul } = this.#line;
    return {
      index: this.#buildable(type, name),
      duplicates,
      nul,
      fold: !flags.has('f'),
      utf8: this.#utf8,
      valueIsFile: flags.has('F'),
      asOwner: !flags.has('o'),
      savePermissions: !flags.has('p'),
      mapSize: this.#configuration.get('lmdb_map_size'),
      parse: this.#dialect.parse,
      last: this.#dialect.last,
      warn: this.#context.warn,
    };
  }

  #buildable(type: string, name: string) {
    if (type === 'proxy') throw new Fatal("can't create maps via the proxy service");
    const index = servingType(type, this.#context);
    if (name === '') throw new Fatal(`open dictionary: expecting "type:name" form instead of "${type}:${name}"`);
    if (index) return index;
    throw new Fatal(tableTypes().includes(type) ? `no 'map create' support for this type: ${type}` : `unsupported map type: ${type}`);
  }
}

async function textOf(stream: AsyncIterable<Uint8Array | string>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const chunk of stream) parts.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(parts).toString('latin1');
}

/** Lines as they come, without their newlines; the last may lack one. Keys end at a null character. */
async function* linesOf(stream: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + Buffer.from(chunk as Uint8Array).toString('latin1')).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield untilNul(line);
  }
  if (rest !== '') yield untilNul(rest);
}

const shortEscapes = new Map([['\b', '\\b'], ['\f', '\\f'], ['\n', '\\n'], ['\r', '\\r'], ['\t', '\\t'], ['"', '\\"'], ['\\', '\\\\']]);

/** The inside of a JSON string; bytes above 127 stay as they are. */
function jsonText(text: string): string {
  return text.replace(/[\x00-\x1f"\\\x7f]/g, (char) => shortEscapes.get(char) ?? `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`);
}
