/** Restrictions about the name in HELO or EHLO: only its form; look-ups come with check_helo_* and reject_unknown_helo_hostname. */
import { validHostaddr, validHostname, validMailhostLiteral } from '../../../text/hostname.ts';
import { refused, type AccessSetup } from './setup.ts';
import type { Decision, AccessState, Restriction, Subject } from './state.ts';

type Check = (helo: string) => boolean;

function checked(setup: AccessSetup, isGood: Check, code: number, what: string): Restriction {
  return (state, about) => {
    const { helo } = state;
    if (helo === undefined) return undefined;
    if (helo.startsWith('[')) return literal(setup, state, helo);
    return isGood(helo) ? undefined : refused(setup, state, { code, status: '5.5.2', text: heloText(state, about, what) });
  };
}

function literal(setup: AccessSetup, state: AccessState, helo: string): Decision {
  if (validMailhostLiteral(helo)) return undefined;
  return refused(setup, state, { code: setup.view.invalid_hostname_reject_code, status: '5.5.2', text: `<${helo}>: Helo command rejected: invalid ip address` });
}

const heloText = ({ helo }: AccessState, _about: Subject, what: string): string => `<${helo}>: Helo command rejected: ${what}`;

const isName: Check = (helo) => {
  const name = helo.endsWith('.') ? helo.slice(0, -1) : helo;
  return validHostname(name) || validHostaddr(name);
};

export const rejectInvalidHeloHostname = (setup: AccessSetup): Restriction => checked(setup, isName, setup.view.invalid_hostname_reject_code, 'Invalid name');

export const rejectNonFqdnHeloHostname = (setup: AccessSetup): Restriction =>
  checked(setup, (helo) => isName(helo) && helo.replace(/\.$/, '').includes('.'), setup.view.non_fqdn_reject_code, 'need fully-qualified hostname');
