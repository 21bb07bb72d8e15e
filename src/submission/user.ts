/** Who calls sendmail(1), as far as mail shows it: login name and full name. Texts are byte strings. */
import type { Account } from '../host/identity.ts';
import { upperAscii } from '../text/ascii.ts';

export interface User {
  readonly uid: number;
  /** undefined: this user id has no account. */
  readonly login: string | undefined;
  readonly fullName: string | undefined;
}

/** What the account database says of a user. */
export type UserAccount = Pick<Account, 'name' | 'gecos'>;

/** @param given the environment's NAME, which stands above the account's */
export function userOf(uid: number, given: string | undefined, account: UserAccount | undefined): User {
  return { uid, login: account?.name, fullName: given ?? (account && nameInGecos(account.gecos, account.name)) };
}

/** Up to the first comma, semicolon or percent sign; `&` is the login name with a capital. */
export function nameInGecos(gecos: string, login: string): string {
  return /^[^,;%]*/.exec(gecos)![0].replaceAll('&', () => upperAscii(login.slice(0, 1)) + login.slice(1));
}
