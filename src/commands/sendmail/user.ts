/** Who calls sendmail(1), as far as mail shows it: login name and full name. */
import { getpwuid } from '../../host/identity.ts';
import { upperAscii } from '../../text/ascii.ts';

export interface User {
  readonly uid: number;
  /** undefined: this user id has no account. */
  readonly login: string | undefined;
  readonly fullName: string | undefined;
}

/** @param name the environment's NAME, which stands above the account's */
export function currentUser(name: string | undefined): User {
  const uid = process.getuid!();
  const account = getpwuid(uid);
  const given = name === undefined ? undefined : Buffer.from(name, 'utf8').toString('latin1');
  return { uid, login: account?.name, fullName: given ?? (account && nameInGecos(account.gecos, account.name)) };
}

/** Up to the first comma, semicolon or percent sign; `&` is the login name with a capital. */
export function nameInGecos(gecos: string, login: string): string {
  return /^[^,;%]*/.exec(gecos)![0].replaceAll('&', () => upperAscii(login.slice(0, 1)) + login.slice(1));
}
