/**
 * Is there such a recipient (or sender) in our own domains? Mail for unknown users is refused at the door, so that nothing has to be
 * bounced later. postconf(5) reject_unlisted_recipient, local_recipient_maps and its sisters.
 */
import { resolveFlag } from '../../../ipc/rewrite.ts';
import { splitDsn } from '../../../message/dsn.ts';
import type { Maps } from '../../../tables/maps.ts';
import { splitList, startsIgnoringCase } from '../../../text/ascii.ts';
import { chain, isPending, type MaybePromise } from '../../../text/maybe.ts';
import { statusFor } from './refuse.ts';
import { noteOldDefault } from './old-defaults.ts';
import { resolveAddress } from './resolve-address.ts';
import { refused, type AccessSetup } from './setup.ts';
import type { Resolved } from './resolver.ts';
import type { AccessState, Decision, Restriction } from './state.ts';

type Side = 'sender' | 'recipient';

interface ListedTables {
  /** Tables without entries are left out. */
  readonly anyClass: readonly Maps[];
  readonly anyForSender: readonly Maps[];
  readonly byClass: readonly { readonly flag: number; readonly maps: Maps; readonly code: number; readonly table: string }[];
}

function openTables(setup: AccessSetup): ListedTables {
  const { view } = setup;
  const open = (name: 'recipient_canonical_maps' | 'canonical_maps' | 'virtual_alias_maps' | 'sender_canonical_maps' | 'local_recipient_maps' | 'virtual_mailbox_maps' | 'relay_recipient_maps'): Maps =>
    setup.openMaps(view[name], name);
  const anyClass = [open('recipient_canonical_maps'), open('canonical_maps'), open('virtual_alias_maps')].filter((maps) => !maps.isEmpty);
  return {
    anyClass,
    anyForSender: [...anyClass, open('sender_canonical_maps')].filter((maps) => !maps.isEmpty),
    byClass: [
      { flag: resolveFlag.local, maps: open('local_recipient_maps'), code: view.unknown_local_recipient_reject_code, table: 'local recipient' },
      { flag: resolveFlag.virtual, maps: open('virtual_mailbox_maps'), code: view.unknown_virtual_mailbox_reject_code, table: 'virtual mailbox' },
      { flag: resolveFlag.relay, maps: open('relay_recipient_maps'), code: view.unknown_relay_recipient_reject_code, table: 'relay recipient' },
    ],
  };
}

export const rejectUnlisted = (side: Side) => (setup: AccessSetup): Restriction => {
  const tables = openTables(setup);
  const isOverridden = splitList(setup.view.receive_override_options).includes('no_unknown_recipient_checks');
  return (state) => {
    const address = state[side];
    const wasChecked = side === 'sender' ? state.senderChecked : state.recipientChecked;
    if (address === undefined || address === '' || wasChecked || isOverridden) return undefined;
    if (!state.warnOnly) state[side === 'sender' ? 'senderChecked' : 'recipientChecked'] = true;
    return resolveAddress(setup, state, side, address, (route) => unlisted({ setup, tables, state, side, address, route }));
  };
};

/** One address, and where it goes. */
interface Inquiry {
  readonly setup: AccessSetup;
  readonly tables: ListedTables;
  readonly state: AccessState;
  readonly side: Side;
  readonly address: string;
  readonly route: Resolved;
}

function unlisted(inquiry: Inquiry): MaybePromise<Decision> {
  const { setup, tables, side, route } = inquiry;
  const anyTable = side === 'sender' ? tables.anyForSender : tables.anyClass;
  const known = inAny(setup, anyTable, route.recipient, 0);
  if (isPending(known)) return known.then((late) => (late ? undefined : inClass(inquiry)));
  return known ? undefined : inClass(inquiry);
}

function inAny(setup: AccessSetup, tables: readonly Maps[], recipient: string, from: number): MaybePromise<boolean> {
  for (let at = from; at < tables.length; at++) {
    const found = setup.findAddress(tables[at]!, recipient);
    if (isPending(found)) return found.then((late) => late !== undefined || inAny(setup, tables, recipient, at + 1));
    if (found !== undefined) return true;
  }
  return false;
}

/** No table for all addresses has it: what says the one for its class of domains? */
function inClass(inquiry: Inquiry): MaybePromise<Decision> {
  const { setup, tables, side, route } = inquiry;
  if (route.transport === 'error' || route.transport === 'retry') return nowhere(inquiry);
  for (const { flag, maps, code, table } of tables.byClass) {
    if (!(route.flags & flag) || maps.isEmpty || (flag === resolveFlag.local && isBuiltIn(setup, route.recipient))) continue;
    const where = setup.view.show_user_unknown_table_name ? ` in ${table} table` : '';
    return chain(setup.findAddress(maps, route.recipient), (found) =>
      (found === undefined ? refusal(inquiry, code, side === 'sender' ? '5.1.0' : '5.1.1', `User unknown${where}`) : pass(inquiry)));
  }
  return pass(inquiry);
}

function pass({ setup, state, route }: Inquiry): Decision {
  if (route.flags & resolveFlag.relay)
    noteOldDefault(setup, state, 'relay_domains', 'relay_domains=$mydestination', `to accept mail for address "${route.recipient}"`);
  return undefined;
}

function nowhere(inquiry: Inquiry): Decision {
  const { setup, side, route } = inquiry;
  const first = route.transport === 'error' ? '5' : '4';
  const { status, text } = splitDsn(`${first}.1.${side === 'sender' ? 0 : 1}`, route.nexthop);
  const code = first === '4' ? 450 : route.flags & resolveFlag.alias ? setup.view.unknown_virtual_alias_reject_code : 550;
  return refusal(inquiry, code, status, text);
}

function refusal({ setup, state, side, address }: Inquiry, code: number, status: string, why: string): Decision {
  const replyClass = side === 'sender' ? 'Sender address' as const : 'Recipient address' as const;
  return refused(setup, state, { code, status: statusFor(status, { name: address, replyClass }, state), text: `<${address}>: ${replyClass} rejected: ${why}` });
}

/** Addresses that exist on every mail system: RFC 5321 section 4.5.1, and what our own reports come from. */
function isBuiltIn(setup: AccessSetup, recipient: string): boolean {
  return ['postmaster@', 'mailer-daemon@', `${setup.view.double_bounce_sender}@`].some((start) => startsIgnoringCase(recipient, start));
}
