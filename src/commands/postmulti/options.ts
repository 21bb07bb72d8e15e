/**
 * The command line of postmulti(1), and which of its options go together. Trouble is a CommandFailed in Postfix's words.
 */
import { getopt } from '../../text/getopt.ts';
import { CommandFailed } from '../voice.ts';

export type EditAction = 'create' | 'import' | 'destroy' | 'deport' | 'enable' | 'disable' | 'assign' | 'init';
export type Mode = 'list' | 'postfix' | 'command' | EditAction;

/** Which instances are meant. */
export type Selection =
  | { readonly kind: 'none' | 'all' }
  | { readonly kind: 'name' | 'group'; readonly name: string };

export interface CommandLine {
  readonly mode: Mode;
  readonly selection: Selection;
  /** New name and group; '' takes them away, undefined leaves them. */
  readonly name: string | undefined;
  readonly group: string | undefined;
  readonly reverse: boolean;
  readonly json: boolean;
  readonly verbose: boolean;
  readonly operands: readonly string[];
}

const usage = 'Usage:postmulti -l [-v] [-a] [-g group] [-i instance] | postmulti -p [-v] [-a] [-g group] [-i instance] command... | '
  + 'postmulti -x [-v] [-a] [-i name] [-g group] command... | postmulti -e action [-v] [-a] [-i name] [-g group] [-I name] [-G group] [param=value ...]';

/** In the order in which Postfix lists them. */
const actions: readonly EditAction[] = ['create', 'destroy', 'import', 'deport', 'enable', 'disable', 'assign', 'init'];
const naming: ReadonlySet<Mode> = new Set<Mode>(['create', 'import', 'assign']);
const adding: ReadonlySet<Mode> = new Set<Mode>(['create', 'import']);
const iterating: ReadonlySet<Mode> = new Set<Mode>(['list', 'postfix', 'command']);

export function isEdit(mode: Mode): mode is EditAction {
  return !iterating.has(mode);
}

function fail(text: string): never {
  throw new CommandFailed(text);
}

function editAction(name: string): EditAction {
  const quoted = actions.map((action) => `'${action}'`);
  return actions.find((action) => action === name)
    ?? fail(`Invalid '-e' edit action '${name}'. Specify ${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`);
}

/** Options as they come: what contradicts itself is told when all are known. */
class Reader {
  readonly #modes = new Set<Mode>();
  #mode: Mode | undefined;
  #modeChanges = 0;
  #selection: Selection = { kind: 'none' };
  #selections = 0;
  #name: string | undefined;
  #group: string | undefined;
  #reverse = false;
  #json = false;
  #verbose = false;

  take(letter: string, value: string): void {
    switch (letter) {
      case 'a': return this.#select({ kind: 'all' }, this.#selection.kind !== 'all');
      case 'g': return this.#select({ kind: 'group', name: value });
      case 'i': return this.#select({ kind: 'name', name: value });
      case 'e': return this.#choose(editAction(value));
      case 'l': return this.#choose('list');
      case 'p': return this.#choose('postfix');
      case 'x': return this.#choose('command');
      case 'G':
        if (this.#group !== undefined) fail("Specify at most one '-G' option");
        this.#group = value === '-' ? '' : value;
        return;
      case 'I':
        if (this.#name !== undefined) fail("Specify at most one '-I' option");
        this.#name = value === '-' ? '' : value;
        return;
      case 'R': this.#reverse = !this.#reverse; return;
      case 'j': this.#json = true; return;
      default: this.#verbose = true;
    }
  }

  #select(selection: Selection, counts = true): void {
    if (counts) this.#selections++;
    this.#selection = selection;
  }

  #choose(mode: Mode): void {
    if (this.#mode !== mode) this.#modeChanges++;
    this.#mode = mode;
    this.#modes.add(mode);
  }

  line(operands: readonly string[]): CommandLine {
    if (this.#selections > 1) fail("Specity no more than one of '-a', '-g', '-i'");
    if (this.#modeChanges !== 1) fail("Specify exactly one of '-e', '-l', '-p', '-x'");
    const line = {
      mode: this.#mode!, selection: this.#selection, name: this.#name, group: this.#group, reverse: this.#reverse, json: this.#json,
      verbose: this.#verbose, operands,
    };
    checkTogether(line);
    return line;
  }
}

function checkTogether({ mode, name, group, reverse, json, operands }: CommandLine): void {
  if (mode === 'list' && operands.length > 0) fail("Command not allowed with '-l'");
  if ((mode === 'postfix' || mode === 'command') && operands.length === 0) fail("Command required with '-p' or '-x' option");
  if ((mode === 'postfix' || isEdit(mode)) && reverse) fail("The '-p' and '-e' options preclude the use of '-R'");
  const assigns = name !== undefined || group !== undefined;
  if (assigns && !naming.has(mode)) fail(`Cannot assign instance name or group ${isEdit(mode) ? `with '-e ${mode}'` : "without '-e assign'"}`);
  if (mode === 'assign' && !assigns) fail("Specify new instance name or group with '-e assign'");
  if (isEdit(mode) && !adding.has(mode) && operands.length > 0) fail(`Parameter overrides not valid with '-e ${mode}'`);
  if (json && mode !== 'list') fail("JSON output available only with '-l'");
}

/** @param complain tells what getopt(3) tells */
export function parseCommandLine(argv: readonly string[], complain: (text: string) => void): CommandLine {
  const { found, operands, trouble } = getopt(argv, 'ae:g:i:jG:I:lpRvx');
  const reader = new Reader();
  for (const [letter, value] of found) reader.take(letter, value);
  if (trouble !== undefined) {
    complain(trouble);
    fail(usage);
  }
  return reader.line(operands);
}
