// Edits main.cf as text: `-e name=value` sets, `-X name` removes, `-# name` comments out. Comments and order stay.
import { isWhite, trimRight, trimLeft } from '../../text/ascii.ts';
import { isIgnored } from '../../config/logical-lines.ts';
import { splitNameValue } from '../../config/main-cf.ts';
import type { Warn } from '../../config/logical-lines.ts';
import { Fatal } from './output.ts';

export type EditMode = 'set' | 'remove' | 'comment out';

/** From name to new value; the value is '' where the mode needs none. */
export type EditRequests = ReadonlyMap<string, string>;

export function parseEdits(operands: readonly string[], mode: EditMode, warn: Warn): EditRequests {
  const requests = new Map<string, string>();
  for (const operand of operands) {
    const [name, value] = parseEdit(operand, mode);
    const earlier = requests.get(name);
    if (mode === 'set' && earlier !== undefined && earlier !== value) warn(`ignoring earlier request: '${name} = ${earlier}'`);
    requests.set(name, value);
  }
  return requests;
}

function parseEdit(operand: string, mode: EditMode): readonly [string, string] {
  if (operand.includes('\n')) throw new Fatal('-e, -X, or -# accepts no multi-line input');
  const text = trimLeft(operand);
  if (text[0] === '#') throw new Fatal('-e, -X, or -# accepts no comment input');
  if (mode === 'set') {
    const pair = splitNameValue(text);
    if (typeof pair === 'string') throw new Fatal(`${pair}: "${text}"`);
    return pair;
  }
  if (text === '') throw new Fatal('-X or -# requires non-blank parameter names');
  if (text.includes('=')) throw new Fatal('-X or -# requires parameter names without value');
  return [trimRight(text), ''];
}

/** The new text. `file` is for warnings only. */
export function editMain(text: string, file: string, mode: EditMode, requests: EditRequests, warn: Warn): string {
  const found = new Map<string, number>();
  let result = '';
  // The mode while within a logical line that is asked for.
  let within = false;
  for (const line of linesOf(text)) {
    if (isIgnored(line)) {
      result += line;
    } else if (isWhite(line.charCodeAt(0))) {
      if (!within) result += line;
      else if (mode === 'comment out') result += `#${line}`;
    } else {
      const name = /^[^ \t\n\v\f\r=]*/.exec(line)![0];
      const value = requests.get(name);
      within = value !== undefined;
      if (value === undefined) {
        result += line;
        continue;
      }
      const count = found.get(name) ?? 0;
      found.set(name, count + 1);
      if (count === 1) warn(`${file}: multiple entries for "${name}"`);
      if (mode === 'set') result += `${name} = ${value}\n`;
      else if (mode === 'comment out') result += `#${line}`;
    }
  }
  return mode === 'set' ? result + missing(requests, found) : result;
}

function missing(requests: EditRequests, found: ReadonlyMap<string, number>): string {
  return [...requests].filter(([name]) => !found.has(name)).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${name} = ${value}\n`).join('');
}

/** Physical lines with their newlines; a last line without one gets it. */
export function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines[lines.length - 1] === '') lines.pop();
  return lines.map((line) => `${line}\n`);
}
