/**
 * The account that owns the queue and runs the daemons (mail_owner), and the group of the set-gid commands (setgid_group),
 * checked as Postfix checks them: an account of root's rank, or one that shares its number, is refused.
 *
 * Throws ConfigurationError. Reads the system's account files: before chroot(2).
 */
import { ConfigurationError } from '../config/configuration-error.ts';
import type { Configuration } from '../config/configuration.ts';
import { getgrgid, getgrnam, getpwnam, getpwuid, type Account, type Group } from '../host/identity.ts';

function refuse(config: Configuration, name: 'mail_owner' | 'setgid_group', text: string, fix?: string): ConfigurationError {
  return new ConfigurationError(`file ${config.directory}/main.cf: parameter ${name}: ${text}`, config.origin(name), fix);
}

export function mailOwner(config: Configuration): Account {
  const name = config.get('mail_owner');
  const account = getpwnam(name);
  if (account === undefined)
    throw refuse(config, 'mail_owner', `unknown user name value: ${name}`, 'make an account of its own for the mail system, or name one that nobody else uses with "mail_owner = "');
  if (account.uid === 0) throw refuse(config, 'mail_owner', `user ${name} has privileged user ID`);
  if (account.gid === 0) throw refuse(config, 'mail_owner', `user ${name} has privileged group ID`);
  const other = getpwuid(account.uid);
  if (other !== undefined && other.name !== name)
    throw refuse(config, 'mail_owner', `user ${name} has the same user ID ${account.uid} as user ${other.name}`);
  return account;
}

export function setgidGroup(config: Configuration): Group {
  const name = config.get('setgid_group');
  const group = getgrnam(name);
  if (group === undefined)
    throw refuse(config, 'setgid_group', `unknown group name: ${name}`, 'make a group of its own for the mail system, or name one with "setgid_group = "');
  if (group.gid === 0) throw refuse(config, 'setgid_group', `group ${name} has privileged group ID`);
  const other = getgrgid(group.gid);
  if (other !== undefined && other.name !== name)
    throw refuse(config, 'setgid_group', `group ${name} has the same group ID ${group.gid} as group ${other.name}`);
  return group;
}
