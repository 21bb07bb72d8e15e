/**
 * Several mail systems on one machine: postfix(1) becomes the program of multi_instance_wrapper, which runs it for each of them.
 */
import { accessSync, constants } from 'node:fs';
import type { Log } from '../../log/log.ts';
import { errorText } from '../../host/libc.ts';
import { splitWhite } from '../../text/ascii.ts';
import { program, type Situation } from './situation.ts';

export function handOver({ config, environment }: Situation, words: readonly string[], log: Log): number {
  const [wrapper, ...rest] = splitWhite(config.get('multi_instance_wrapper'));
  if (wrapper === undefined) return log.fatal('multi-instance support is requested, but multi_instance_wrapper is empty');
  // Ours, whatever lies in the command_directory of an older installation.
  const file = wrapper === `${config.get('command_directory')}/postmulti` ? program.postmulti : found(wrapper, environment, log);
  const entries = Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined);
  // Node says once that this call is young.
  process.removeAllListeners('warning');
  process.execve!(file, [file, ...rest, ...words].map((word) => Buffer.from(word, 'latin1').toString('utf8')), Object.fromEntries(entries));
  return log.fatal(`${wrapper}: cannot be started`);
}

/** A failed execve would end this process without a word. */
function found(wrapper: string, { PATH = '' }: NodeJS.ProcessEnv, log: Log): string {
  const paths = wrapper.includes('/') ? [wrapper] : PATH.split(':').map((directory) => `${directory}/${wrapper}`);
  let trouble: unknown;
  for (const path of paths) {
    try {
      accessSync(Buffer.from(path, 'latin1'), constants.X_OK);
      return path;
    } catch (error) {
      trouble = error;
    }
  }
  return log.fatal(`${wrapper}: ${errorText(trouble)}`);
}
