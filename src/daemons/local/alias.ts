/**
 * aliases(5): a name stands for addresses, commands, files and :include: files.
 *
 * Rights: what an alias of root's table does is done as default_privs, what another's does as the owner of that table. Problems: when
 * there is an alias owner-NAME the mail is sent on in the owner's name, who then hears of them.
 */
import { getpwuid, type Account } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import { requestFlag } from '../../ipc/deliver.ts';
import { dsnNotify } from '../../message/dsn.ts';
import { findAlias } from '../../tables/mail-address-find.ts';
import { TableTrouble, type LookupTable } from '../../tables/table.ts';
import { foldCase } from '../../text/utf8.ts';
import { canonicalAddress } from './resolve.ts';
import { expansion } from './settings.ts';
import { deliverText } from './token.ts';
import { deeper, deepest, failed, noUser, sent, traceExpanded, userOf, type Position, type User, type Work } from './work.ts';

const unavailable = { dsn: '4.3.0', text: 'alias database unavailable' } as const;

/** Undefined: there is no such alias. */
export async function deliverAlias(work: Work, from: Position, user: User, name: string): Promise<boolean | undefined> {
  const here = deeper(from);
  // An alias that lists its own name means the user of that name, as in Sendmail.
  if (here.expandedFrom !== undefined && foldCase(here.expandedFrom) === foldCase(name)) return undefined;
  if (here.level > deepest) {
    work.log.warning(`alias database loop for ${name}`);
    return failed(work, here, { dsn: '5.4.6', text: `alias database loop for ${name}` });
  }
  const position = { ...here, expandedFrom: name };
  for (const table of work.settings.aliases.tables) {
    let value: string | undefined;
    try {
      value = await findAlias(table, name);
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
      work.log.warning(`${table.type}:${table.name}: lookup of '${name}' failed`);
      return failed(work, position, unavailable);
    }
    if (value !== undefined) return expandAlias(work, position, user, { table, name, value });
  }
  return undefined;
}

interface Found { readonly table: LookupTable; readonly name: string; readonly value: string }

async function expandAlias(work: Work, from: Position, user: User, found: Found): Promise<boolean> {
  if (work.request.flags & requestFlag.mtaVerify) return sent(work, from, { text: `aliased to ${found.value}` });
  const rights = rightsOf(work, found.table);
  if (typeof rights === 'string') return failed(work, from, { dsn: '4.3.0', text: rights });
  const owner = await ownerOf(work, found.name);
  const delivered = work.settings.view.frozen_delivered_to ? from.delivered : from.recipient.address;
  const position = { ...from, found: expansion.alias, delivered };
  if (owner === 'trouble') return failed(work, position, unavailable);
  const [settled, count] = await deliverText(work, expandedPosition(work, position, owner), rights, found.value);
  if (count < 1) {
    work.log.warning(`no recipient in alias lookup result for ${found.name}`);
    return failed(work, position, unavailable);
  }
  if (from.recipient.dsnNotify & dsnNotify.success) await traceExpanded(work, from, owner === undefined ? 'expanded' : 'delivered');
  return settled;
}

/** RFC 3461 section 5.2.7.1 and .2: an alias hands NOTIFY (without SUCCESS), RET, ENVID and ORCPT on; a list none of them. */
function expandedPosition(work: Work, position: Position, owner: string | undefined): Position {
  const { recipient } = position;
  const notify = withoutSuccess(recipient.dsnNotify);
  if (owner === undefined) {
    const kept = work.settings.view.reset_owner_alias ? undefined : position.owner;
    return { ...position, owner: kept, recipient: { ...recipient, dsnNotify: notify } };
  }
  return {
    ...position, sender: owner, owner, dsnEnvid: '', dsnRet: 0,
    recipient: { ...recipient, dsnNotify: notify, dsnOrcpt: '', originalAddress: '' },
  };
}

/** Only success was wanted: then nothing is, from here on. */
export function withoutSuccess(notify: number): number {
  return notify === dsnNotify.success ? dsnNotify.never : notify & ~dsnNotify.success;
}

/** The user a table's contents act as; a text is what is wrong. */
function rightsOf(work: Work, table: LookupTable): User | string {
  const { owner } = table;
  const name = `${table.type}:${table.name}`;
  if (owner.trusted) return noUser;
  if (owner.uid === undefined) {
    work.log.warning(`deliver_alias: no owner UID for alias database ${name}`);
    return 'mail system configuration error';
  }
  let account: Account | undefined;
  try {
    account = getpwuid(owner.uid);
  } catch (error) {
    work.log.warning(`cannot find alias database owner for ${name}: ${errorText(error)}`);
    return 'cannot find alias database owner';
  }
  if (account !== undefined) return userOf(account);
  work.log.warning(`cannot find alias database owner for ${name}`);
  return 'cannot find alias database owner';
}

/** The address that problems with mail to this list go to, if it has an owner. */
async function ownerOf(work: Work, name: string): Promise<string | undefined | 'trouble'> {
  const { view, aliases } = work.settings;
  if (!view.owner_request_special) return undefined;
  const owner = `owner-${name}`;
  try {
    const value = await aliases.find(owner);
    if (value === undefined) return undefined;
    return await canonicalAddress(work, view.expand_owner_alias ? value : owner);
  } catch {
    return 'trouble';
  }
}
