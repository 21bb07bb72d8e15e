/** Where an address from an alias, a .forward or an :include: file leads: to someone here, or back into the queue. */
import { externalize, internalize, scanAddress, type AddressToken } from '../../message/address-tokens.ts';
import { quote822Local, unquote822Local } from '../../message/address.ts';
import { resolveFlag } from '../../ipc/rewrite.ts';
import { deliverIndirect } from './forwards.ts';
import { deliverRecipient } from './recipient.ts';
import { deeper, failed, type Position, type User, type Work } from './work.ts';

/** An address in full internal form, as cleanup would make it. Rejects when the rewriting service cannot be asked. */
export async function canonicalAddress(work: Work, address: string): Promise<string> {
  const { address: full } = await work.settings.rewrite.rewrite({ rule: 'local', address: quote822Local(address) });
  return unquote822Local(full);
}

export async function deliverAddress(work: Work, from: Position, user: User, tokens: readonly AddressToken[]): Promise<boolean> {
  const position = deeper(from);
  let reply: { transport: string; recipient: string; flags: number };
  try {
    // What stands unquoted in the file goes to be rewritten so: in host!user the sign means something.
    const { address } = await work.settings.rewrite.rewrite({ rule: 'local', address: externalize(tokens) });
    reply = await work.settings.rewrite.resolve({ sender: '', address: internalize(scanAddress(address)) });
  } catch (error) {
    work.log.warning(`${work.request.queueId}: ${(error as Error).message}`);
    reply = { transport: '', recipient: '', flags: resolveFlag.fail };
  }
  if (reply.flags & resolveFlag.fail) return failed(work, position, { dsn: '4.3.0', text: 'address resolver failure' });
  if (reply.flags & resolveFlag.error) return failed(work, position, { dsn: '5.1.3', text: `bad recipient address syntax: ${reply.recipient}` });
  const address = withExtension(reply.recipient, position);
  const next = { ...position, recipient: { ...position.recipient, address } };
  return reply.transport === work.settings.service ? deliverRecipient(work, next, user) : deliverIndirect(work, next);
}

/** The extension that nothing matched moves on to the new address. */
function withExtension(address: string, { unmatched, delimiter }: Position): string {
  if (unmatched === undefined) return address;
  const at = address.lastIndexOf('@');
  const end = at < 0 ? address.length : at;
  return address.slice(0, end) + delimiter + unmatched + address.slice(end);
}
