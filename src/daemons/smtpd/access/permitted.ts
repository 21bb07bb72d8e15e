/** What a restriction says when it permits: the log is told of the actions that smtpd_log_access_permit_actions names. */
import { chain, type MaybePromise } from '../../../text/maybe.ts';
import { serverError, type AccessSetup } from './setup.ts';
import { permit, type AccessState, type Decision, type Subject } from './state.ts';

/** @param action the restriction or table action, as the operator wrote it; @param more what stands behind it in the log */
export function permitted(setup: AccessSetup, state: AccessState, action: string, about: Subject, more = ''): MaybePromise<Decision> {
  // A deferral is waiting: this permission will not hold.
  if (setup.logsPermit === undefined || state.deferIfPermit !== undefined) return permit;
  return chain(setup.logsPermit(action), (isLogged) => {
    if (isLogged) setup.tools.log('permit', state, `action=${action} for ${about.replyClass}=${about.name} ${more}`);
    return permit;
  });
}

/** The client host, as permissions are logged for it. */
export const clientSubject = ({ client }: AccessState): Subject => ({ name: client.label, replyClass: 'Client host' });

/** What strangers control (their names, their name servers) may be a reason to refuse, never one to permit. */
export function unlessPermitted(setup: AccessSetup, state: AccessState, restriction: string, target: string, decision: MaybePromise<Decision>): MaybePromise<Decision> {
  return chain(decision, (made) => {
    if (made?.kind !== 'permit' || state.effects.discard) return made;
    setup.tools.warn(`restriction ${restriction} returns OK for ${target}`);
    setup.tools.warn('this is not allowed for security reasons');
    setup.tools.warn('use DUNNO instead of OK if you want to make an exception');
    return serverError(setup, state);
  });
}
