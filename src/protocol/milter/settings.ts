/**
 * Lists of filters as main.cf has them: `inet:host:port`, `unix:path`, or `{ inet:host:port, connect_timeout = 10s, ... }`; and
 * milter_macro_defaults. Mistakes are thrown, as an Error that names the item.
 */
import { splitList, splitListGroups, trimWhite } from '../../text/ascii.ts';
import { parseTime } from '../../text/time.ts';

/** One filter. Times are seconds. */
export interface MilterSettings {
  /** As it stands in the list: the name of the filter in the log. */
  readonly name: string;
  readonly connectTimeout: number;
  readonly commandTimeout: number;
  readonly contentTimeout: number;
  readonly protocol: string;
  readonly defaultAction: string;
}

export type MilterDefaults = Omit<MilterSettings, 'name'>;

type Change = (settings: MilterSettings, value: string) => MilterSettings;

const time = (field: 'connectTimeout' | 'commandTimeout' | 'contentTimeout'): Change => (settings, value) => {
  const seconds = parseTime(value);
  if (seconds === undefined || seconds < 1) throw new Error(`bad time value "${value}" (need a number of at least 1 and a unit, like 30s)`);
  return { ...settings, [field]: seconds };
};

const text = (field: 'protocol' | 'defaultAction'): Change => (settings, value) => {
  if (value === '') throw new Error(`empty value of ${field === 'protocol' ? 'protocol' : 'default_action'}`);
  return { ...settings, [field]: value };
};

const changes: ReadonlyMap<string, Change> = new Map([
  ['connect_timeout', time('connectTimeout')],
  ['command_timeout', time('commandTimeout')],
  ['content_timeout', time('contentTimeout')],
  ['protocol', text('protocol')],
  ['default_action', text('defaultAction')],
]);

export function milterList(list: string, defaults: MilterDefaults): MilterSettings[] {
  return splitListGroups(list).map((item) => (item.startsWith('{') ? longForm(item, list, defaults) : { ...defaults, name: item }));
}

function longForm(item: string, list: string, defaults: MilterDefaults): MilterSettings {
  const [name, ...settings] = splitListGroups(inside(item));
  if (name === undefined) throw new Error(`empty milter definition: "${list}"`);
  // `a = b` comes as three words unless it stands in braces of its own.
  return pairs(settings).reduce((milter, [key, value]) => {
    const change = changes.get(key);
    if (change === undefined) throw new Error(`unknown milter setting "${key}" in "${item}" (need one of ${[...changes.keys()].join(', ')})`);
    return change(milter, value);
  }, { ...defaults, name } as MilterSettings);
}

function pairs(words: readonly string[]): (readonly [string, string])[] {
  const joined: string[] = [];
  for (const word of words) {
    const last = joined.length - 1;
    const goesOn = !word.startsWith('{') && last >= 0 && !joined[last]!.startsWith('{') && (word.startsWith('=') || joined[last]!.endsWith('='));
    if (goesOn) joined[last] += word;
    else joined.push(word);
  }
  return joined.map((each) => pair(each.startsWith('{') ? inside(each) : each));
}

function pair(setting: string): readonly [string, string] {
  const equals = setting.startsWith('{') ? setting.indexOf('=', setting.indexOf('}')) : setting.indexOf('=');
  if (equals <= 0) throw new Error(`missing '=' in "${setting}" (need name = value)`);
  return [trimWhite(setting.slice(0, equals)), trimWhite(setting.slice(equals + 1))];
}

function inside(braced: string): string {
  let level = 0;
  for (let at = 0; at < braced.length; at++) {
    if (braced[at] === '{') level++;
    else if (braced[at] === '}' && --level === 0) {
      if (at < braced.length - 1) throw new Error(`syntax error after '}' in "${braced}"`);
      return trimWhite(braced.slice(1, -1));
    }
  }
  throw new Error(`missing '}' in "${braced}"`);
}

/** Values for macros that have none otherwise, by name with its braces. The first of several for a name counts. */
export function macroDefaults(list: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const item of splitListGroups(list)) {
    const [name, value] = pair(item.startsWith('{') && wrapsAll(item) ? inside(item) : item);
    const key = bracedName(name);
    if (!values.has(key)) values.set(key, value);
  }
  return values;
}

/** Does the first brace close at the very end (`{ name = value }`), or does it enclose a name only (`{name}=value`)? */
function wrapsAll(item: string): boolean {
  let level = 0;
  for (let at = 0; at < item.length; at++) {
    if (item[at] === '{') level++;
    else if (item[at] === '}' && --level === 0) return at === item.length - 1;
  }
  return true;
}

/** `j` and `{j}` are one macro. */
export function bracedName(name: string): string {
  return name.startsWith('{') ? name : `{${name}}`;
}

export interface MacroRequest {
  /** As the list has it: so the filter hears it. */
  readonly name: string;
  readonly key: string;
}

export function macroRequests(list: string): MacroRequest[] {
  return splitList(list).map((name) => ({ name, key: bracedName(name) }));
}
