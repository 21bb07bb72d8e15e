/**
 * header_checks(5), body_checks(5): what the tables say of a header or a line, put into effect.
 *
 * Who asks them brings the actions: those that change the text (IGNORE, STRIP, REPLACE, PREPEND), that only speak (WARN, INFO) or
 * do nothing (DUNNO, OK) are known here; what changes the fate of the message (REJECT, HOLD ...) comes in with `more`. Header
 * and line are byte strings, continuation lines joined by LF, and end for the tables at their first NUL, as in Postfix. An action that is
 * unknown or makes no sense is warned about and does nothing. Errors: what `find` throws (TableTrouble) goes through, and the message
 * must not be taken then.
 */
import { isWhite, upperAscii } from '../text/ascii.ts';
import { isPending, type MaybePromise } from '../text/maybe.ts';
import { headerNameLength, type HeaderClass } from './header.ts';
import type { HeaderPlace } from './mime.ts';

/** A list of tables: Maps of tables/maps.ts. */
export interface CheckTable {
  /** The name of the parameter, for warnings. */
  readonly title: string;
  find(key: string): MaybePromise<string | undefined>;
}

/** Where a text stands: the word that the log uses. */
export type CheckedPlace = 'header' | 'body' | 'content';

/** The line that a table had something to say about. */
export interface Checked {
  readonly where: CheckedPlace;
  /** Up to its first NUL. */
  readonly content: string;
  /** Of the parameter that names the table. */
  readonly mapName: string;
}

/** What becomes of the line: this text goes on, or (undefined) nothing of it. */
export type CheckResult = string | undefined;

/** An action of its own: does what the table asked, and says what becomes of the line (mostly `checked.content`). */
export type CheckAction = (text: string, checked: Checked) => CheckResult;

export interface CheckActions {
  /** A line for the log: `action: where content ...: text`, as this program has it. `action` is in lower case; `text` may be ''. */
  log(action: string, checked: Checked, text: string): void;
  warn(text: string): void;
  /** Put a header or a line in front; undefined: PREPEND is not supported. Logged before. */
  prepend?(text: string, checked: Checked): void;
  /** Actions that only this program has, by name in capitals. */
  readonly more?: ReadonlyMap<string, CheckAction>;
  /** How cleanup(8) and the others complain: "unknown command in", "unsupported command in". */
  readonly unknown: 'unknown' | 'unsupported';
}

/** The tables for headers, by where a header stands; undefined: nobody asks. */
export type HeaderCheckTables = Readonly<Record<HeaderPlace, CheckTable | undefined>>;

/** Headers about MIME count as headers of a part wherever they stand. */
export function checkedPlace(place: HeaderPlace, kind: HeaderClass | undefined): HeaderPlace {
  return kind?.mime ? 'mime' : place;
}

/** What becomes of a header. The answer is the header itself when there was nothing to change. */
export function checkHeader(tables: HeaderCheckTables, place: HeaderPlace, kind: HeaderClass | undefined, header: string, actions: CheckActions): MaybePromise<CheckResult> {
  return checkText(tables[checkedPlace(place, kind)], 'header', header, actions);
}

/** What becomes of a line of a body, or of a piece of one that is longer than line_length_limit. */
export function checkBody(table: CheckTable | undefined, line: string, actions: CheckActions): MaybePromise<CheckResult> {
  return checkText(table, 'body', line, actions);
}

function checkText(table: CheckTable | undefined, where: CheckedPlace, text: string, actions: CheckActions): MaybePromise<CheckResult> {
  if (table === undefined) return text;
  const content = untilNul(text);
  const found = table.find(content);
  if (isPending(found)) return found.then((value) => (value === undefined ? text : act(value, table, where, text, content, actions)));
  return found === undefined ? text : act(found, table, where, text, content, actions);
}

function act(value: string, table: CheckTable, where: CheckedPlace, text: string, content: string, actions: CheckActions): CheckResult {
  const after = obey({ where, content, mapName: table.title }, value, actions);
  return after === content ? text : after;
}

/** Put into effect what a table answered. */
export function obey(checked: Checked, value: string, actions: CheckActions): CheckResult {
  const end = value.search(/[ \t]/);
  const word = upperAscii(end < 0 ? value : value.slice(0, end));
  const text = end < 0 ? '' : afterWhite(value, end);
  const own = actions.more?.get(word);
  if (own !== undefined) return own(text, checked);
  const action = word === 'PREPEND' && actions.prepend === undefined ? undefined : common.get(word);
  if (action !== undefined) return action(text, checked, actions);
  actions.warn(`${actions.unknown} command in ${checked.mapName} map: ${value}`);
  return checked.content;
}

function afterWhite(value: string, at: number): string {
  while (at < value.length && isWhite(value.charCodeAt(at))) at++;
  return value.slice(at);
}

/** What C reads of it. */
export function untilNul(text: string): string {
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}

type CommonAction = (text: string, checked: Checked, actions: CheckActions) => CheckResult;

/** Nothing happens to the line itself. */
const stays: CommonAction = (_text, { content }) => content;

const speaks = (word: string): CommonAction => (text, checked, actions) => {
  actions.log(word, checked, text);
  return checked.content;
};

const common: ReadonlyMap<string, CommonAction> = new Map<string, CommonAction>([
  ['WARN', speaks('warning')],
  ['INFO', speaks('info')],
  ['REPLACE', (text, checked, actions) => {
    if (!isFit('REPLACE', text, checked, actions)) return checked.content;
    actions.log('replace', checked, text);
    return text;
  }],
  ['PREPEND', (text, checked, actions) => {
    if (!isFit('PREPEND', text, checked, actions)) return checked.content;
    actions.log('prepend', checked, text);
    actions.prepend!(text, checked);
    return checked.content;
  }],
  ['STRIP', (text, checked, actions) => {
    actions.log('strip', checked, text);
    return undefined;
  }],
  // Not logged: what is taken out here is what happens to be there every day.
  ['IGNORE', () => undefined],
  ['DUNNO', stays],
  ['OK', stays],
]);

function isFit(word: string, text: string, { where, mapName }: Checked, { warn }: CheckActions): boolean {
  if (text === '') warn(`${word} action without text in ${mapName} map`);
  else if (where === 'header' && headerNameLength(text) === 0) warn(`bad ${word} header text "${text}" in ${mapName} map -- need "headername: headervalue"`);
  else return true;
  return false;
}
