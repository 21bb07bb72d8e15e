/**
 * What every postfix(1) subcommand works with: the configuration, its voices, and the paths that matter.
 */
import { fileURLToPath } from 'node:url';
import type { Configuration } from '../../config/configuration.ts';
import type { Log } from '../../log/log.ts';
import type { Screen } from '../script-log.ts';

export interface Situation {
  readonly config: Configuration;
  /** As `postfix/postfix-script`: on standard error and in the mail log. */
  readonly log: Log;
  /** The same under the name of another script of Postfix's. */
  readonly voice: (script: string) => Log;
  readonly stdout: { write(bytes: Uint8Array): unknown };
  readonly stderr: Screen;
  readonly environment: NodeJS.ProcessEnv;
  readonly debug: boolean;
  readonly verbose: number;
  readonly queueDirectory: string;
  /** Of the running master, locked while it lives. */
  readonly pidFile: string;
}

/** A subcommand with its arguments; the answer is the exit status. */
export type Subcommand = (situation: Situation, words: readonly string[]) => number | Promise<number>;

const ours = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** The directory of our own commands. */
export const ourPrograms = ours('bin');

/** Our own programs, whatever command_directory and daemon_directory of an older installation say. */
export const program = {
  master: ours('libexec/master'), postfix: ours('bin/postfix'), postmulti: ours('bin/postmulti'), postqueue: ours('bin/postqueue'), postsuper: ours('bin/postsuper'),
} as const;

/** main.cf or master.cf as we ship it. */
export function stockFile(name: string): string {
  return ours(`conf/${name}`);
}

/** `-c` and what else our own programs must be told. */
export function sharedOptions({ config, verbose }: Situation): string[] {
  return ['-c', config.directory, ...Array<string>(verbose).fill('-v')];
}

/** Output that is no log line. */
export function print({ stdout }: Situation, text: string): void {
  stdout.write(Buffer.from(text, 'latin1'));
}
