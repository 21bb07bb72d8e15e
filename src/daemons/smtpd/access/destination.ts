/**
 * Restrictions about where a recipient goes: is it ours to deliver or to relay? This is what keeps the server from being an
 * open relay. postconf(5) smtpd_relay_restrictions.
 */
import { resolveFlag } from '../../../ipc/rewrite.ts';
import { chain, type MaybePromise } from '../../../text/maybe.ts';
import { refused, type AccessSetup } from './setup.ts';
import { permit, type AccessState, type Decision, type Restriction } from './state.ts';

const ours = resolveFlag.local | resolveFlag.alias | resolveFlag.virtual | resolveFlag.relay;

/** Is the recipient's domain one that mail is accepted for from strangers, and not routed on by its local part? */
function isAuthorized(setup: AccessSetup, state: AccessState): MaybePromise<boolean> {
  return chain(setup.tools.resolve(state.sender ?? '', state.recipient!), ({ recipient, flags }) => {
    if (!recipient.includes('@')) return true;
    if (!setup.view.allow_untrusted_routing && flags & resolveFlag.routed) return false;
    return (flags & ours) !== 0;
  });
}

export const permitAuthDestination = (setup: AccessSetup): Restriction => (state) =>
  state.recipient === undefined ? undefined : chain(isAuthorized(setup, state), (isOurs): Decision => (isOurs ? permit : undefined));

function unlessAuthorized(setup: AccessSetup, code: number, status: string): Restriction {
  return (state) => {
    if (state.recipient === undefined) return undefined;
    return chain(isAuthorized(setup, state), (isOurs) =>
      (isOurs ? undefined : refused(setup, state, { code, status, text: `<${state.recipient}>: Relay access denied` })));
  };
}

export const rejectUnauthDestination = (setup: AccessSetup): Restriction => unlessAuthorized(setup, setup.view.relay_domains_reject_code, '5.7.1');
export const deferUnauthDestination = (setup: AccessSetup): Restriction => unlessAuthorized(setup, setup.view.relay_domains_reject_code - 100, '4.7.1');
