/**
 * What a row of master.cf tells spawn(8): the user to become and the command. What makes no sense is an Error with Postfix's words.
 */
import { getgrnam, getpwnam } from '../../host/identity.ts';

export interface SpawnAttributes {
  readonly uid: number;
  readonly gid: number;
  readonly argv: readonly string[];
}

/** Ids that no command runs with; `lone` is the ordinary user whose mail system this is altogether, where it does not run as root. */
export interface MailSystem { readonly uid: number; readonly gid: number; readonly lone?: number | undefined }

/** Ids of accounts and groups; undefined: there is none of this name. */
export interface Names {
  user(name: string): { readonly uid: number; readonly gid: number } | undefined;
  group(name: string): number | undefined;
}

export const systemNames: Names = { user: getpwnam, group: (name) => getgrnam(name)?.gid };

const nobody = 0xffffffff;

export function spawnAttributes(args: readonly string[], system: MailSystem, names: Names = systemNames): SpawnAttributes {
  let ids: { uid: number; gid: number } | undefined;
  let argv: string[] | undefined;
  for (const [index, word] of args.entries()) {
    const [, name = '', value = ''] = /^(user|argv)=(.*)$/is.exec(word) ?? [];
    if (name === '') throw new Error(`unknown attribute name: ${word}`);
    if (name.toLowerCase() === 'user') ids = idsOf(value, names);
    else {
      argv = [value, ...args.slice(index + 1)];
      break;
    }
  }
  if (ids === undefined) throw new Error('missing user= attribute');
  if (argv === undefined || argv[0] === '') throw new Error('missing argv= attribute');
  const { uid, gid } = ids;
  if (uid === 0) throw new Error('request to deliver as root');
  if (uid === system.lone) return { uid, gid, argv };
  if (uid === system.uid) throw new Error('request to deliver as mail system owner');
  if (gid === 0) throw new Error(`request to use privileged group id ${gid}`);
  if (gid === system.gid) throw new Error(`request to use mail system owner group id ${gid}`);
  if (uid === nobody) throw new Error('user must not have user ID -1');
  if (gid === nobody) throw new Error('user must not have group ID -1');
  return { uid, gid, argv };
}

/** `name`, or `name:group`. */
function idsOf(text: string, names: Names): { uid: number; gid: number } {
  const colon = text.indexOf(':');
  const [name, group] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  const account = names.user(name);
  if (account === undefined) throw new Error(`unknown user name: ${name}`);
  if (group === '') return { uid: account.uid, gid: account.gid };
  const gid = names.group(group);
  if (gid === undefined) throw new Error(`unknown group name: ${group}`);
  return { uid: account.uid, gid };
}
