/** DATA: RFC 5321 §4.1.1.4. Once accepted the session reads content until its end, and then asks END. */
import type { Verb } from './dialogue.ts';
import { ask, refuse } from './dialogue.ts';
import { notAfterChunk, withRecipients } from './order.ts';
import { say } from './reply.ts';

export const data: Verb = {
  name: 'DATA',
  last: true,
  order: [notAfterChunk(say.dataAfterBdat), withRecipients],
  check: (_dialogue, words) => (words.length === 1 ? ask({ verb: 'DATA', command: 'DATA' }) : refuse(say.dataSyntax)),
  accepted: () => say.startData,
};
