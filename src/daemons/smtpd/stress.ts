/** Does `stress` make a difference to what is asked about clients? Where it does not, one set of lists and tables serves calm and busy times. */
import type { Configuration } from '../../config/configuration.ts';
import { splitList } from '../../text/ascii.ts';
import { countParameters } from './client-counts.ts';

const lists = ['client', 'helo', 'sender', 'relay', 'recipient', 'data', 'end_of_data', 'etrn'].map((name) => `smtpd_${name}_restrictions`);

export function dependsOnStress(calm: Configuration, stressed: Configuration, parameters: readonly string[]): boolean {
  const names = new Set<string>([
    ...parameters, ...countParameters, ...lists, 'smtpd_client_event_limit_exceptions', 'smtpd_log_access_permit_actions', 'mynetworks',
    ...splitList(stressed.text('smtpd_restriction_classes')),
  ]);
  return [...names].some((name) => calm.text(name) !== stressed.text(name));
}
