/** The right-hand sides of access(5): OK, REJECT, DUNNO, HOLD, codes, restriction lists, ... one row each. */
import { splitDsn } from '../../../message/dsn.ts';
import { headerNameLength } from '../../../message/header.ts';
import { allDigits, upperAscii } from '../../../text/ascii.ts';
import { chain, type MaybePromise } from '../../../text/maybe.ts';
import { permitted } from './permitted.ts';
import { deferIfPermit, statusFor } from './refuse.ts';
import { refused, serverError, type AccessSetup } from './setup.ts';
import type { AccessState, Decision, Refusal, Subject } from './state.ts';

/** One entry that was found: in which table, for which part of the envelope. */
export interface Entry {
  readonly setup: AccessSetup;
  readonly state: AccessState;
  readonly about: Subject;
  readonly table: string;
  readonly key: string;
  readonly value: string;
  /** The action, as it is written. */
  readonly word: string;
  /** What follows it. */
  readonly text: string;
  /** The restriction that a bare table name means in this list. */
  readonly defaultTable: string;
}

type Action = (entry: Entry) => MaybePromise<Decision>;

const depthLimit = 100;

export function applyEntry(entry: Omit<Entry, 'text' | 'word'>): MaybePromise<Decision> {
  const word = /^[^ \t]*/.exec(entry.value)![0];
  const full: Entry = { ...entry, word, text: entry.value.slice(word.length).replace(/^[ \t\r\n\f\v]+/, '') };
  const action = actions.get(upperAscii(word));
  if (action !== undefined) return action(full);
  if (allDigits(entry.value)) return ok(full);
  if (/^[45][0-9][0-9]$/.test(word) && full.text !== '') return rejection(full, Number(word), `${word[0]}.7.1`, 'Access denied');
  return restrictionList(full);
}

function refusal({ state, about, text }: Entry, code: number, status: string, otherwise: string): Refusal {
  const split = splitDsn(status, text);
  return { code, status: statusFor(split.status, about, state), text: `<${about.name}>: ${about.replyClass} rejected: ${split.text === '' ? otherwise : split.text}` };
}

function rejection(entry: Entry, code: number, status: string, otherwise: string): Decision {
  return refused(entry.setup, entry.state, refusal(entry, code, status, otherwise));
}

/** Is there a message, now or later, that an action can be noted for? If not, the log is told. */
function hasMessage({ setup, state, table, word }: Entry): boolean {
  const name = upperAscii(word);
  if (name !== 'PREPEND') {
    if (setup.view.smtpd_proxy_filter !== '') return told(setup, `access table ${table}: with smtpd_proxy_filter specified, action ${name} is unavailable`);
    if (state.where === 'ETRN') return told(setup, `access table ${table}: action ${name} is unavailable in smtpd_etrn_restrictions`);
  }
  if (state.sender !== undefined) return true;
  return told(setup, `access table ${table}: with smtpd_delay_reject=no, action ${name} is always skipped in Client host or Helo command restrictions`);
}

function told(setup: AccessSetup, text: string): false {
  setup.tools.warn(text);
  return false;
}

/** What is noted for the message as a whole. */
function noted(text: (entry: Entry) => string, note: (entry: Entry) => void, after: Action = () => undefined): Action {
  return (entry) => {
    entry.setup.tools.log(entry.word.toLowerCase(), entry.state, text(entry));
    note(entry);
    return after(entry);
  };
}

const withMessage = (action: Action): Action => (entry) => (hasMessage(entry) ? action(entry) : undefined);

const about = ({ about: { name, replyClass } }: Entry): string => `<${name}>: ${replyClass}`;

/** An action with an argument that must look right; else a warning, and the entry counts for nothing. */
function needing(isGood: (text: string) => boolean, need: string, action: Action): Action {
  return withMessage((entry) => {
    if (isGood(entry.text)) return action(entry);
    return void entry.setup.tools.warn(`access table ${entry.table} entry "${entry.key}" ${entry.text === '' && need === target ? 'has FILTER entry without value' : `requires ${need}`}`);
  });
}

const target = 'transport:destination';

const logged = (what: string): Action => ({ setup, state, text }) => void setup.tools.log(what, state, text);

const ok: Action = ({ setup, state, word, about, table }) => permitted(setup, state, word, about, `from ${table}`);

const prepend: Action = ({ setup, state, table, text, key }) => {
  if (state.where === 'END-OF-MESSAGE') return void setup.tools.warn(`access table ${table}: action PREPEND must be used before smtpd_end_of_data_restrictions`);
  if (headerNameLength(text) === 0) return void setup.tools.warn(`access table ${table} entry "${key}" requires header: text`);
  state.effects.prepend.push(text);
  return undefined;
};

const hold = noted((entry) => `${about(entry)} ${entry.text || 'triggers HOLD action'}`, ({ state }) => { state.effects.hold = true; });

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
  ['HOLD', withMessage((entry) => (entry.state.effects.hold ? undefined : hold(entry)))],
  ['DISCARD', withMessage(noted((entry) => `${about(entry)} ${entry.text || 'triggers DISCARD action'}`, ({ state }) => { state.effects.discard = true; }, ok))],
  ['FILTER', needing((text) => text.includes(':'), target, noted((entry) => `${about(entry)} triggers FILTER ${entry.text}`, ({ state, text }) => { state.effects.filter = text; }))],
  ['REDIRECT', needing((text) => text.includes('@'), 'user@domain target', noted((entry) => `${about(entry)} triggers REDIRECT ${entry.text}`, ({ state, text }) => { state.effects.redirect = text; }))],
  ['BCC', needing((text) => text.includes('@'), 'user@domain target', noted((entry) => `${about(entry)} triggers BCC ${entry.text}`, ({ state, text }) => { state.effects.bcc.push(text); }))],
  ['PREPEND', withMessage(prepend)],
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
