/** Restrictions about the form and the domain of sender and recipient addresses. */
import { resolveFlag } from '../../../ipc/rewrite.ts';
import { validHostname } from '../../../text/hostname.ts';
import { chain } from '../../../text/maybe.ts';
import { withoutDot } from './hello.ts';
import { asciiName, lookUpName, outside, remembered, type NameAnswer } from './names.ts';
import { deferOr } from './refuse.ts';
import { resolveAddress } from './resolve-address.ts';
import { refused, type AccessSetup } from './setup.ts';
import type { AccessState, Decision, Restriction } from './state.ts';

export type Side = 'sender' | 'recipient';

export const classOf = { sender: 'Sender address', recipient: 'Recipient address' } as const;

/** The address of that side, when there is one to judge: the null sender is nobody's address. */
export function addressOf(state: AccessState, side: Side): string | undefined {
  const address = state[side];
  return side === 'sender' && address === '' ? undefined : address;
}

const isLiteral = (domain: string): boolean => domain.startsWith('[') && domain.endsWith(']');

export const rejectNonFqdn = (side: Side) => (setup: AccessSetup): Restriction => (state) => {
  const address = addressOf(state, side);
  if (address === undefined) return undefined;
  const domain = address.includes('@') ? address.slice(address.lastIndexOf('@') + 1) : '';
  const name = withoutDot(domain);
  if (isLiteral(domain) || (validHostname(state.smtputf8 ? asciiName(name) : name) && name.includes('.'))) return undefined;
  return refused(setup, state, { code: setup.view.non_fqdn_reject_code, status: '4.5.2', text: `<${address}>: ${classOf[side]} rejected: need fully-qualified address` });
};

export const rejectUnknownDomain = (side: Side) => (setup: AccessSetup): Restriction => (state) => {
  const address = addressOf(state, side);
  if (address === undefined) return undefined;
  return resolveAddress(setup, state, side, address, ({ recipient, flags }) => {
    const domain = recipient.slice(recipient.lastIndexOf('@') + 1);
    const isFinal = flags & (resolveFlag.local | resolveFlag.alias | resolveFlag.virtual);
    if (!recipient.includes('@') || isFinal || isLiteral(domain)) return undefined;
    const name = asciiName(domain);
    return chain(mailDomain(setup, state, name), (answer) => judge(setup, state, side, { address, domain: name, answer }));
  });
};

/** RFC 5321 section 5.1: a domain takes mail when it has MX or, without one, address records. */
function mailDomain(setup: AccessSetup, state: AccessState, domain: string): Promise<NameAnswer> {
  return remembered(state, `mail ${domain}`, () => lookUpName(outside(setup).dns, domain, [['MX'], ['A', 'AAAA']], ['invalid', 'null-mx', 'policy']));
}

interface Found { readonly address: string; readonly domain: string; readonly answer: NameAnswer }

function judge(setup: AccessSetup, state: AccessState, side: Side, { address, domain, answer: { status } }: Found): Decision {
  const text = (why: string): string => `<${address}>: ${classOf[side]} rejected: ${why}`;
  const isSender = side === 'sender';
  if (status === 'ok') return undefined;
  if (status === 'policy') return void setup.tools.warn(`${domain}: MX or address lookup error: DNS reply filter drops all results`);
  // RFC 7505 section 4: a domain that takes no mail.
  if (status === 'null-mx')
    return refused(setup, state, { code: isSender ? 550 : 556, status: isSender ? '4.7.27' : '4.1.10', text: text(`Domain ${domain} does not accept mail (nullMX)`) });
  const refusal = { code: 450, status: isSender ? '4.1.8' : '4.1.2', text: text(status === 'invalid' ? 'Malformed DNS server reply' : 'Domain not found') };
  if (status === 'retry') return deferOr(setup.view.unknown_address_tempfail_action, state, refusal, setup.tools, setup.rules);
  return refused(setup, state, { ...refusal, code: setup.view.unknown_address_reject_code });
}
