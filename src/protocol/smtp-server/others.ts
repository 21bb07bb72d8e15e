/** The small verbs: RSET, NOOP, VRFY, ETRN, STARTTLS, QUIT. */
import type { CommandWord } from '../../message/smtp-path.ts';
import { isAscii, sameIgnoringCase } from '../../text/ascii.ts';
import { validHostname, validMailhostLiteral } from '../../text/hostname.ts';
import { readPath } from './address.ts';
import type { Dialogue, Outcome, Verb } from './dialogue.ts';
import { answer, ask, refuse } from './dialogue.ts';
import { say, tell } from './reply.ts';

export const rset: Verb = {
  name: 'RSET',
  junk: true,
  check(dialogue, words) {
    if (words.length !== 1) return refuse(say.rsetSyntax);
    dialogue.resetMail();
    return answer(say.ok);
  },
};

/** RFC 5321 §4.1.1.9: parameters are ignored. */
export const noop: Verb = { name: 'NOOP', junk: true, last: true, plain: true, check: () => answer(say.ok) };

export const quit: Verb = { name: 'QUIT', plain: true, check: () => answer(say.bye) };

function checkVrfy(dialogue: Dialogue, words: readonly CommandWord[]): Outcome {
  const { settings } = dialogue;
  if (settings.disable_vrfy_command) return refuse(say.vrfyDisabled);
  const smtputf8 = dialogue.smtputf8Offered && words.length > 1 && sameIgnoringCase(words[words.length - 1]!.text, 'SMTPUTF8');
  const path = words.slice(1, smtputf8 ? -1 : undefined).map((word) => word.text).join(' ');
  if (path === '') return refuse(tell.vrfySyntax(settings.smtputf8_enable));
  const address = readPath(dialogue, path, { smtputf8 });
  if (address === undefined) return refuse(say.badRecipient);
  if (settings.strict_smtputf8 && !smtputf8 && !isAscii(address)) return refuse(say.needSmtputf8);
  return ask({ verb: 'VRFY', address, path, smtputf8 });
}

/** RFC 5321 §3.5.3: 252, because that a recipient would be taken now is no proof that it exists. */
export const vrfy: Verb = {
  name: 'VRFY',
  junk: true,
  last: true,
  check: checkVrfy,
  accepted: (_dialogue, question) => (question.verb === 'VRFY' ? tell.verified(question.path) : undefined),
};

function checkEtrn(dialogue: Dialogue, words: readonly CommandWord[]): Outcome {
  const { settings, helo, mail } = dialogue;
  if (settings.smtpd_helo_required && helo === undefined) return refuse(say.etrnHeloFirst);
  if (mail !== undefined) return refuse(say.etrnInMail);
  if (words.length !== 2) return refuse(say.etrnSyntax);
  // RFC 1985 §5.3: a node name may be marked as "@domain" or "#queue".
  const domain = words[1]!.text.replace(/^[@#]/, '');
  if (!validHostname(domain) && !validMailhostLiteral(domain)) return refuse(say.etrnBadDomain);
  return settings.standAlone ? refuse(say.etrnStandAlone) : ask({ verb: 'ETRN', domain });
}

export const etrn: Verb = { name: 'ETRN', junk: true, check: checkEtrn, accepted: () => say.queueingStarted };

function checkStartTls(dialogue: Dialogue, words: readonly CommandWord[]): Outcome {
  if (words.length !== 1) return refuse(say.startTlsSyntax);
  if (dialogue.encrypted) return refuse(say.tlsActive);
  return dialogue.settings.smtpd_use_tls && dialogue.offers('starttls') ? ask({ verb: 'STARTTLS' }) : refuse(say.notImplemented);
}

/** RFC 3207. The handshake that follows is the session's matter. */
export const startTls: Verb = { name: 'STARTTLS', plain: true, check: checkStartTls, accepted: () => say.readyForTls };
