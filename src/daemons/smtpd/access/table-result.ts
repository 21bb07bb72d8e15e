/** The right-hand sides of access(5): OK, REJECT, DUNNO, HOLD, codes, restriction lists, ... one row each. */
import { splitDsn } from '../../../message/dsn.ts';
import { headerNameLength } from '../../../message/header.ts';
import { upperAscii } from '../../../text/ascii.ts';
import { chain, type MaybePromise } from '../../../text/maybe.ts';
import { deferIfPermit, statusFor } from './refuse.ts';
import { refused, serverError, type AccessSetup } from './setup.ts';
import { permit, type AccessState, type Decision, type Refusal, type Subject } from './state.ts';

/** One entry that was found: in which table, for which part of the envelope. */
export interface Entry {
  readonly setup: AccessSetup;
  readonly state: AccessState;
  readonly about: Subject;
  readonly table: string;
  readonly key: string;
  readonly value: string;
  /** What follows the action word. */
  readonly text: string;
  /** The restriction that a bare table name means in this list. */
  readonly defaultTable: string;
}

type Action = (entry: Entry) => Decision;

const depthLimit = 100;

export function applyEntry(entry: Omit<Entry, 'text'>): MaybePromise<Decision> {
  const word = /^[^ \t]*/.exec(entry.value)![0];
  const full: Entry = { ...entry, text: entry.value.slice(word.length).replace(/^[ \t]+/, '') };
  const action = actions.get(upperAscii(word));
  if (action !== undefined) return action(full);
  if (/^[0-9]+$/.test(entry.value)) return permit;
  if (/^[45][0-9][0-9]$/.test(word) && full.text !== '') return rejection(full, Number(word), `${word[0]}.7.1`, 'Access denied');
  return restrictionList(full);
}

function refusal({ about, text }: Entry, code: number, status: string, otherwise: string): Refusal {
  const split = splitDsn(status, text);
  return { code, status: statusFor(split.status, about), text: `<${about.name}>: ${about.replyClass} rejected: ${split.text === '' ? otherwise : split.text}` };
}

function rejection(entry: Entry, code: number, status: string, otherwise: string): Decision {
  return refused(entry.setup, entry.state, refusal(entry, code, status, otherwise));
}

/** What is noted for the message as a whole needs a message to come; a list for HELO or the connection has one too (it is kept). */
function noted(what: string, text: (entry: Entry) => string, note: (entry: Entry) => void, decision: Decision = undefined): Action {
  return (entry) => {
    entry.setup.tools.log(what, entry.state, text(entry));
    note(entry);
    return decision;
  };
}

const about = ({ about: { name, replyClass } }: Entry): string => `<${name}>: ${replyClass}`;

/** An action with an argument that must look right; else a warning, and the entry counts for nothing. */
function needing(isGood: (text: string) => boolean, need: string, action: Action): Action {
  return (entry) => {
    if (isGood(entry.text)) return action(entry);
    entry.setup.tools.warn(`access table ${entry.table} entry "${entry.key}" requires ${need}`);
    return undefined;
  };
}

const logged = (what: string): Action => ({ setup, state, text }) => {
  setup.tools.log(what, state, text);
  return undefined;
};

const ok: Action = () => permit;

const actions: ReadonlyMap<string, Action> = new Map<string, Action>([
  ['OK', ok],
  ['RELAY', ok],
  ['DUNNO', () => undefined],
  ['REJECT', (entry) => rejection(entry, entry.setup.view.access_map_reject_code, '5.7.1', 'Access denied')],
  ['DEFER', (entry) => rejection(entry, entry.setup.view.access_map_defer_code, '4.7.1', 'Access denied')],
  ['DEFER_IF_PERMIT', (entry) => deferIfPermit(entry.state, refusal(entry, entry.setup.view.access_map_defer_code, '4.7.1', 'Service unavailable'), entry.setup.tools, entry.setup.rules)],
  ['DEFER_IF_REJECT', (entry) => {
    entry.state.deferIfReject ??= refusal(entry, entry.setup.view.access_map_defer_code, '4.7.1', 'Service unavailable');
    return undefined;
  }],
  ['INFO', logged('info')],
  ['WARN', logged('warn')],
  ['HOLD', noted('hold', (entry) => `${about(entry)} ${entry.text || 'triggers HOLD action'}`, ({ state }) => { state.effects.hold = true; })],
  ['DISCARD', noted('discard', (entry) => `${about(entry)} ${entry.text || 'triggers DISCARD action'}`, ({ state }) => { state.effects.discard = true; }, permit)],
  ['FILTER', needing((text) => text.includes(':'), 'transport:destination',
    noted('filter', (entry) => `${about(entry)} triggers FILTER ${entry.text}`, ({ state, text }) => { state.effects.filter = text; }))],
  ['REDIRECT', needing((text) => text.includes('@'), 'user@domain target',
    noted('redirect', (entry) => `${about(entry)} triggers REDIRECT ${entry.text}`, ({ state, text }) => { state.effects.redirect = text; }))],
  ['BCC', needing((text) => text.includes('@'), 'user@domain target',
    noted('bcc', (entry) => `${about(entry)} triggers BCC ${entry.text}`, ({ state, text }) => { state.effects.bcc.push(text); }))],
  ['PREPEND', needing((text) => headerNameLength(text) > 0, 'header: text', ({ state, text }) => {
    state.effects.prepend.push(text);
    return undefined;
  })],
]);

function restrictionList(entry: Entry): MaybePromise<Decision> {
  const { setup, state, table, value } = entry;
  if (value.includes(':')) {
    setup.tools.warn(`access table ${table} has entry with lookup table: ${value}`);
    setup.tools.warn('do not specify lookup tables inside SMTPD access maps');
    setup.tools.warn('define a restriction class and specify its name instead.');
    return serverError(setup, state);
  }
  if (state.depth > depthLimit) {
    setup.tools.warn(`access table ${table} entry ${value} causes unreasonable recursion`);
    return serverError(setup, state);
  }
  state.depth++;
  return chain(setup.nested(value, entry.defaultTable)(state, entry.about), (decision) => {
    state.depth--;
    return decision;
  });
}
