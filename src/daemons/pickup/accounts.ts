/**
 * Accounts of users who call, by user id: asked of the system and kept for a minute, so that a mail bomb is not one for the account
 * database too. In a chroot, which has no account database, those of the local file at the time of the start.
 */
import { readFileSync } from 'node:fs';
import { getpwuid } from '../../host/identity.ts';
import type { UserAccount } from '../../submission/user.ts';

const kept = 60_000;
const keptLimit = 1000;

export class AccountsOfCallers {
  readonly #now: () => number;
  readonly #file: ReadonlyMap<number, UserAccount> | undefined;
  readonly #answers = new Map<number, { readonly account: UserAccount | undefined; readonly until: number }>();

  constructor(now: () => number, chroot: boolean) {
    this.#now = now;
    this.#file = chroot ? accountsIn(readFileSync('/etc/passwd', 'latin1')) : undefined;
  }

  find(uid: number): UserAccount | undefined {
    if (this.#file !== undefined) return this.#file.get(uid);
    const now = this.#now();
    const known = this.#answers.get(uid);
    if (known !== undefined && now < known.until) return known.account;
    const found = getpwuid(uid);
    const account = found && { name: found.name, gecos: found.gecos };
    if (this.#answers.size >= keptLimit) this.#answers.clear();
    this.#answers.set(uid, { account, until: now + kept });
    return account;
  }
}

/** Of equal user ids the first holds, as in the C library. */
export function accountsIn(text: string): Map<number, UserAccount> {
  const accounts = new Map<number, UserAccount>();
  for (const line of text.split('\n')) {
    const [name = '', , uid = '', , gecos = ''] = line.split(':');
    if (/^[0-9]{1,10}$/.test(uid) && !accounts.has(Number(uid))) accounts.set(Number(uid), { name, gecos });
  }
  return accounts;
}
