// Which account a private instance runs as. Plain JavaScript: used before the pinned Node is there, and by the tests.
import { readFileSync } from 'node:fs';

function entries(file) {
  try {
    return readFileSync(file, 'utf8').split('\n').map((line) => line.split(':')).filter((fields) => fields.length > 2);
  } catch {
    return [];
  }
}

const users = () => entries('/etc/passwd').map(([name, , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
const groups = () => entries('/etc/group').map(([name, , gid]) => ({ name, gid: Number(gid) }));

/** The first name that exists, is not of root's rank, and has its number for itself. */
function first(list, key, names) {
  return names.map((name) => list.find((one) => one.name === name))
    .find((one) => one !== undefined && one[key] !== 0 && list.find((other) => other[key] === one[key]) === one);
}

/** mail_owner and setgid_group for an instance of whoever runs this: as root an account that is nobody's login. */
export function instanceAccounts() {
  const uid = process.getuid();
  if (uid !== 0) {
    const user = users().find((one) => one.uid === uid);
    const group = groups().find((one) => one.gid === (user?.gid ?? process.getgid()));
    return { owner: user?.name ?? String(uid), group: group?.name ?? 'nogroup', uid, gid: process.getgid(), groupId: process.getgid() };
  }
  const owner = first(users().filter(({ gid }) => gid !== 0), 'uid', ['postfix', 'mail', 'daemon', 'nobody']);
  const group = first(groups(), 'gid', ['postdrop', 'maildrop', 'mail', 'nogroup', 'nobody', 'daemon']);
  if (owner === undefined || group === undefined) throw new Error('this machine has no account that the mail system could run as; make one: useradd --system postfix');
  return { owner: owner.name, group: group.name, uid: owner.uid, gid: owner.gid, groupId: group.gid };
}
