/** RCPT: RFC 5321 §4.1.1.3, with NOTIFY and ORCPT of RFC 3461. Adds a recipient to the transaction. */
import { defaultOrcpt, rcptParameters } from '../../message/path-parameters.ts';
import type { CommandWord } from '../../message/smtp-path.ts';
import { isAscii, sameIgnoringCase } from '../../text/ascii.ts';
import { readPath } from './address.ts';
import type { Dialogue, Outcome, Transaction, Verb } from './dialogue.ts';
import { answer, ask, parametersOf, refuse } from './dialogue.ts';
import { notAfterChunk, withinMail } from './order.ts';
import { say } from './reply.ts';
import type { Reply } from './steps.ts';

function checkRcpt(dialogue: Dialogue, words: readonly CommandWord[]): Outcome {
  const path = words[2];
  if (path === undefined || !sameIgnoringCase(words[1]!.text, 'to:')) return refuse(say.rcptSyntax);
  if (path.broken) return refuse(say.badRecipient);
  const { settings, mail } = dialogue;
  const smtputf8 = mail!.smtputf8;
  const recipient = readPath(dialogue, path.text, { strict: settings.strict_rfc821_envelopes, smtputf8 });
  if (recipient === undefined) return refuse(say.badRecipient);
  const parameters = parametersOf(words);
  const result = parameters.length === 0 ? nothingSaid : rcptParameters(parameters, { dsn: dialogue.offers('dsn') });
  if ('refusal' in result) return objecting(recipient, path.text, result.refusal);
  const limit = settings.smtpd_recipient_limit;
  if (limit > 0 && mail!.recipients >= limit) return oneTooMany(dialogue, mail!);
  if (settings.strict_smtputf8 && !smtputf8 && !isAscii(recipient)) return objecting(recipient, path.text, say.needSmtputf8);
  const { dsnNotify: notify, dsnOrcpt } = result.rcpt;
  return ask({ verb: 'RCPT', recipient, path: path.text, notify, orcpt: dsnOrcpt ?? defaultOrcpt(path.text), objection: undefined });
}

const nothingSaid = rcptParameters([]);

function objecting(recipient: string, path: string, objection: Reply): Outcome {
  return ask({ verb: 'RCPT', recipient, path, notify: 0, orcpt: '', objection });
}

// RFC 5321 §4.5.3.1.10: one RCPT too many is a temporary refusal of that recipient, not of the mail. It is no error of
// the client's either, until it has not stopped for a long time.
function oneTooMany({ settings }: Dialogue, mail: Transaction): Outcome {
  const patient = mail.overshoot++ < settings.smtpd_recipient_overshoot_limit;
  return patient ? answer(say.tooManyRecipients) : refuse(say.tooManyRecipients);
}

export const rcpt: Verb = {
  name: 'RCPT',
  order: [withinMail, notAfterChunk(say.rcptAfterBdat)],
  check: checkRcpt,
  accepted({ mail }, question) {
    if (question.verb !== 'RCPT' || mail === undefined) return undefined;
    mail.recipients++;
    mail.firstRecipient ??= question.recipient;
    return say.recipientOk;
  },
};
