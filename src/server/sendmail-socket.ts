/**
 * The file that tells compiled sendmail programs (native/sendmail.c) where the mail system is: the path of pickup's socket and the
 * user id that serves it, one a line.
 *
 * It lies beside the program that it is for, because whoever may write there may replace the program too; the program takes it from
 * root or from its own owner only. docs/decisions/native-sendmail.md says how instances get theirs. Trouble is logged: without the
 * file those programs run Node's sendmail.
 */
import { chmodSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { configDirectory, type Configuration } from '../config/configuration.ts';
import { errorText } from '../host/libc.ts';
import type { Log } from '../log/log.ts';

const program = fileURLToPath(new URL('../../native/build/sendmail', import.meta.url));

/** sendmail_socket_file; when that is empty, the instance with the built-in configuration directory serves this installation's program. */
function fileOf(config: Configuration): string | undefined {
  const named = config.get('sendmail_socket_file');
  if (named !== '') return named;
  const isDefault = config.directory === configDirectory(undefined, {});
  return isDefault && existsSync(program) ? `${program}.socket` : undefined;
}

/** @param servedBy user id of the process that listens */
export function writeSendmailSocket(config: Configuration, queueDirectory: string, servedBy: number, log: Log): void {
  const file = fileOf(config);
  if (file === undefined) return;
  const unfinished = `${file}.${process.pid}`;
  const text = `${queueDirectory}/public/${config.get('pickup_service_name')}\n${servedBy}\n`;
  try {
    rmSync(unfinished, { force: true });
    writeFileSync(unfinished, text, { flag: 'wx', mode: 0o644, encoding: 'latin1' });
    chmodSync(unfinished, 0o644); // every user's program reads it, whatever our umask
    renameSync(unfinished, file);
  } catch (error) {
    log.warning(`cannot write ${file}: ${errorText(error)} -- compiled sendmail programs run Node's instead`);
  }
}
