/**
 * The command line of the bench. Pure; throws UsageError.
 */
import { parseArgs } from 'node:util';

export class UsageError extends Error {}

export interface BenchOptions {
  readonly mode: 'matrix' | 'guard' | 'tables' | 'fuzz' | 'list';
  /** Where instances are made; undefined: the system's temporary directory. */
  readonly directory: string | undefined;
  /** An earlier results.json. */
  readonly baseline: string | undefined;
  /** Only workloads whose name matches. */
  readonly only: RegExp | undefined;
  readonly rounds: number;
  readonly quick: boolean;
  readonly write: boolean;
  /** Measure a fresh copy of Debian's postfix even where one is installed. */
  readonly fetchPostfix: boolean;
  /** Random dialogues, and the number of the first. */
  readonly dialogues: number;
  readonly seed: number;
  /** Milliseconds per message. */
  readonly cpuBudget: number;
  readonly syscallBudget: number;
}

/** What the guard allows for the 5 kB relay with 20 sessions and a connection per message. */
export const budgets = { cpu: 0.4, syscalls: 60 } as const;

export const usage = `usage: npm run bench -- [options]          measure Postern and Debian's Postfix in turn
       npm run bench -- guard [options]    only Postern's CPU and system calls per relayed message, against a budget
       npm run bench -- tables [options]   look-ups per second for each type of table (--only PATTERN; --quick: small tables)
       npm run bench -- fuzz [options]     random dialogues with the SMTP server's protocol machine alone
       npm run bench -- list               name the workloads
  --directory DIR       make the private mail systems here (default: the temporary directory); use a real disk
  --only PATTERN        only workloads whose name matches this regular expression
  --rounds N            runs of each workload and system (default 3; guard 5)
  --quick               fewer messages and smaller queues: for a look, not for a record
  --baseline FILE       compare with the results.json of an earlier run
  --no-write            leave docs/performance/ as it is
  --fetch-postfix       measure a fresh copy of Debian's postfix even when one is installed
  --dialogues N         fuzz: so many (default 1000000; --quick: a tenth)
  --seed N              fuzz: the number of the first; each number is one dialogue, always the same
  --cpu-budget MS       guard: milliseconds of CPU per message (default ${budgets.cpu.toFixed(2)})
  --syscall-budget N    guard: system calls per message (default ${budgets.syscalls})`;

function number(text: string | undefined, fallback: number, name: string): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!(value > 0)) throw new UsageError(`--${name} wants a number above zero, not "${text}"`);
  return value;
}

function pattern(text: string | undefined): RegExp | undefined {
  if (text === undefined) return undefined;
  try {
    return new RegExp(text);
  } catch (error) {
    throw new UsageError(`--only: ${(error as Error).message}`);
  }
}

function words(argv: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...argv], allowPositionals: true, options: {
        directory: text, baseline: text, only: text, rounds: text, 'cpu-budget': text, 'syscall-budget': text, dialogues: text, seed: text,
        quick: flag, 'no-write': flag, 'fetch-postfix': flag, help: flag,
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

const modes = ['matrix', 'guard', 'tables', 'fuzz', 'list'] as const;

export function parseOptions(argv: readonly string[]): BenchOptions {
  const { values, positionals } = words(argv);
  const mode = modes.find((one) => one === (positionals[0] ?? 'matrix'));
  if (values.help || positionals.length > 1 || mode === undefined) throw new UsageError(usage);
  return {
    mode,
    directory: values.directory,
    baseline: values.baseline,
    only: pattern(values.only),
    rounds: Math.ceil(number(values.rounds, mode === 'guard' ? 5 : 3, 'rounds')),
    quick: values.quick ?? false,
    write: !values['no-write'],
    fetchPostfix: values['fetch-postfix'] ?? false,
    dialogues: Math.ceil(number(values.dialogues, values.quick ? 100_000 : 1_000_000, 'dialogues')),
    seed: Math.ceil(number(values.seed, 1, 'seed')),
    cpuBudget: number(values['cpu-budget'], budgets.cpu, 'cpu-budget'),
    syscallBudget: number(values['syscall-budget'], budgets.syscalls, 'syscall-budget'),
  };
}
