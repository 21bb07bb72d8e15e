/** The directory of the journal: made when missing, removed when empty. */
import { mkdirSync, rmdirSync } from 'node:fs';

export const journalDirectory = 'journal';

/** Path of a queue directory as it is put in front of names: '' is the working directory. */
export function rootPrefix(root: string | undefined): string {
  return root === undefined || root === '' || root.endsWith('/') ? (root ?? '') : `${root}/`;
}

export function makeJournalDirectory(root: string): void {
  try {
    mkdirSync(root + journalDirectory, 0o700);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

export function removeJournalDirectory(root: string): void {
  try {
    rmdirSync(root + journalDirectory);
  } catch { /* someone has something in it */ }
}
