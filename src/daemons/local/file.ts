/** /file/name in an alias or .forward file: the message is appended, with the rights of the alias owner or the user. */
import type { Stats } from 'node:fs';
import { mailboxForm } from '../../delivery/content.ts';
import { deliveryKey } from '../../delivery/delivery-key.ts';
import type { Failure } from '../../delivery/failure.ts';
import { isTraceOnly } from '../../delivery/reports.ts';
import { copyFor } from './mailbox.ts';
import { deliverMaildir } from './maildir.ts';
import { failedToOwner } from './owner.ts';
import { deliveredHeader, type LocalSettings } from './settings.ts';
import { deeper, sent, type Position, type User, type Work } from './work.ts';

export async function deliverFile(work: Work, from: Position, user: User, path: string): Promise<boolean> {
  const position = deeper(from);
  const { settings } = work;
  if (work.seen.before(`file ${user.uid} ${path}`)) return true;
  if ((settings.filesFrom & position.found) === 0) return failedToOwner(work, position, { dsn: '5.7.1', text: 'mail to file is restricted' });
  if (isTraceOnly(work.request.flags)) return sent(work, position, { text: `delivers to file: ${path}` });
  const rights = withDefaults(user, settings);
  if (path.endsWith('/')) return deliverMaildir(work, position, rights, path);
  const failure = await settings.mailboxes.append({
    path, openAs: rights, writeAs: rights, locks: settings.locks, dotlockMayFail: true,
    sizeLimit: settings.view.mailbox_size_limit, otherwise: '5.2.0', accept: refuse, key: deliveryKey(work.request, position.recipient),
  }, () => copyFor(work, position, mailboxForm, deliveredHeader.file));
  if (failure === undefined) return sent(work, position, { text: `delivered to file: ${path}` });
  return failedToOwner(work, position, { ...failure, text: `cannot append message to file ${path}: ${failure.text}` });
}

/** Nothing is ever delivered as root: where no one's rights are known, default_privs are used. */
export function withDefaults(user: User, { defaultRights }: LocalSettings): User {
  return { ...user, uid: user.uid === 0 ? defaultRights.uid : user.uid, gid: user.gid === 0 ? defaultRights.gid : user.gid };
}

function refuse(status: Stats): Failure | undefined {
  return status.isFile() && (status.mode & 0o111) !== 0 ? { dsn: '5.7.1', text: 'file is executable' } : undefined;
}
