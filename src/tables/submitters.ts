/**
 * Who may hand in mail, and under which sender address: authorized_submit_users and local_login_sender_maps.
 *
 * Asked by whoever takes mail from local users. A table that cannot be asked throws (or rejects with) TableTrouble.
 */
import { getpwuid } from '../host/identity.ts';
import { stripAddress, quote822Local } from '../message/address.ts';
import { lowerAscii, sameIgnoringCase } from '../text/ascii.ts';
import { stringList } from '../text/match-list.ts';
import { chain, type MaybePromise } from '../text/maybe.ts';
import { listed, matchSources } from './lists.ts';
import { openMaps } from './maps.ts';
import type { TableContext } from './table.ts';

/** Login names by user id; the system's accounts unless something else is given (a chroot has none). */
export type AccountName = (uid: number) => string | undefined;

const systemAccount: AccountName = (uid) => getpwuid(uid)?.name;

/** May this user? undefined: yes; else the name under which the user is refused. */
export type UserCheck = (uid: number) => MaybePromise<string | undefined>;

/** A list of login names in main.cf (authorized_submit_users, authorized_mailq_users, ...). Tables are opened now. */
export function openUserList(parameter: string, context: TableContext, accountName: AccountName = systemAccount): UserCheck {
  const users = context.parameter(parameter);
  const list = stringList(parameter, users, matchSources(context));
  return (uid) => {
    // The usual case needs no account database, and works when that is broken.
    if (users.startsWith('static:')) return undefined;
    const name = accountName(uid) ?? 'unknown';
    return chain(listed(list, name), (found) => (found ? undefined : name));
  };
}

export interface Submitters {
  readonly refused: UserCheck;
  /** May this user send as `sender` (internal form)? */
  maySendAs(uid: number, sender: string): MaybePromise<boolean>;
}

/** Tables are opened now: before chroot and before privileges are dropped. */
export function openSubmitters(context: TableContext, accountName: AccountName = systemAccount): Submitters {
  const senders = context.parameter('local_login_sender_maps');
  const anyone = senders === 'static:*';
  const maps = openMaps(anyone ? '' : senders, context, 'local_login_sender_maps');
  const rules = { delimiter: context.parameter('recipient_delimiter'), nullSender: context.parameter('empty_address_local_login_sender_maps_lookup_key') };
  return {
    refused: openUserList('authorized_submit_users', context, accountName),
    maySendAs(uid, sender) {
      if (anyone) return true;
      return chain(maps.find(accountName(uid) ?? `uid:${uid}`), (patterns) => patterns !== undefined && senderPatterns(patterns).some((pattern) => matches(pattern, sender, rules)));
    },
  };
}

/** Separated by comma or white space; quoted parts stay whole. */
function senderPatterns(text: string): string[] {
  return text.match(/(?:"(?:\\.|[^"\\])*"|[^, \t\r\n"])+/g) ?? [];
}

interface SenderRules { readonly delimiter: string; readonly nullSender: string }

/** A pattern is `@domain`, `*`, the key for the null sender, or an address without extension. */
function matches(pattern: string, sender: string, { delimiter, nullSender }: SenderRules): boolean {
  if (pattern.startsWith('@')) {
    const at = sender.lastIndexOf('@');
    return at >= 0 && sameIgnoringCase(pattern, sender.slice(at));
  }
  if (pattern === '*') return true;
  if (sameIgnoringCase(pattern, nullSender)) return sender === '';
  const bare = stripAddress(sender, delimiter)?.address ?? sender;
  return lowerAscii(pattern) === lowerAscii(quote822Local(bare));
}
