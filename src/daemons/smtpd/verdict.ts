/** How decisions of restrictions become answers to the protocol machine's questions. */
import { say } from '../../protocol/smtp-server/reply.ts';
import type { Question, Verdict } from '../../protocol/smtp-server/steps.ts';
import type { Decision } from './access/state.ts';

export type Asked<V extends Question['verb']> = Extract<Question, { readonly verb: V }>;

export const accepted: Verdict = { accept: true };
export const badRecipient: Verdict = { accept: false, reply: say.badRecipient };

export const verdictOf = (decision: Decision): Verdict => (decision?.kind === 'refuse' ? { accept: false, reply: decision.reply } : accepted);
