/** Rules about the order of commands, as verbs list them: each gives its reply when it is broken. */
import type { Dialogue } from './dialogue.ts';
import { say } from './reply.ts';
import type { Reply } from './steps.ts';

type Rule = (dialogue: Dialogue) => Reply | undefined;

/** smtpd_helo_required */
export const afterHello: Rule = ({ settings, helo }) =>
  settings.smtpd_helo_required && helo === undefined ? say.heloFirst : undefined;

export const notNested: Rule = ({ mail }) => (mail === undefined ? undefined : say.nestedMail);

export const withinMail: Rule = ({ mail }) => (mail === undefined ? say.needMail : undefined);

export const outsideMail: Rule = ({ mail }) => (mail === undefined ? undefined : say.inMail);

/** A chunk that came at the wrong time leaves its mark even without a transaction. */
export const notAfterChunk = (reply: Reply): Rule => ({ chunkState }) =>
  chunkState === 'none' ? undefined : reply;

/** Pipelining clients send DATA before they can know that no recipient was taken: another reply, but no less an error. */
export const withRecipients: Rule = ({ mail }) => {
  if (mail === undefined) return say.needRcpt;
  return mail.recipients === 0 ? say.noRecipients : undefined;
};
