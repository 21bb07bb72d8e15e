/**
 * The directories of the mail system, for whoever runs it: root with its proper owners, an ordinary user with everything their own.
 */
import type { Configuration } from '../../config/configuration.ts';
import { isRoot } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import { createDirectories, hasSetgidPostdrop, type DirectorySettings } from '../../server/mail-directories.ts';
import { mailOwner, setgidGroup } from '../../server/mail-owner.ts';

/** Throws ConfigurationError when mail_owner or setgid_group make no sense. */
export function directorySettings(config: Configuration, queueDirectory = config.get('queue_directory')): DirectorySettings {
  const root = isRoot();
  const ourselves = { uid: process.geteuid!(), gid: process.getegid!() };
  const setgid = root ? setgidGroup(config).gid : ourselves.gid;
  return {
    queueDirectory, dataDirectory: config.get('data_directory'), owner: root ? mailOwner(config) : ourselves, setgidGroup: setgid,
    forUsers: root && !hasSetgidPostdrop(config.get('command_directory'), setgid),
  };
}

/** Directories that are missing are made; others stay as they are. The answer is why it could not be done. */
export function createMissing(config: Configuration, queueDirectory: string): string | undefined {
  try {
    createDirectories(directorySettings(config, queueDirectory));
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    return `unable to create missing queue directories: ${(error as NodeJS.ErrnoException).path ?? queueDirectory}: ${errorText(error)}`;
  }
}
