/**
 * MAIL: RFC 5321 §4.1.1.2. Opens a transaction. The parameters (SIZE, BODY, SMTPUTF8, RET, ENVID, AUTH) are read by
 * message/path-parameters.ts; here is what they mean for this session.
 */
import { mailParameters, noMailParameters } from '../../message/path-parameters.ts';
import type { MailParameters, ParameterOptions } from '../../message/path-parameters.ts';
import type { CommandWord } from '../../message/smtp-path.ts';
import { isAscii, sameIgnoringCase } from '../../text/ascii.ts';
import { readPath } from './address.ts';
import type { Dialogue, Outcome, Verb } from './dialogue.ts';
import { ask, parametersOf, refuse } from './dialogue.ts';
import { afterHello, notAfterChunk, notNested } from './order.ts';
import { say } from './reply.ts';
import type { Reply } from './steps.ts';

export function checkMail(dialogue: Dialogue, words: readonly CommandWord[]): Outcome {
  const path = words[2];
  if (path === undefined || !sameIgnoringCase(words[1]!.text, 'from:')) return refuse(say.mailSyntax);
  if (path.broken) return refuse(say.badSender);
  const parameters = parametersOf(words);
  const smtputf8 = wantsSmtputf8(dialogue, parameters);
  const sender = readPath(dialogue, path.text, { allowEmpty: true, strict: dialogue.settings.strict_rfc821_envelopes, smtputf8 });
  if (sender === undefined) return refuse(say.badSender);
  const result = parameters.length === 0 ? nothingSaid : mailParameters(parameters, allowed(dialogue));
  if ('refusal' in result) return objecting(sender, path.text, smtputf8, result.refusal);
  const objection = objectionTo(dialogue, sender, result.mail);
  if (objection !== undefined) return refuse(objection);
  if (dialogue.settings.strict_smtputf8 && !result.mail.smtputf8 && !isAscii(sender)) return objecting(sender, path.text, smtputf8, say.needSmtputf8);
  const mail = withDelimiters(result.mail, dialogue.settings.default_verp_delimiters);
  return ask({ verb: 'MAIL', sender, path: path.text, parameters: mail, forwarded: dialogue.forwarded, objection: undefined });
}

function objecting(sender: string, path: string, smtputf8: boolean, objection: Reply): Outcome {
  return ask({ verb: 'MAIL', sender, path, parameters: { ...noMailParameters, smtputf8 }, forwarded: undefined, objection });
}

const nothingSaid = { mail: noMailParameters } as const;

/** What this client may say, here and now. */
function allowed(dialogue: Dialogue): ParameterOptions {
  const { settings, peer, encrypted } = dialogue;
  return {
    smtputf8: dialogue.smtputf8Offered, dsn: dialogue.offers('dsn'), auth: true,
    requireTls: settings.requiretls_enable && encrypted && dialogue.offers('requiretls'),
    verp: peer.verp === true, verpFilter: settings.verp_delimiter_filter,
  };
}

/** XVERP without delimiters asks for the usual ones. */
function withDelimiters(mail: MailParameters, usual: string): MailParameters {
  return mail.verp === '' ? { ...mail, verp: usual } : mail;
}

// SMTPUTF8 comes after the address, and decides which addresses are good.
function wantsSmtputf8(dialogue: Dialogue, parameters: readonly string[]): boolean {
  return dialogue.smtputf8Offered && parameters.some((text) => sameIgnoringCase(text, 'SMTPUTF8'));
}

function objectionTo(dialogue: Dialogue, sender: string, parameters: MailParameters): Reply | undefined {
  const { message_size_limit: limit } = dialogue.settings;
  // RFC 1870 §6.1: what is announced to be too big is refused before it is sent.
  if (limit > 0 && parameters.size > limit) {
    dialogue.logReject(`${dialogue.settings.soft_bounce ? '452 4' : '552 5'}.3.4 Message size exceeds fixed limit`, sender);
    return say.tooBig;
  }
  return parameters.verp !== undefined && sender === '' ? say.nullVerpSender : undefined;
}

export const mail: Verb = {
  name: 'MAIL',
  order: [afterHello, notNested, notAfterChunk(say.mailAfterBdat)],
  check: checkMail,
  accepted(dialogue, question) {
    if (question.verb !== 'MAIL') return undefined;
    dialogue.mail = {
      sender: question.sender,
      smtputf8: question.parameters.smtputf8,
      recipients: 0,
      firstRecipient: undefined,
      overshoot: 0,
    };
    return say.senderOk;
  },
};
