/**
 * Restriction lists: read once when the service opens, asked from left to right for every command.
 *
 * The first restriction that permits or refuses ends the list. `warn_if_reject` holds for the one restriction behind it. A list
 * item that cannot be understood becomes a restriction that says 451 4.3.5, so that a mistake never opens the door.
 */
import { lowerAscii, splitListGroups } from '../../../text/ascii.ts';
import { nearestName } from '../../../text/nearest.ts';
import { isPending, type MaybePromise } from '../../../text/maybe.ts';
import { TableTrouble } from '../../../tables/table.ts';
import { catalogue } from './catalogue.ts';
import { serverError, tableFailure, type AccessSetup } from './setup.ts';
import type { AccessState, Decision, Restriction, Subject } from './state.ts';

interface Item {
  readonly name: string;
  readonly warnOnly: boolean;
  readonly restriction: Restriction;
}

export interface ListContext {
  readonly setup: AccessSetup;
  /** Restriction for a bare `type:table` item: check_client_access in client restrictions, and so on. */
  readonly defaultTable: string;
  /** smtpd_restriction_classes: the text of a class by name; undefined: no such class. */
  readonly classText: (name: string) => string | undefined;
  /** For messages. */
  readonly parameter: string;
}

export function compileList(text: string, context: ListContext, depth = 0): Restriction {
  const items: Item[] = [];
  const words = splitListGroups(text);
  let warnOnly = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (lowerAscii(word) === 'warn_if_reject') {
      warnOnly = true;
      continue;
    }
    const takes = word.includes(':') ? word : (words[at + 1] ?? '');
    const { restriction, used, final } = compileItem(word, takes, context, depth);
    items.push({ name: word, warnOnly, restriction });
    at += used;
    if (final && !warnOnly && words[at + 1] !== undefined) context.setup.tools.warn(`restriction \`${words[at + 1]}' after \`${word}' is ignored`);
    warnOnly = false;
  }
  return (state, about) => ask(items, 0, state, about, context.setup);
}

interface Compiled { readonly restriction: Restriction; readonly used: number; readonly final: boolean }

function compileItem(word: string, next: string, context: ListContext, depth: number): Compiled {
  const name = word.includes(':') ? context.defaultTable : lowerAscii(word);
  const row = catalogue.get(name);
  if (row === undefined) return { restriction: unknownItem(word, context, depth), used: 0, final: false };
  if (row.argument === undefined) return { restriction: row.make(context.setup, ''), used: 0, final: row.final ?? false };
  if (!next.includes(':')) return { restriction: mistaken(`restriction ${word} must be followed by ${row.argument}`, context), used: 0, final: false };
  return { restriction: row.make(context.setup, next), used: word.includes(':') ? 0 : 1, final: false };
}

/** A restriction class, or a name that nobody knows. */
function unknownItem(word: string, context: ListContext, depth: number): Restriction {
  const text = context.classText(word);
  if (text !== undefined && depth < 100) return compileList(text, context, depth + 1);
  const like = nearestName(word, catalogue.keys());
  return mistaken(`unknown smtpd restriction: "${word}"${like === undefined ? '' : ` (did you mean "${like}"?)`}`, context);
}

function mistaken(text: string, { setup, parameter }: ListContext): Restriction {
  return (state) => {
    setup.tools.warn(`${parameter}: ${text}`);
    return serverError(setup, state);
  };
}

function ask(items: readonly Item[], from: number, state: AccessState, about: Subject, setup: AccessSetup): MaybePromise<Decision> {
  for (let at = from; at < items.length && !state.effects.discard; at++) {
    const item = items[at]!;
    const outer = state.warnOnly;
    state.warnOnly = outer || item.warnOnly;
    const decision = guarded(item.restriction, state, about, setup);
    if (isPending(decision)) {
      return decision.then((late) => {
        state.warnOnly = outer;
        return ends(late, state) ? late : ask(items, at + 1, state, about, setup);
      });
    }
    state.warnOnly = outer;
    if (ends(decision, state)) return decision;
  }
  return undefined;
}

function ends(decision: Decision, state: AccessState): boolean {
  return decision !== undefined || (state.deferIfPermit !== undefined && state.deferIfReject !== undefined);
}

/** A table that cannot be asked, anywhere below, defers the command. */
export function guarded(restriction: Restriction, state: AccessState, about: Subject, setup: AccessSetup): MaybePromise<Decision> {
  try {
    const decision = restriction(state, about);
    return isPending(decision) ? decision.catch((error: unknown) => failed(error, state, about, setup)) : decision;
  } catch (error) {
    return failed(error, state, about, setup);
  }
}

function failed(error: unknown, state: AccessState, about: Subject, setup: AccessSetup): Decision {
  if (error instanceof TableTrouble) return error.kind === 'config' ? serverError(setup, state) : tableFailure(setup, state, about.name);
  throw error;
}
