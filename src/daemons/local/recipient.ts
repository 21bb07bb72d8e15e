/**
 * One local recipient: alias, .forward, mailbox, in this order (local(8)).
 *
 * Every function of this folder that delivers answers whether the recipient is settled (true) or must be tried again, and has
 * reported what happened.
 */
import fs from 'node:fs';
import { pathBytes } from '../../delivery/failure.ts';
import { getpwnam, type Account } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import { splitAddress, splitExtension } from '../../message/address.ts';
import { foldCase } from '../../text/utf8.ts';
import { deliverAlias } from './alias.ts';
import { actAs } from './act-as.ts';
import { deliverDotforward } from './dotforward.ts';
import { deliverIndirect } from './forwards.ts';
import { deliverMailbox } from './mailbox.ts';
import { failedToOwner } from './owner.ts';
import { expansion } from './settings.ts';
import { deliverUnknown } from './unknown.ts';
import { deeper, deepest, failed, type Position, type User, type Work } from './work.ts';

export async function deliverRecipient(work: Work, from: Position, user: User): Promise<boolean> {
  const { address } = from.recipient;
  const here = deeper(from);
  if (here.level > deepest) {
    work.log.warning(`recipient nesting limit exceeded for ${address}`);
    return failed(work, here, { dsn: '5.4.6', text: 'recipient nesting limit exceeded' });
  }
  if (work.seen.before(`recipient ${here.level} ${address}`)) return true;
  if (work.loops.has(address)) return failedToOwner(work, here, { dsn: '5.4.6', text: `mail forwarding loop for ${address}` });
  const position = located(work, here);
  if (position.user === '') return failed(work, position, { dsn: '5.1.3', text: `null username in "${address}"` });
  return deliverSwitch(work, position, user);
}

/** Takes the address apart. An extension with a slash would lead out of a directory: it is dropped. */
function located(work: Work, from: Position): Position {
  const { address } = from.recipient;
  const { local, domain } = splitAddress(foldCase(address));
  if (domain === undefined) work.log.warning(`no @ in recipient address: ${local}`);
  const parts = splitExtension(local, work.settings.view.recipient_delimiter, work.settings.extensions);
  const position = { ...from, local, domain, delivered: from.delivered ?? address };
  if (parts === undefined) return { ...position, user: local, extension: undefined, unmatched: undefined, delimiter: '' };
  const { base: user, extension, delimiter } = parts;
  if (!extension.includes('/')) return { ...position, user, extension, unmatched: extension, delimiter };
  work.log.warning(`${work.request.queueId}: address with illegal extension: ${local}`);
  return { ...position, local: user, user, extension: undefined, unmatched: undefined, delimiter: '' };
}

async function deliverSwitch(work: Work, from: Position, user: User): Promise<boolean> {
  const position = deeper(from);
  if (position.recipient.address.startsWith('\\')) return mailboxOrUnknown(work, withoutBackslash(position), user);
  const aliased = await deliverByAlias(work, position, user);
  if (aliased !== undefined) return aliased;
  if (isForwarded(position)) return deliverIndirect(work, position);
  const trouble = homeTrouble(work, position);
  if (trouble !== undefined) return failed(work, position, trouble);
  return (await deliverDotforward(work, position, user)) ?? mailboxOrUnknown(work, position, user);
}

/** The full local part first, then the one without extension. */
async function deliverByAlias(work: Work, position: Position, user: User): Promise<boolean | undefined> {
  const { extension, local } = position;
  const full = await deliverAlias(work, { ...position, unmatched: undefined }, user, local);
  if (full !== undefined || extension === undefined) return full;
  const unmatched = work.settings.propagates.alias ? extension : undefined;
  return deliverAlias(work, { ...position, unmatched }, user, position.user);
}

/**
 * Mail that a list or a .forward file sends to another local user goes through the queue again, so that each has a delivery
 * record of its own; loops that this makes end by Delivered-To:.
 */
function isForwarded({ owner, user, found }: Position): boolean {
  return (owner !== undefined && foldCase(owner) !== foldCase(user)) || found === expansion.include;
}

function homeTrouble(work: Work, { user }: Position): { dsn: string; text: string } | undefined {
  if (!work.settings.view.require_home_directory) return undefined;
  let account: Account | undefined;
  try {
    account = getpwnam(user);
  } catch (error) {
    work.log.warning(`error looking up passwd info for ${user}: ${errorText(error)}`);
    return { dsn: '4.0.0', text: 'user lookup error' };
  }
  if (account === undefined) return undefined;
  const { home } = account;
  try {
    actAs(account, () => fs.statSync(pathBytes(home)));
    return undefined;
  } catch (error) {
    return { dsn: '4.3.0', text: `cannot access home directory ${home}: ${errorText(error)}` };
  }
}

/** \user: no alias, no .forward. */
function withoutBackslash(position: Position): Position {
  const { recipient, local, user } = position;
  return { ...position, recipient: { ...recipient, address: recipient.address.slice(1) }, local: local.slice(1), user: user.slice(1) };
}

async function mailboxOrUnknown(work: Work, position: Position, user: User): Promise<boolean> {
  return (await deliverMailbox(work, position, user)) ?? deliverUnknown(work, position, user);
}
