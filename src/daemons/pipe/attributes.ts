/**
 * What a row of master.cf tells pipe(8): flags, the user to become, the command.
 *
 * Whatever makes no sense is a ConfigurationError that names the row's file and line and the likely fix; the row then delivers
 * nothing until it is mended.
 */
import { ConfigurationError } from '../../config/configuration-error.ts';
import type { MasterRow } from '../../config/master-cf.ts';
import { checkPipeArguments } from '../../config/pipe-arguments.ts';
import type { CopyForm } from '../../delivery/content.ts';
import type { Rights } from '../../delivery/failure.ts';
import { getgrnam, getpwnam, isRoot } from '../../host/identity.ts';
import { lowerAscii } from '../../text/ascii.ts';

export interface PipeAttributes {
  readonly form: CopyForm;
  /** Flag X: this is the final delivery, not a relay. */
  readonly final: boolean;
  /** Flags u and h: lower case for the part before or behind the @. */
  readonly foldUser: boolean;
  readonly foldHost: boolean;
  /** Flag q: quoted local parts. */
  readonly quote: boolean;
  readonly rights: Rights;
  /** Root directory of the command. */
  readonly root: string | undefined;
  readonly directory: string | undefined;
  readonly nullSender: string;
  /** Bytes; 0: no limit. */
  readonly sizeLimit: number;
  readonly argv: readonly string[];
}

/** Accounts a command must not run as. */
export interface MailSystem {
  readonly mail_owner: string;
  readonly setgid_group: string;
}

export function pipeAttributes(row: MasterRow, system: MailSystem): PipeAttributes {
  const [trouble] = checkPipeArguments(row);
  if (trouble !== undefined) throw new ConfigurationError(trouble.text, row);
  const values = new Map<string, string>();
  let argv: string[] = [];
  for (const [index, word] of row.args.entries()) {
    const equals = word.indexOf('=');
    const name = lowerAscii(word.slice(0, equals));
    values.set(name, word.slice(equals + 1));
    if (name !== 'argv') continue;
    argv = [word.slice(equals + 1), ...row.args.slice(index + 1)];
    break;
  }
  const flags = values.get('flags') ?? '';
  const has = (flag: string): boolean => flags.includes(flag);
  return {
    form: {
      fromLine: has('F'), returnPath: has('R'), originalTo: has('O'), deliveredTo: has('D'), quoteFrom: has('>'), quoteDots: has('.'),
      blankLine: has('B'), lineEnd: unescaped(values.get('eol') ?? '\n').split('\0', 1)[0]!,
    },
    final: has('X'), foldUser: has('u'), foldHost: has('h'), quote: has('q'),
    rights: rightsOf(values.get('user')!, row, system),
    root: values.get('chroot'),
    directory: values.get('directory'),
    nullSender: values.get('null_sender') ?? 'MAILER-DAEMON',
    sizeLimit: Number(values.get('size') ?? 0),
    argv,
  };
}

/** `user` or `user:group`, never root's, and never the mail system's own. */
function rightsOf(value: string, row: MasterRow, { mail_owner: owner, setgid_group: setgid }: MailSystem): Rights {
  const [user = '', group = ''] = value.split(/:(.*)/s);
  const account = getpwnam(user);
  if (account === undefined) throw new ConfigurationError(`get_service_attr: unknown username: ${user}`, row);
  const named = group === '' ? undefined : getgrnam(group);
  if (group !== '' && named === undefined) throw new ConfigurationError(`get_service_attr: unknown group: ${group}`, row);
  const { uid, gid } = { uid: account.uid, gid: named?.gid ?? account.gid };
  const refuse = (text: string): never => {
    throw new ConfigurationError(`user= command-line attribute specifies ${text}`, row, 'name an account that exists for this purpose only');
  };
  const mail = getpwnam(owner);
  if (uid === 0) refuse('root privileges');
  // An ordinary user's mail system is that user's own altogether: there is nothing to keep from the command.
  if (!isRoot() && uid === process.getuid!()) return { uid, gid };
  if (uid === mail?.uid) refuse(`mail system owner ${owner}`);
  if (gid === 0) refuse('privileged group id 0');
  if (gid === mail?.gid) refuse(`mail system owner ${owner} group id ${gid}`);
  if (gid === getgrnam(setgid)?.gid) refuse(`mail system ${setgid} group id ${gid}`);
  return { uid, gid };
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'], ['b', '\b'], ['f', '\f'], ['n', '\n'], ['r', '\r'], ['t', '\t'], ['v', '\v'],
]);

/** Backslash escapes as in C: \r\n, \015\012; any other character stands for itself. */
export function unescaped(text: string): string {
  return text.replace(/\\([0-7]{1,3}|.|$)/gs, (_whole, escape: string) => {
    if (/^[0-7]/.test(escape)) return String.fromCharCode(parseInt(escape, 8) & 0xff);
    return escapes.get(escape) ?? escape;
  });
}
