// Replaces a configuration file in one step; the new one has the owner and mode of the old. Several editors wait for each
// other. An edit that changes nothing leaves the file alone, its time too. Trouble throws Fatal and leaves the file as it was.
import { existsSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { readConfigurationFile, systemText } from '../../config/main-cf.ts';
import { replaceFile } from '../../tables/replace-file.ts';
import { Fatal } from './output.ts';

/** `edit` gets the file as a byte string and returns the new one; what it throws leaves the file alone. Has anything changed? */
export function editFile(file: string, edit: (text: string) => string): boolean {
  try {
    const { uid, gid, mode } = oldFile(file);
    // Read with the lock held: another editor may just have changed it.
    replaceFile(file, { mode: mode & 0o7777, owner: { uid, gid } }, (fd) => {
      const text = readConfigurationFile(file);
      const edited = edit(text);
      if (edited === text) throw new Unchanged();
      const bytes = Buffer.from(edited, 'latin1');
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    });
    return true;
  } catch (error) {
    if (error instanceof Unchanged) return false;
    if (error instanceof Fatal || error instanceof ConfigurationError) throw error;
    throw new Fatal(`open ${file}.tmp: ${systemText(error)}`);
  }
}

class Unchanged extends Error {}

function oldFile(file: string): { uid: number; gid: number; mode: number } {
  try {
    return statSync(Buffer.from(file, 'latin1'));
  } catch (error) {
    const hasPlace = existsSync(Buffer.from(path.dirname(file), 'latin1'));
    throw new Fatal(`open ${file}${hasPlace ? ' for reading' : '.tmp'}: ${systemText(error)}`);
  }
}
