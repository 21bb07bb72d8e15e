/** What the command itself has against it: it is said when whoever was asked has not refused it with something else, and no answer can overrule it. */
import { say } from './reply.ts';
import type { Question, Reply } from './steps.ts';

export function standingObjection(question: Question): Reply | undefined {
  switch (question.verb) {
    case 'AUTH': return question.objection ?? (question.mechanism === undefined ? say.authSyntax : undefined);
    case 'MAIL': case 'RCPT': return question.objection;
    default: return undefined;
  }
}
