/**
 * pipe(8), virtual(8), error(8) and discard(8) of Debian's Postfix and ours: log lines, words and environment of commands, mailboxes,
 * Maildirs and reports for the same mail. Skipped, by name, where there is no Postfix of Debian or no private mount namespace.
 */
import { compareAll } from '../delivery-pair.ts';
import { cases, options } from './delivery-pipe-cases.ts';

compareAll(cases, options);
