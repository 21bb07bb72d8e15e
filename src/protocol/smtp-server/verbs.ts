/** The verbs this server knows: one row each, in the order in which the log counts them when a client disconnects. */
import { auth } from './auth.ts';
import { bdat } from './bdat.ts';
import { data } from './data.ts';
import type { Verb } from './dialogue.ts';
import { answer } from './dialogue.ts';
import { ehlo, helo } from './hello.ts';
import { mail } from './mail.ts';
import { etrn, noop, quit, rset, startTls, vrfy } from './others.ts';
import { rcpt } from './rcpt.ts';
import { tell } from './reply.ts';
import { xclient, xforward } from './other-clients.ts';

const help: Verb = {
  name: 'HELP',
  plain: true,
  check: () => answer(tell.commands(verbs.map((verb) => verb.name).sort())),
};

export const verbs: readonly Verb[] = [
  helo, ehlo, xclient, xforward, startTls, auth, mail, rcpt, data, bdat, rset, noop, vrfy, etrn, quit, help,
];

const byName: ReadonlyMap<string, Verb> = new Map(verbs.map((verb) => [verb.name, verb]));

/** Case does not matter (RFC 5321 §2.4). */
export function findVerb(word: string): Verb | undefined {
  return byName.get(word) ?? (word.length > 8 ? undefined : byName.get(word.toUpperCase()));
}

/** Does this word begin like a header: someone who speaks HTTP, or mail content that came out of step? */
export function isHeader(word: string): boolean {
  return /^[!-9;-~]+:/.test(word);
}
