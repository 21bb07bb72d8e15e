/** Mail for someone who is neither an alias nor a user: fallback_transport, luser_relay, or back to the sender. */
import { ExpansionError } from '../../config/expand.ts';
import { scanAddress } from '../../message/address-tokens.ts';
import { sameIgnoringCase } from '../../text/ascii.ts';
import { expandFor } from './expansions.ts';
import { passByTable } from './mailbox.ts';
import { deliverAddress } from './resolve.ts';
import { deeper, failed, sent, type Position, type User, type Work } from './work.ts';

export async function deliverUnknown(work: Work, from: Position, user: User): Promise<boolean> {
  const position = deeper(from);
  const { view, fallbackTransports } = work.settings;
  if (work.seen.before(`deliver_unknown ${position.local}`)) return true;
  const passed = await passByTable(work, position, fallbackTransports, view.fallback_transport);
  if (passed !== undefined) return passed;
  if (view.luser_relay !== '') return deliverRelay(work, { ...position, unmatched: undefined }, user);
  if (['mailer-daemon', 'postmaster'].some((name) => sameIgnoringCase(name, position.user))) {
    work.log.warning(`required alias not found: ${position.user}`);
    return sent(work, position, { text: 'discarded' });
  }
  return unknownUser(work, position);
}

async function unknownUser(work: Work, position: Position): Promise<boolean> {
  return failed(work, position, { dsn: '5.1.1', text: `unknown user: "${position.user}"` });
}

/** luser_relay; an address that is its own relay is unknown for good. */
async function deliverRelay(work: Work, position: Position, user: User): Promise<boolean> {
  let relay: string;
  let full: string;
  try {
    relay = expandFor(work.settings.view.luser_relay, work, position, user).text;
    full = (await work.settings.rewrite.rewrite({ rule: 'local', address: relay })).address;
  } catch (error) {
    work.log.warning(error instanceof ExpansionError ? `luser_relay: ${error.message}` : `${work.request.queueId}: ${(error as Error).message}`);
    return failed(work, position, { dsn: '4.3.0', text: 'address resolver failure' });
  }
  if (sameIgnoringCase(full, position.recipient.address)) return unknownUser(work, position);
  return deliverAddress(work, position, user, scanAddress(relay));
}
