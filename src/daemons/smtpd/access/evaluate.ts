/**
 * Restriction lists: read once when the service opens, asked from left to right for every command.
 *
 * The first restriction that permits or refuses ends the list. `warn_if_reject` holds for the one restriction behind it. A list
 * item that cannot be understood becomes a restriction that says 451 4.3.5, so that a mistake never opens the door.
 */
import { allDigits, lowerAscii, splitListGroups } from '../../../text/ascii.ts';
import { nearestName } from '../../../text/nearest.ts';
import { chain, isPending, type MaybePromise } from '../../../text/maybe.ts';
import { TableTrouble } from '../../../tables/table.ts';
import { builtInClasses, catalogue, type Argument, type Row } from './catalogue.ts';
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

export function compileList(text: string, context: ListContext): Restriction {
  const items: Item[] = [];
  const words = splitListGroups(text);
  let warnOnly = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (lowerAscii(word) === 'warn_if_reject') {
      warnOnly = true;
      continue;
    }
    const { restriction, used, final } = compileItem(word, words[at + 1], context);
    items.push({ name: word, warnOnly, restriction });
    at += used;
    if (final && !warnOnly && words[at + 1] !== undefined) context.setup.tools.warn(`restriction \`${words[at + 1]}' after \`${word}' is ignored`);
    warnOnly = false;
  }
  return (state, about) => ask(items, 0, state, about, context.setup);
}

interface Compiled { readonly restriction: Restriction; readonly used: number; readonly final: boolean }

const compiled = (restriction: Restriction, used = 0, final = false): Compiled => ({ restriction, used, final });

function compileItem(word: string, next: string | undefined, context: ListContext): Compiled {
  const isTable = word.includes(':');
  if (isTable && context.defaultTable === '') return compiled(mistaken(`specify one of (${tableRestrictions}) before ${classOfList.get(context.parameter) ?? ''}restriction "${word}"`, context));
  const name = isTable ? context.defaultTable : lowerAscii(word);
  const row = catalogue.get(name);
  if (row === undefined) return compiled(unknownItem(word, context));
  if (row.argument === undefined) return compiled(made(row, '', name, context), 0, row.final);
  const argument = isTable ? word : next;
  const mistake = argumentMistakes[row.argument](word, argument);
  // A list without its domain asks nobody; it has never been more than a warning.
  if (mistake !== undefined) return compiled(row.argument === 'domain' ? warned(mistake, context) : mistaken(mistake, context), argument === undefined || isTable ? 0 : 1);
  return compiled(made(row, argument!, isTable ? name : word, context), isTable ? 0 : 1);
}

const classOfList: ReadonlyMap<string, string> = new Map([['smtpd_data_restrictions', 'Data command '], ['smtpd_end_of_data_restrictions', 'End-of-data ']]);

const tableRestrictions = ['client', 'reverse_client_hostname', 'helo', 'sender', 'recipient', 'etrn'].map((what) => `check_${what}_access`).join(', ');

const argumentMistakes: { readonly [A in Argument]: (word: string, argument: string | undefined) => string | undefined } = {
  'type:table': (word, argument) => (argument?.includes(':') ? undefined : `restriction ${word}: bad argument "${argument ?? word}": need maptype:mapname`),
  'transport:server': (word, argument) => (argument?.includes(':') ? undefined : `restriction ${word} must be followed by transport:server`),
  number: (word, argument) => (argument !== undefined && allDigits(argument) ? undefined : `restriction ${word} must be followed by number`),
  domain: (word, argument) => (argument === undefined ? `restriction ${word} requires domain name argument` : undefined),
};

/** An argument that makes no sense to the restriction itself (a pattern, a server) is a mistake like any other. */
function made(row: Row, argument: string, name: string, context: ListContext): Restriction {
  try {
    return row.make(context.setup, argument, { name, defaultTable: context.defaultTable });
  } catch (error) {
    if (row.argument !== 'domain' && row.argument !== 'transport:server') throw error;
    return mistaken(`restriction ${name} ${argument}: ${(error as Error).message}`, context);
  }
}

/** A restriction class, or a name that nobody knows. A class is compiled once per list, and may name itself. */
function unknownItem(word: string, context: ListContext): Restriction {
  const text = context.classText(word) ?? builtInClasses.get(lowerAscii(word));
  if (text === undefined) {
    const like = nearestName(word, catalogue.keys());
    return mistaken(`unknown smtpd restriction: "${word}"${like === undefined ? '' : ` (did you mean "${like}"?)`}`, context);
  }
  const { setup } = context;
  const key = `${context.defaultTable} ${word}`;
  const known = setup.classes?.get(key);
  if (known !== undefined) return known;
  let list: Restriction | undefined;
  const asClass: Restriction = (state, about) => {
    if (state.depth >= deepest) return mistaken(`restriction class ${word} causes unreasonable recursion`, context)(state, about);
    state.depth++;
    return chain(list!(state, about), (decision) => {
      state.depth--;
      return decision;
    });
  };
  setup.classes?.set(key, asClass);
  list = compileList(text, context);
  return asClass;
}

const deepest = 100;

function warned(text: string, { setup, parameter }: ListContext): Restriction {
  return () => void setup.tools.warn(`${text} (in ${parameter})`);
}

function mistaken(text: string, { setup, parameter }: ListContext): Restriction {
  return (state) => {
    setup.tools.warn(`${text} (in ${parameter})`);
    return serverError(setup, state);
  };
}

function ask(items: readonly Item[], from: number, state: AccessState, about: Subject, setup: AccessSetup): MaybePromise<Decision> {
  for (let at = from; at < items.length && !state.effects.discard; at++) {
    const item = items[at]!;
    lookAhead(items, at, state);
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

/** Restrictions in a row that take time begin together. */
function lookAhead(items: readonly Item[], at: number, state: AccessState): void {
  if (items[at]!.restriction.ahead === undefined || items[at - 1]?.restriction.ahead !== undefined) return;
  for (let next = at + 1; next < items.length && next < at + aheadLimit; next++) {
    const { ahead } = items[next]!.restriction;
    if (ahead === undefined) return;
    ahead(state);
  }
}

const aheadLimit = 20;

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
