/** The mailbox of a user: another transport, a command, a Maildir or a file, as main.cf says. */
import fs from 'node:fs';
import { copyOf, mailboxForm, type CopyForm, type MessageCopy } from '../../delivery/content.ts';
import { deliveryKey } from '../../delivery/delivery-key.ts';
import { pathBytes, type Failure, type Rights } from '../../delivery/failure.ts';
import { passOn } from '../../delivery/pass.ts';
import { isTraceOnly } from '../../delivery/reports.ts';
import { getpwnam, isRoot, type Account } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import type { Maps } from '../../tables/maps.ts';
import { deliverCommand } from './command.ts';
import { deliverMaildir } from './maildir.ts';
import { deliveredHeader } from './settings.ts';
import { deeper, failed, sent, userOf, type Position, type User, type Work } from './work.ts';

const lookupFailure: Failure = { dsn: '4.3.0', text: 'table lookup failure' };

/** Undefined: there is no such user. */
export async function deliverMailbox(work: Work, from: Position, _user: User): Promise<boolean | undefined> {
  const position = deeper(from);
  const { view, mailboxTransports } = work.settings;
  if (work.seen.before(`mailbox ${position.local}`)) return true;
  const passed = await passByTable(work, position, mailboxTransports, view.mailbox_transport);
  if (passed !== undefined) return passed;
  let account: Account | undefined;
  try {
    account = getpwnam(position.user);
  } catch (error) {
    work.log.warning(`error looking up passwd info for ${position.user}: ${errorText(error)}`);
    return failed(work, position, { dsn: '4.0.0', text: 'user lookup error' });
  }
  return account && deliverToUser(work, position, userOf(account));
}

/** Hand the recipient to the transport that the table or the parameter names, if one does. */
export async function passByTable(work: Work, position: Position, maps: Maps, otherwise: string): Promise<boolean | undefined> {
  let transport: string | undefined;
  try {
    transport = await maps.find(position.user);
  } catch {
    return failed(work, position, lookupFailure);
  }
  transport ??= otherwise;
  if (transport === '') return undefined;
  // Without an offset: the other agent leaves the mark in the queue file to us.
  const recipient = { ...position.recipient, offset: -1 };
  return passOn(transport, work.request, recipient, { services: work.settings.tools.services, reports: work.reports, log: work.log });
}

async function deliverToUser(work: Work, position: Position, user: User): Promise<boolean> {
  const { view, mailboxCommands } = work.settings;
  let command: string | undefined;
  try {
    command = await mailboxCommands.find(position.user);
  } catch {
    return failed(work, position, lookupFailure);
  }
  command ??= view.mailbox_command;
  if (command !== '') return deliverCommand(work, position, user, command);
  const { home_mailbox: home, mail_spool_directory: spool } = view;
  if (home.endsWith('/')) return deliverMaildir(work, position, user, `${user.home}/${home}`);
  if (home === '' && spool.endsWith('/')) return deliverMaildir(work, position, user, `${spool}${position.user}/`);
  return deliverMailboxFile(work, position, user);
}

async function deliverMailboxFile(work: Work, from: Position, user: User): Promise<boolean> {
  const here = deeper(from);
  const { view, mailboxes, locks } = work.settings;
  if (isTraceOnly(work.request.flags)) return sent(work, here, { text: 'delivers to mailbox' });
  const position = view.frozen_delivered_to ? here : { ...here, delivered: here.recipient.address };
  const path = view.home_mailbox === '' ? `${view.mail_spool_directory}/${position.user}` : `${user.home}/${view.home_mailbox}`;
  const openAs = view.home_mailbox === '' ? spoolRights(view.mail_spool_directory, user) : user;
  let start = 0;
  const failure = await mailboxes.append({
    begins: (offset) => { start = offset; },
    path, openAs, writeAs: user, owner: openAs.uid === user.uid ? undefined : user, locks,
    sizeLimit: view.mailbox_size_limit, otherwise: '5.2.0', accept: (status) => refuse(work, path, user, status), key: deliveryKey(work.request, here.recipient),
  }, () => copyFor(work, position, mailboxForm, deliveredHeader.file));
  if (failure === undefined) {
    work.settings.biff?.tell(user.name ?? position.user, start, work.log);
    return sent(work, position, { text: 'delivered to mailbox' });
  }
  return failed(work, position, { ...failure, text: `cannot update mailbox ${path} for user ${position.user}. ${failure.text}` });
}

/** Least privilege: a spool directory that all may write to is the user's to use, one of a group's is used with that group. */
function spoolRights(directory: string, user: User): Rights {
  let status: fs.Stats;
  try {
    status = fs.statSync(pathBytes(directory));
  } catch {
    return user;
  }
  if ((status.mode & 0o002) !== 0 || !isRoot()) return user;
  return (status.mode & 0o020) !== 0 ? { uid: user.uid, gid: status.gid } : { uid: 0, gid: 0 };
}

function refuse(work: Work, path: string, user: User, status: fs.Stats): Failure | undefined {
  if (!status.isFile()) return { dsn: '5.2.0', text: `destination ${path} is not a regular file` };
  if (!work.settings.view.strict_mailbox_ownership || status.uid === user.uid) return undefined;
  work.log.warning('specify "strict_mailbox_ownership = no" to ignore mailbox ownership mismatch');
  return { dsn: '4.2.0', text: `destination ${path} is not owned by recipient` };
}

/** The message as this position's destination gets it; `header` says which bit of prepend_delivered_header counts. */
export function copyFor(work: Work, { sender, recipient, delivered = '' }: Position, form: CopyForm, header: number): MessageCopy {
  const { view, deliveredHeaders, now } = work.settings;
  const deliveredTo = (deliveredHeaders & header) !== 0;
  const originalRecipient = view.enable_original_recipient ? recipient.originalAddress : '';
  return copyOf(work, { ...form, deliveredTo }, { sender, originalRecipient, delivered }, now());
}
