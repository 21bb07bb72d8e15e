// The command line of postconf(1): single-letter options, and which of them go together. Pure; a command line that makes no
// sense throws Fatal in Postfix's words.
import { Fatal } from './output.ts';

/** Every option that says what to do or how; `PP` is `-P` twice. `-C` only chooses, and goes with everything. */
export type Flag = 'a' | 'A' | 'b' | 'd' | 'e' | 'f' | 'F' | 'h' | 'H' | 'j' | 'l' | 'm' | 'M' | 'n' | 'o' | 'p' | 'P' | 't' | 'T' | 'x' | 'X' | '#' | 'PP';

export interface CommandLine {
  readonly flags: ReadonlySet<Flag>;
  /** `-c`, as the system gave it; all other text is byte strings. */
  readonly directory: string | undefined;
  readonly classes: string | undefined;
  /** What `-T` asks for. */
  readonly tls: string | undefined;
  /** `-o name=value`. */
  readonly overrides: readonly string[];
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly operands: readonly string[];
}

/** The C library's complaint, if any, which stands on a line before the usage. */
export class WrongOption extends Fatal {
  readonly trouble: string | undefined;

  constructor(trouble?: string) {
    super(usage);
    this.trouble = trouble;
  }
}

const withValue = new Set(['c', 'C', 'o', 'T']);
const plain = new Set('aAbdefFhHjlmMnpPqtvxX#');

export function parseCommandLine(argv: readonly string[]): CommandLine {
  const flags = new Set<Flag>();
  const overrides: string[] = [];
  const values = new Map<string, string>();
  let [quiet, verbose] = [false, false];
  let at = 0;
  for (; at < argv.length; at++) {
    const word = argv[at]!;
    if (word[0] !== '-' || word === '-') break;
    if (word === '--') {
      at++;
      break;
    }
    for (let index = 1; index < word.length; index++) {
      const letter = word[index]!;
      if (plain.has(letter)) {
        if ((letter === 'b' || letter === 't') && (flags.has('b') || flags.has('t'))) throw new Fatal('specify one of -b and -t');
        if (letter === 'q') quiet = true;
        else if (letter === 'v') verbose = true;
        else if (letter === 'P' && flags.has('P')) flags.add('PP');
        else flags.add(letter as Flag);
        continue;
      }
      // Postfix's program knows the letter and has no use for it.
      if (letter === 'E') throw new WrongOption();
      if (!withValue.has(letter)) throw new WrongOption(`invalid option -- '${letter}'`);
      const value = word.slice(index + 1) || argv[++at];
      if (value === undefined) throw new WrongOption(`option requires an argument -- '${letter}'`);
      if (letter === 'T' && flags.has('T')) throw new Fatal('At most one -T <mode> option may be specified');
      if (letter === 'o') overrides.push(byteString(value));
      else values.set(letter, value);
      if (letter !== 'c' && letter !== 'C') flags.add(letter as Flag);
      break;
    }
  }
  const operands = argv.slice(at).map(byteString);
  complete(flags, operands);
  return { flags, directory: values.get('c'), classes: values.get('C'), tls: values.get('T'), overrides, quiet, verbose, operands };
}

function byteString(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

const majorModes: readonly Flag[] = ['a', 'A', 'b', 'l', 'm', 't', 'p', 'M', 'F', 'P', 'T'];

const exclusive: readonly (readonly Flag[])[] = [
  majorModes,
  ['PP', 'e', '#', 'X'],
  ['d', 'e', 'n', '#', 'X'],
  ['f', 'e', '#', 'X'],
  ['x', 'e', '#', 'X'],
  ['o', 'd', 'e', '#', 'X'],
  ['h', 'e', '#', 'X', 'H'],
];

/** An option, and what may stand beside it. */
const companions: readonly (readonly [Flag, readonly Flag[]])[] = [
  ['a', []], ['A', []], ['b', []], ['l', []], ['m', []], ['T', []], ['t', []],
  ['p', ['e', 'X', '#', 'f', 'h', 'x', 'd', 'n', 'o', 'H', 'j']],
  ['M', ['e', 'X', '#', 'f', 'o', 'x', 'j']],
  ['F', ['e', 'f', 'h', 'o', 'x', 'H', 'j']],
  ['P', ['e', 'X', 'f', 'h', 'o', 'x', 'H', 'j', 'PP']],
  ['PP', ['f', 'h', 'o', 'x', 'H', 'j', 'P']],
  ['j', ['p', 'M', 'F', 'P', 'o', 'x', 'n', 'd']],
];

/** The order in which Postfix names options. */
const naming: readonly Flag[] = ['a', 'A', 'b', 'd', 'e', 'f', 'F', 'h', 'H', 'j', 'l', 'm', 'M', 'n', 'o', 'p', 'P', 't', 'T', 'x', 'X', '#', 'PP'];

function complete(flags: Set<Flag>, operands: readonly string[]): void {
  if (!majorModes.some((flag) => flags.has(flag))) flags.add('p');
  if (['p', 'M', 'F', 'P'].some((flag) => flags.has(flag as Flag)) && operands[0]?.includes('=')) flags.add('e');
  for (const group of exclusive) {
    const given = group.filter((flag) => flags.has(flag));
    if (given.length > 1) throw new Fatal(`specify one of ${names(given).join(', ')}`);
  }
  for (const [flag, allowed] of companions) {
    const excess = [...flags].filter((other) => other !== flag && !allowed.includes(other));
    if (flags.has(flag) && excess.length > 0)
      throw new Fatal(`with option ${names([flag])}, do not specify ${names(excess).join(' ')}`);
  }
  if (flags.has('e') && operands.length === 0) throw new Fatal('-e requires name=value argument');
}

function names(flags: readonly Flag[]): string[] {
  return naming.filter((flag) => flags.includes(flag)).map((flag) => `-${flag}`);
}

const usage = [
  'usage: postconf', '[-a (server SASL types)]', '[-A (client SASL types)]', '[-b (bounce templates)]', '[-c config_dir]', '[-C param_class]',
  '[-d (parameter defaults)]', '[-e (edit configuration)]', '[-f (fold lines)]', '[-F (master.cf fields)]', '[-h (no names)]', '[-H (no values)]',
  '[-j (streaming JSON)]', '[-l (lock types)]', '[-m (map types)]', '[-M (master.cf)]', '[-n (non-default parameters)]',
  '[-o name=value (override parameter value)]', '[-p (main.cf, default)]', '[-P (master.cf parameters)]', '[-q (no warnings about names)]',
  '[-t (bounce templates)]', '[-T compile-version|run-version|public-key-algorithms]', '[-v (verbose)]', '[-x (expand parameter values)]',
  '[-X (exclude)]', '[-# (comment-out)]', '[name...]',
].join(' ');
