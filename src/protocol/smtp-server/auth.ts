/**
 * AUTH: RFC 4954. Whether it may be said now is known here; who may log in is asked. The client's lines after a challenge are the session's
 * matter. Nobody is ever logged in against an objection, whatever the answer.
 */
import type { CommandWord } from '../../message/smtp-path.ts';
import type { Dialogue, Outcome, Verb } from './dialogue.ts';
import { ask } from './dialogue.ts';
import { afterHello, outsideMail } from './order.ts';
import { say } from './reply.ts';
import type { Reply } from './steps.ts';

/** Is there AUTH in this session, as it is now? */
export function servesAuth({ settings, encrypted }: Dialogue): boolean {
  return settings.smtpd_sasl_auth_enable && !settings.standAlone && (encrypted || !settings.smtpd_tls_auth_only);
}

function objectionTo(dialogue: Dialogue): Reply | undefined {
  const early = afterHello(dialogue);
  if (early !== undefined) return early;
  return servesAuth(dialogue) && dialogue.offers('auth') ? outsideMail(dialogue) : say.authDisabled;
}

function checkAuth(dialogue: Dialogue, words: readonly CommandWord[]): Outcome {
  const isGood = words.length === 2 || words.length === 3;
  return ask({ verb: 'AUTH', objection: objectionTo(dialogue), mechanism: isGood ? words[1]!.text : undefined, initial: isGood ? words[2]?.text : undefined });
}

export const auth: Verb = { name: 'AUTH', check: checkAuth, accepted: () => say.loggedIn };
