/** `sendmail -bd`: starts the mail system in the background, as `postfix start` does, and does not wait for it. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Configuration } from '../../config/configuration.ts';

/** Our own, whatever command_directory of an older installation says. */
const postfix = fileURLToPath(new URL('../../../bin/postfix', import.meta.url));

export function startMailSystem(config: Configuration, environment: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(postfix, ['-c', config.directory, 'start'], { stdio: ['ignore', 'inherit', 'inherit'], detached: true, env: environment });
  return new Promise((resolve) => {
    child.on('error', () => resolve(1));
    child.on('spawn', () => {
      child.unref();
      resolve(0);
    });
  });
}
