/**
 * local(8) of Debian's Postfix and ours: log lines, mailboxes, files, commands and their environment, forwarded mail and reports for
 * the same mail. Skipped, by name, where there is no Postfix of Debian or no private mount namespace.
 */
import { compareAll } from '../delivery-pair.ts';
import { cases, options } from './delivery-local-cases.ts';

compareAll(cases, options);
