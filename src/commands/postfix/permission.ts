/**
 * Who may run the mail system: root, and an ordinary user within directories of their own.
 */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Configuration } from '../../config/configuration.ts';
import type { Log } from '../../log/log.ts';

/** A fatal line for everybody else. */
export function mayRun(config: Configuration, log: Log): void {
  const uid = process.geteuid!();
  if (uid === 0 || ownerOf(config.get('queue_directory')) === uid) return;
  log.error('to submit mail, use the Postfix sendmail command');
  log.fatal('the postfix command is reserved for the superuser');
}

/** The owner of a directory, or of the nearest one above it that exists. */
function ownerOf(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined || path === '/' ? found?.uid ?? 0 : ownerOf(dirname(path));
}
