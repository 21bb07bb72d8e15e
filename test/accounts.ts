/** An account of this machine that mail can be delivered to and commands can run as: nobody's login, and none of the mail system's own. */
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { instanceAccounts } from '../tools/accounts.mjs';

export interface Recipient { readonly name: string; readonly uid: number; readonly gid: number }

const likely = ['games', 'news', 'uucp', 'lp', 'man', 'daemon', 'bin', 'nobody'];

/** As root one of the system's accounts; else our own. Throws when the machine has none. */
export function ordinaryAccount(): Recipient {
  if (process.getuid!() !== 0) return { name: userInfo().username, uid: process.getuid!(), gid: process.getgid!() };
  const { uid, gid, groupId } = instanceAccounts();
  const accounts = readFileSync('/etc/passwd', 'latin1').split('\n').map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
  for (const name of likely) {
    const account = accounts.find((each) => each.name === name);
    if (account !== undefined && account.uid !== 0 && account.uid !== uid && ![0, gid, groupId].includes(account.gid)) return account;
  }
  throw new Error(`none of these accounts is there, or they share the mail system's: ${likely.join(', ')}`);
}
