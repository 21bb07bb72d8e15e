/**
 * What every postfix(1) subcommand works with: the configuration, the two voices, and the paths that matter.
 */
import { fileURLToPath } from 'node:url';
import type { Configuration } from '../../config/configuration.ts';
import type { Log } from '../../log/log.ts';

export interface Situation {
  readonly config: Configuration;
  /** As `postfix/postfix-script`: on standard error and in the mail log. */
  readonly log: Log;
  readonly environment: NodeJS.ProcessEnv;
  readonly debug: boolean;
  readonly verbose: number;
  readonly queueDirectory: string;
  /** Of the running master, locked while it lives. */
  readonly pidFile: string;
}

/** A subcommand; the answer is the exit status. */
export type Subcommand = (situation: Situation) => number | Promise<number>;

/** Our own programs, whatever command_directory and daemon_directory of an older installation say. */
export const program = {
  master: fileURLToPath(new URL('../../../libexec/master', import.meta.url)),
  postconf: fileURLToPath(new URL('../../../bin/postconf', import.meta.url)),
  postqueue: fileURLToPath(new URL('../../../bin/postqueue', import.meta.url)),
} as const;

/** `-c` and what else our own programs must be told. */
export function sharedOptions({ config, verbose }: Situation): string[] {
  return ['-c', config.directory, ...Array<string>(verbose).fill('-v')];
}
