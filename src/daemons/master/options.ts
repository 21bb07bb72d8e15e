/**
 * The command line of master(8). Pure; throws UsageError with the text of the fatal line.
 */
export class UsageError extends Error {}

export interface MasterOptions {
  configDirectory: string | undefined;
  /** -D: run debugger_command. */
  debug: boolean;
  /** Not -d: let go of the terminal. */
  detach: boolean;
  /** -e: seconds until master ends. */
  exitTime: number | undefined;
  /** -i: process 1. */
  init: boolean;
  /** -s or -i: standard output stays, for maillog_file = /dev/stdout. */
  keepStdout: boolean;
  /** -t */
  test: boolean;
  verbose: number;
  /** -w */
  wait: boolean;
}

const usage = 'usage: master [-c config_dir] [-D (debug)] [-d (don\'t detach from terminal)] [-e exit_time] [-t (test)] [-v] [-w (wait for initialization)]';

/** One letter each; those with a value take the rest of the word or the next one. */
const letters: { readonly [letter: string]: (options: MasterOptions, value: string) => void } = {
  c: (options, value) => { options.configDirectory = value; },
  D: (options) => { options.debug = true; },
  d: (options) => { options.detach = false; },
  e: (options, value) => { options.exitTime = Number.parseInt(value, 10) || 0; },
  i: (options) => { options.init = options.keepStdout = true; },
  s: (options) => { options.keepStdout = true; },
  t: (options) => { options.test = true; },
  v: (options) => { options.verbose++; },
  w: (options) => { options.wait = true; },
};

export function parseMasterOptions(argv: readonly string[], pid: number): MasterOptions {
  const options: MasterOptions = {
    configDirectory: undefined, debug: false, detach: true, exitTime: undefined, init: false, keepStdout: false, test: false, verbose: 0, wait: false,
  };
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!/^-./.test(word)) throw new UsageError(usage);
    for (let at = 1; at < word.length; at++) {
      const letter = word[at]!;
      if (!Object.hasOwn(letters, letter)) throw new UsageError(usage);
      if (!'ce'.includes(letter)) {
        letters[letter]!(options, '');
        continue;
      }
      const value = at + 1 < word.length ? word.slice(at + 1) : rest.shift();
      if (value === undefined) throw new UsageError(usage);
      letters[letter]!(options, value);
      break;
    }
  }
  return checked(options, pid);
}

function checked(options: MasterOptions, pid: number): MasterOptions {
  if (options.init && pid !== 1) throw new UsageError('-i is allowed only for PID 1 process');
  if (options.test && options.wait) throw new UsageError('the -t and -w options cannot be used together');
  if (options.init && (options.debug || !options.detach || options.wait)) throw new UsageError('the -i option cannot be used with -D, -d, or -w');
  return options;
}
