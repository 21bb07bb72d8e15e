/**
 * Where two mail systems disagree about a conversation, and which disagreements are meant to be.
 *
 * After a deliberate one a conversation goes on differently, so the rest of it is not compared.
 */
import type { Heard } from './pair.ts';

export interface Difference {
  /** What both said up to there. */
  readonly before: readonly string[];
  readonly ours: string;
  readonly theirs: string;
}

interface Deliberate {
  readonly why: string;
  /** Only when something like this was said before. */
  readonly after?: RegExp;
  readonly ours: RegExp;
  readonly theirs: RegExp;
}

/** Softened replies (soft_bounce) are meant too. */
const deliberate: readonly Deliberate[] = [
  { why: 'Postfix remembers the SIZE of a MAIL that it refused, and refuses the next one for it', ours: /./, theirs: /^S: [45]52[ -][45]\.3\.4 Message size exceeds fixed limit/ },
  { why: 'which of two mistakes of one command is told', ours: /^S: 452[ -]4\.5\.3 Error: too many recipients/, theirs: /^S: [45]01[ -][45]\.1\.3 Bad recipient address syntax/ },
  { why: 'which of two mistakes of one command is told', ours: /^S: [45]52[ -][45]\.3\.4 Message size exceeds fixed limit/, theirs: /^S: [45]01[ -][45]\.1\.7 Bad sender address syntax/ },
  { why: 'in Postfix a nested MAIL, which is refused, ends SMTPUTF8 of the transaction that goes on', after: /nested MAIL/, ours: /^S: [245]/, theirs: /^S: [45][05][13][ -][45]\.(?:1\.3 Bad recipient|6\.7 Must declare SMTPUTF8)/ },
  { why: 'Postfix shows the address that probes are sent from, not what the client wrote', ours: /double-bounce@/i, theirs: /double-bounce@/ },
  { why: 'releases before 3.8 name the command before the one that is no UTF-8', ours: /^too many errors after UNKNOWN from /, theirs: /^too many errors after / },
];

function isMeant({ after, ours, theirs }: Deliberate, before: readonly string[], mine: string, other: string): boolean {
  return ours.test(mine) && theirs.test(other) && (after === undefined || before.some((line) => after.test(line)));
}

/** The first place where they differ; undefined: they do not, or mean to. */
export function differenceOf(ours: Heard, theirs: Heard): Difference | undefined {
  const left = [...ours.said, 'log:', ...ours.logged];
  const right = [...theirs.said, 'log:', ...theirs.logged];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const [mine, other] = [left[at] ?? 'nothing', right[at] ?? 'nothing'];
    if (mine === other) continue;
    if (deliberate.some((one) => isMeant(one, left.slice(0, at), mine, other))) return undefined;
    return { before: left.slice(0, at), ours: mine, theirs: other };
  }
  return undefined;
}
