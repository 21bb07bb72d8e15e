/** Restrictions about the name in HELO or EHLO: its form, and whether the name service knows it. */
import { isAscii } from '../../../text/ascii.ts';
import { mailhostAddress, validHostaddr, validHostname } from '../../../text/hostname.ts';
import { chain, type MaybePromise } from '../../../text/maybe.ts';
import { asciiName, lookUpName, outside, remembered } from './names.ts';
import { deferOr } from './refuse.ts';
import { refused, type AccessSetup } from './setup.ts';
import type { AccessState, Decision, Restriction } from './state.ts';

type Judge = (state: AccessState, helo: string) => MaybePromise<Decision>;

const rejection = (helo: string, why: string): string => `<${helo}>: Helo command rejected: ${why}`;

/** A name is for the judge; what begins with `[` must be an address. */
function ofHelo(setup: AccessSetup, judge: Judge): Restriction {
  return (state) => {
    const { helo } = state;
    if (helo === undefined) return undefined;
    if (!helo.startsWith('[')) return judge(state, helo);
    const inner = helo.length > 2 && helo.endsWith(']') ? helo.slice(1, -1) : helo;
    if (mailhostAddress(inner) !== undefined) return undefined;
    return refused(setup, state, { code: setup.view.invalid_hostname_reject_code, status: '5.5.2', text: rejection(helo, 'invalid ip address') });
  };
}

/** `host.example.` is `host.example`, but two dots are a mistake. */
export const withoutDot = (name: string): string => (name.length > 1 && name.endsWith('.') && !name.endsWith('..') ? name.slice(0, -1) : name);

export const rejectInvalidHeloHostname = (setup: AccessSetup): Restriction => ofHelo(setup, (state, helo) => {
  const name = withoutDot(helo);
  if (isAscii(name) && (validHostname(name) || validHostaddr(name))) return undefined;
  return refused(setup, state, { code: setup.view.invalid_hostname_reject_code, status: '5.5.2', text: rejection(helo, 'Invalid name') });
});

export const rejectNonFqdnHeloHostname = (setup: AccessSetup): Restriction => ofHelo(setup, (state, helo) => {
  const name = withoutDot(helo);
  if (validHostname(state.smtputf8 ? asciiName(name) : name) && name.includes('.')) return undefined;
  return refused(setup, state, { code: setup.view.non_fqdn_reject_code, status: '5.5.2', text: rejection(helo, 'need fully-qualified hostname') });
});

/** RFC 7505: a host that takes no mail may still send some. */
export const rejectUnknownHeloHostname = (setup: AccessSetup): Restriction => ofHelo(setup, (state, helo) => {
  const answer = remembered(state, `helo ${helo}`, () => lookUpName(outside(setup).dns, helo, [['A', 'AAAA'], ['MX']]));
  return chain(answer, ({ status }) => {
    if (status === 'ok' || status === 'null-mx') return undefined;
    if (status === 'policy') return void setup.tools.warn(`${helo}: address or MX lookup error: DNS reply filter drops all results`);
    const refusal = { code: 450, status: '4.7.1', text: rejection(helo, status === 'invalid' ? 'Malformed DNS server reply' : 'Host not found') };
    if (status === 'retry') return deferOr(setup.view.unknown_helo_hostname_tempfail_action, state, refusal, setup.tools, setup.rules);
    return refused(setup, state, { ...refusal, code: setup.view.unknown_hostname_reject_code });
  });
});
