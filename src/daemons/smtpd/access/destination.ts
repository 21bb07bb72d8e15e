/**
 * Restrictions about where a recipient goes: is it ours to deliver or to relay? This is what keeps the server from being an
 * open relay. postconf(5) smtpd_relay_restrictions.
 */
import { resolveFlag } from '../../../ipc/rewrite.ts';
import type { MaybePromise } from '../../../text/maybe.ts';
import { noteOldDefault } from './old-defaults.ts';
import { permitted } from './permitted.ts';
import { resolveAddress } from './resolve-address.ts';
import type { Resolved } from './resolver.ts';
import { refused, type AccessSetup } from './setup.ts';
import type { AccessState, Decision, Maker, Restriction } from './state.ts';

const ours = resolveFlag.local | resolveFlag.alias | resolveFlag.virtual | resolveFlag.relay;

/** Is the recipient's domain one that mail is accepted for from strangers, and not routed on by its local part? Then what? */
export function ifAuthorized(setup: AccessSetup, state: AccessState, recipient: string, next: (isAuthorized: boolean) => MaybePromise<Decision>): MaybePromise<Decision> {
  return resolveAddress(setup, state, 'recipient', recipient, (route) => next(isAuthorized(setup, state, route)));
}

function isAuthorized(setup: AccessSetup, state: AccessState, { recipient, flags }: Resolved): boolean {
  if (!recipient.includes('@')) return true;
  if (!setup.view.allow_untrusted_routing && flags & resolveFlag.routed) return false;
  if (flags & resolveFlag.relay)
    noteOldDefault(setup, state, 'relay_domains', 'relay_domains=$mydestination', `to accept mail for domain "${recipient.slice(recipient.lastIndexOf('@') + 1)}"`);
  return (flags & ours) !== 0;
}

export const permitAuthDestination: Maker = (setup, _argument, { name }) => (state) => {
  const { recipient } = state;
  if (recipient === undefined) return undefined;
  return ifAuthorized(setup, state, recipient, (isOurs) =>
    (isOurs ? permitted(setup, state, name, { name: recipient, replyClass: 'Recipient address' }) : undefined));
};

function unlessAuthorized(setup: AccessSetup, code: number, status: string): Restriction {
  return (state) => {
    const { recipient } = state;
    if (recipient === undefined) return undefined;
    return ifAuthorized(setup, state, recipient, (isOurs) =>
      (isOurs ? undefined : refused(setup, state, { code, status, text: `<${recipient}>: Relay access denied` })));
  };
}

export const rejectUnauthDestination = (setup: AccessSetup): Restriction => unlessAuthorized(setup, setup.view.relay_domains_reject_code, '5.7.1');
export const deferUnauthDestination = (setup: AccessSetup): Restriction => unlessAuthorized(setup, setup.view.relay_domains_reject_code - 100, '4.7.1');
