/**
 * Problems of a list's member go to the owner of the list, not to who wrote to it.
 *
 * An agent cannot change a message's sender for reports, so such a report is sent by itself, for one recipient.
 */
import type { Failure } from '../../delivery/failure.ts';
import { splitAddress, stripAddress } from '../../message/address.ts';
import { canonicalAddress } from './resolve.ts';
import { failed, failedOne, type Position, type Work } from './work.ts';

export async function failedToOwner(work: Work, position: Position, failure: Failure): Promise<boolean> {
  let owner: string | undefined;
  try {
    owner = work.settings.view.owner_request_special ? await ownerOf(work, position.recipient.address) : undefined;
  } catch {
    return failed(work, position, { dsn: '4.3.0', text: 'alias database unavailable' });
  }
  if (owner === undefined) return failed(work, position, failure);
  return failedOne(work, { ...position, sender: owner, owner }, failure);
}

/** By the full local part, then by the one without extension. Throws when a table or the rewriting service cannot be asked. */
async function ownerOf(work: Work, address: string): Promise<string | undefined> {
  const { aliases, view, extensions } = work.settings;
  const stripped = stripAddress(address, view.recipient_delimiter, extensions)?.address;
  for (const each of stripped === undefined ? [address] : [address, stripped]) {
    const name = `owner-${splitAddress(each).local}`;
    const value = await aliases.find(name);
    if (value !== undefined) return canonicalAddress(work, view.expand_owner_alias ? value : name);
  }
  return undefined;
}
