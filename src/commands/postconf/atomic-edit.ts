// Replaces a configuration file in one step; the new one has the owner and mode of the old. Several editors wait for each
// other. Trouble throws Fatal and leaves the file as it was.
import { statSync, writeSync } from 'node:fs';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { readConfigurationFile, systemText } from '../../config/main-cf.ts';
import { replaceFile } from '../../tables/replace-file.ts';
import { Fatal } from './output.ts';

/** `edit` gets the file as a byte string and returns the new one; what it throws leaves the file alone. */
export function editFile(file: string, edit: (text: string) => string): void {
  attempt(file, () => {
    const { uid, gid, mode } = statSync(Buffer.from(file, 'latin1'));
    // Read with the lock held: another editor may just have changed it.
    replaceFile(file, { mode: mode & 0o7777, owner: { uid, gid } }, (fd) => {
      const bytes = Buffer.from(edit(readConfigurationFile(file)), 'latin1');
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    });
  });
}

function attempt(file: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    throw error instanceof Fatal || error instanceof ConfigurationError ? error : new Fatal(`edit ${file}: ${systemText(error)}`);
  }
}
