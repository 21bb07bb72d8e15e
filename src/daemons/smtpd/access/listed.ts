/**
 * Is there such a recipient (or sender) in our own domains? Mail for unknown users is refused at the door, so that nothing has to be
 * bounced later. postconf(5) reject_unlisted_recipient, local_recipient_maps and its sisters.
 */
import { resolveFlag } from '../../../ipc/rewrite.ts';
import { splitDsn } from '../../../message/dsn.ts';
import type { Maps } from '../../../tables/maps.ts';
import { startsIgnoringCase } from '../../../text/ascii.ts';
import { statusFor } from './refuse.ts';
import { refused, type AccessSetup } from './setup.ts';
import type { Resolved } from './resolver.ts';
import type { AccessState, Decision, Restriction } from './state.ts';

type Side = 'sender' | 'recipient';

interface ListedTables {
  readonly anyClass: readonly Maps[];
  readonly senders: Maps;
  readonly byClass: readonly { readonly flag: number; readonly maps: Maps; readonly code: number; readonly table: string }[];
}

function openTables(setup: AccessSetup): ListedTables {
  const { view } = setup;
  const open = (name: 'recipient_canonical_maps' | 'canonical_maps' | 'virtual_alias_maps' | 'sender_canonical_maps' | 'local_recipient_maps' | 'virtual_mailbox_maps' | 'relay_recipient_maps'): Maps =>
    setup.openMaps(view[name], name);
  return {
    anyClass: [open('recipient_canonical_maps'), open('canonical_maps'), open('virtual_alias_maps')],
    senders: open('sender_canonical_maps'),
    byClass: [
      { flag: resolveFlag.local, maps: open('local_recipient_maps'), code: view.unknown_local_recipient_reject_code, table: 'local recipient' },
      { flag: resolveFlag.virtual, maps: open('virtual_mailbox_maps'), code: view.unknown_virtual_mailbox_reject_code, table: 'virtual mailbox' },
      { flag: resolveFlag.relay, maps: open('relay_recipient_maps'), code: view.unknown_relay_recipient_reject_code, table: 'relay recipient' },
    ],
  };
}

export const rejectUnlisted = (side: Side) => (setup: AccessSetup): Restriction => {
  const tables = openTables(setup);
  return async (state) => {
    const address = state[side];
    const wasChecked = side === 'sender' ? state.senderChecked : state.recipientChecked;
    if (address === undefined || address === '' || wasChecked) return undefined;
    if (!state.warnOnly) state[side === 'sender' ? 'senderChecked' : 'recipientChecked'] = true;
    const other = (side === 'sender' ? state.recipient : state.sender) ?? '';
    return unlisted(setup, tables, state, side, address, await setup.tools.resolve(other, address));
  };
};

async function unlisted(setup: AccessSetup, tables: ListedTables, state: AccessState, side: Side, address: string, route: Resolved): Promise<Decision> {
  const anyTable = side === 'sender' ? [...tables.anyClass, tables.senders] : tables.anyClass;
  for (const maps of anyTable) if ((await setup.findAddress(maps, route.recipient)) !== undefined) return undefined;
  const replyClass = side === 'sender' ? 'Sender address' as const : 'Recipient address' as const;
  const refusal = (code: number, status: string, why: string): Decision =>
    refused(setup, state, { code, status: statusFor(status, { name: address, replyClass }), text: `<${address}>: ${replyClass} rejected: ${why}` });
  if (route.transport === 'error' || route.transport === 'retry') {
    const first = route.transport === 'error' ? '5' : '4';
    const { status, text } = splitDsn(`${first}.1.${side === 'sender' ? 0 : 1}`, route.nexthop);
    const code = first === '4' ? 450 : route.flags & resolveFlag.alias ? setup.view.unknown_virtual_alias_reject_code : 550;
    return refusal(code, status, text);
  }
  for (const { flag, maps, code, table } of tables.byClass) {
    if (!(route.flags & flag) || maps.isEmpty || (flag === resolveFlag.local && isBuiltIn(setup, route.recipient))) continue;
    if ((await setup.findAddress(maps, route.recipient)) !== undefined) return undefined;
    const where = setup.view.show_user_unknown_table_name ? ` in ${table} table` : '';
    return refusal(code, side === 'sender' ? '5.1.0' : '5.1.1', `User unknown${where}`);
  }
  return undefined;
}

/** Addresses that exist on every mail system: RFC 5321 section 4.5.1, and what our own reports come from. */
function isBuiltIn(setup: AccessSetup, recipient: string): boolean {
  return ['postmaster@', 'mailer-daemon@', `${setup.view.double_bounce_sender}@`].some((start) => startsIgnoringCase(recipient, start));
}
