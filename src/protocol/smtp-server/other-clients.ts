/**
 * XCLIENT and XFORWARD: a trusted client speaks for another one. With XCLIENT it becomes that client, for all that follows; with
 * XFORWARD it only says whom the next message came from at first, for log and queue file.
 */
import type { CommandWord } from '../../message/smtp-path.ts';
import { readXclient, readXforward, type AttributeRules } from './client-attributes.ts';
import type { Dialogue, Outcome, Verb } from './dialogue.ts';
import { answer, ask, refuse } from './dialogue.ts';
import { outsideMail } from './order.ts';
import type { Right } from './peer.ts';
import { say, tell } from './reply.ts';

const rulesOf = ({ settings }: Dialogue): AttributeRules => ({ smtputf8: settings.smtputf8_enable, families: settings.families });

const attributesOf = (words: readonly CommandWord[]): string[] => words.slice(1).map((word) => word.text);

/** Syntax comes first, so that a stranger learns nothing about who is trusted. */
function objectionTo(dialogue: Dialogue, verb: string, words: readonly CommandWord[], right: Right): Outcome | undefined {
  if (words.length < 2) return refuse(tell.attributeSyntax(verb));
  if (right === 'trouble') return refuse(dialogue.unsure(`if command ${verb} should be allowed from`));
  return right ? undefined : refuse(say.notAuthorized);
}

export const xclient: Verb = {
  name: 'XCLIENT',
  plain: true,
  order: [outsideMail],
  check(dialogue, words) {
    const objection = objectionTo(dialogue, 'XCLIENT', words, dialogue.peer.xclient);
    if (objection !== undefined) return objection;
    const read = readXclient(attributesOf(words), rulesOf(dialogue));
    return 'refusal' in read ? refuse(read.refusal) : ask({ verb: 'XCLIENT', override: read.taken });
  },
};

export const xforward: Verb = {
  name: 'XFORWARD',
  order: [outsideMail],
  check(dialogue, words) {
    const objection = objectionTo(dialogue, 'XFORWARD', words, dialogue.peer.xforward);
    if (objection !== undefined) return objection;
    const read = readXforward(attributesOf(words), dialogue.forwarded, rulesOf(dialogue));
    if ('refusal' in read) return refuse(read.refusal);
    dialogue.forwarded = read.taken;
    return answer(say.ok);
  },
};
