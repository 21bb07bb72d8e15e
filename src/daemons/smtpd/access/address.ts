/** Restrictions about the form and the domain of sender and recipient addresses. */
import { resolveFlag } from '../../../ipc/rewrite.ts';
import { validHostname, validMailhostLiteral } from '../../../text/hostname.ts';
import { deferIfPermit } from './refuse.ts';
import { refused, type AccessSetup, type MailDomain } from './setup.ts';
import type { AccessState, Decision, Restriction } from './state.ts';

type Side = 'sender' | 'recipient';

const classOf = { sender: 'Sender address', recipient: 'Recipient address' } as const;

/** The address of that side, when there is one to judge: the null sender is nobody's address. */
function addressOf(state: AccessState, side: Side): string | undefined {
  const address = state[side];
  return side === 'sender' && address === '' ? undefined : address;
}

export const rejectNonFqdn = (side: Side) => (setup: AccessSetup): Restriction => (state) => {
  const address = addressOf(state, side);
  if (address === undefined) return undefined;
  const domain = address.slice(address.lastIndexOf('@') + 1);
  const isFull = address.includes('@') && (domain.startsWith('[') ? validMailhostLiteral(domain) : validHostname(domain.replace(/\.$/, '')) && domain.includes('.'));
  if (isFull || (side === 'recipient' && address.toLowerCase() === 'postmaster')) return undefined;
  const status = side === 'sender' ? '5.5.2' : '5.5.2';
  return refused(setup, state, { code: setup.view.non_fqdn_reject_code, status, text: `<${address}>: ${classOf[side]} rejected: need fully-qualified address` });
};

export const rejectUnknownDomain = (side: Side) => (setup: AccessSetup): Restriction => async (state) => {
  const address = addressOf(state, side);
  if (address === undefined) return undefined;
  const other = (side === 'sender' ? state.recipient : state.sender) ?? '';
  const { recipient, flags } = await setup.tools.resolve(other, address);
  const domain = recipient.slice(recipient.lastIndexOf('@') + 1);
  const isFinal = flags & (resolveFlag.local | resolveFlag.alias | resolveFlag.virtual);
  if (!recipient.includes('@') || isFinal || domain.startsWith('[')) return undefined;
  return verdicts[await setup.mailDomain(domain)](setup, state, side, address, domain);
};

type Judge = (setup: AccessSetup, state: AccessState, side: Side, address: string, domain: string) => Decision;

const notFound = (side: Side, address: string): { status: string; text: string } =>
  ({ status: side === 'sender' ? '4.1.8' : '4.1.2', text: `<${address}>: ${classOf[side]} rejected: Domain not found` });

const verdicts: Record<MailDomain, Judge> = {
  exists: () => undefined,
  unknown: (setup, state, side, address) => refused(setup, state, { code: setup.view.unknown_address_reject_code, ...notFound(side, address) }),
  later: (setup, state, side, address) => {
    const refusal = { code: 450, ...notFound(side, address) };
    const waits = setup.view.unknown_address_tempfail_action.trim() === 'defer_if_permit';
    return waits ? deferIfPermit(state, refusal, setup.tools, setup.rules) : refused(setup, state, refusal);
  },
  // RFC 7505 section 4: a domain that takes no mail.
  'no mail': (setup, state, side, address, domain) => refused(setup, state, {
    code: side === 'sender' ? 550 : 556, status: side === 'sender' ? '4.7.27' : '4.1.10',
    text: `<${address}>: ${classOf[side]} rejected: Domain ${domain} does not accept mail (nullMX)`,
  }),
};
