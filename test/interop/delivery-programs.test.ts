/**
 * Programs behind local(8) and pipe(8), run by Debian's Postfix and ours for the same mail: procmail, maildrop, Dovecot's delivery
 * agent, mlmmj, vacation, and queueing as Sympa does it. Skipped, by name, where there is no Postfix of Debian, no private mount namespace, or the program is missing.
 */
import { compareAll } from '../delivery-pair.ts';
import { cases, options } from './delivery-programs-cases.ts';

compareAll(cases, options);
