/**
 * Where the mail of a virtual recipient goes: virtual_mailbox_maps, virtual_uid_maps and virtual_gid_maps (virtual(8)).
 *
 * Every look-up is for the whole address (then without extension, then @domain), never for a part of it in pattern tables. What the
 * operator must mend is a warning and a temporary failure: no mail is returned for it.
 */
import type { Failure, Rights } from '../../delivery/failure.ts';
import type { Log } from '../../log/log.ts';
import { addressTableSearch, findAddress, type AddressRules } from '../../tables/mail-address-find.ts';
import type { Maps } from '../../tables/maps.ts';

export interface MailboxTables {
  readonly mailboxes: Maps;
  readonly uids: Maps;
  readonly gids: Maps;
  readonly rules: AddressRules;
  /** virtual_mailbox_base */
  readonly base: string;
  /** virtual_minimum_uid */
  readonly minimumUid: number;
}

export interface VirtualMailbox {
  /** Ends in '/' for a Maildir. */
  readonly path: string;
  readonly rights: Rights;
}

const configurationError: Failure = { dsn: '4.3.5', text: 'mail system configuration error' };
const largestId = 0xffff_fffe;

/** The mailbox of an address in lower case; undefined: nobody has that address. */
export async function mailboxOf(address: string, tables: MailboxTables, log: Log): Promise<VirtualMailbox | Failure | undefined> {
  const found = await lookup(address, tables.mailboxes, tables.rules, log);
  if (found === undefined || 'dsn' in found) return found;
  const path = `${tables.base}/${found.value}`;
  if (path.slice(tables.base.length).includes('/../')) {
    log.warning(`recipient ${address}: bad mailbox path ${found.value} in ${tables.mailboxes.title}`);
    return configurationError;
  }
  const uid = await idOf(address, 'uid', tables.uids, tables.minimumUid, tables.rules, log);
  if (typeof uid !== 'number') return uid;
  const gid = await idOf(address, 'gid', tables.gids, 1, tables.rules, log);
  return typeof gid !== 'number' ? gid : { path, rights: { uid, gid } };
}

async function idOf(address: string, what: 'uid' | 'gid', maps: Maps, least: number, rules: AddressRules, log: Log): Promise<number | Failure> {
  const found = await lookup(address, maps, rules, log);
  if (found !== undefined && 'dsn' in found) return found;
  if (found === undefined) log.warning(`recipient ${address}: not found in ${maps.title}`);
  else {
    const id = /^[ \t]*\+?[0-9]{1,10}$/.test(found.value) ? Number(found.value) : -1;
    if (id >= least && id <= largestId) return id;
    log.warning(`recipient ${address}: bad ${what} ${found.value} in ${maps.title}`);
  }
  return configurationError;
}

async function lookup(address: string, maps: Maps, rules: AddressRules, log: Log): Promise<{ value: string } | Failure | undefined> {
  try {
    return await findAddress(maps, address, addressTableSearch, rules);
  } catch (error) {
    log.warning(`table ${maps.title}: lookup ${address}: ${(error as Error).message}`);
    return configurationError;
  }
}
