// Edits master.cf as text: whole rows (-M), columns (-F), or `-o name=value` of rows (-P). Rows that are not asked for, and
// comments, stay byte for byte; a row that changes is laid out anew.
import { isWhite, splitWhite, trimLeft, trimRight } from '../../text/ascii.ts';
import { isIgnored } from '../../config/logical-lines.ts';
import { columnCount } from '../../config/master-cf.ts';
import { splitNameValue } from '../../config/main-cf.ts';
import type { Warn } from '../../config/logical-lines.ts';
import { linesOf } from './edit-main.ts';
import type { EditMode } from './edit-main.ts';
import { Fatal } from './output.ts';
import { fieldIndex, matches, parsePattern } from './pattern.ts';
import type { Pattern } from './pattern.ts';
import { checkColumns, fieldNames, isOption, normalForm, splitRow, splitWords } from './service-rows.ts';
import { layOutRow } from './show-services.ts';

export type EditTarget = 'row' | 'field' | 'parameter';

interface Request {
  readonly pattern: Pattern;
  readonly value: string;
  matched: number;
}

const optionNames = '-Me, -Fe, -Pe, -X, or -#';

export class MasterEdit {
  readonly #file: string;
  readonly #target: EditTarget;
  readonly #mode: EditMode;
  readonly #requests: readonly Request[];
  readonly #warn: Warn;

  constructor(file: string, target: EditTarget, mode: EditMode, operands: readonly string[], warn: Warn) {
    this.#file = file;
    this.#target = target;
    this.#mode = mode;
    this.#requests = operands.map((operand) => parseRequest(operand, target, mode));
    this.#warn = warn;
  }

  apply(text: string): string {
    let result = '';
    for (const row of splitRows(text)) result += this.#row(row);
    for (const { pattern, value, matched } of this.#requests) {
      if (matched > 0) continue;
      if (this.#target !== 'row') this.#warn(`unmatched service_name/type: "${pattern.raw}"`);
      else if (this.#mode === 'set') result += layOutRow(newRow(value, pattern), true);
    }
    return result;
  }

  #row({ lines, number }: RowText): string {
    const first = lines[0]!;
    if (isIgnored(first) || isWhite(first.charCodeAt(0))) return lines.join('');
    const [service, type] = this.#nameAndType(first, number);
    const asked = this.#requests.filter((request) => this.#concerns(request, service, type));
    if (asked.length === 0) return lines.join('');
    const own = lines.filter((line) => !isIgnored(line));
    const others = lines.filter(isIgnored).join('');
    if (this.#target === 'row' && this.#mode !== 'set') {
      for (const request of asked) request.matched++;
      return lines.map((line) => (isIgnored(line) ? line : this.#mode === 'comment out' ? `#${line}` : '')).join('');
    }
    const fields = this.#target === 'row' ? replaced(asked) : this.#edited(own, asked, number);
    return (this.#target === 'row' ? '' : others) + (fields ? layOutRow(fields, true) : '') + (this.#target === 'row' ? others : '');
  }

  // A whole row is asked for by its own name or by that of the row which shall stand in its place.
  #concerns({ pattern, value }: Request, service: string, type: string): boolean {
    if (matches(pattern, service, type)) return true;
    if (this.#target !== 'row' || this.#mode !== 'set') return false;
    const [newService, newType] = newRow(value, pattern);
    return newService === service && newType === type;
  }

  #nameAndType(line: string, number: number): readonly [string, string] {
    const [service, type] = splitWhite(line);
    const where = `file ${this.#file}: line ${number}`;
    if (service === undefined || type === undefined) throw new Fatal(`${where}: specify service name and type on the same line`);
    if (service.includes('=')) throw new Fatal(`${where}: service name syntax "${service}" is unsupported with ${optionNames}`);
    if (/[=/]/.test(type)) throw new Fatal(`${where}: service type syntax "${type}" is unsupported with ${optionNames}`);
    return [service, type];
  }

  #edited(own: readonly string[], asked: readonly Request[], number: number): readonly string[] {
    let fields = splitRow(own.join('').replaceAll('\n', ' '));
    if (typeof fields === 'string') throw new Fatal(`file ${this.#file}: line ${number}: ${fields}`);
    for (const request of asked) {
      request.matched++;
      const name = request.pattern.parts[2]!;
      fields = this.#target === 'field' ? withField(fields, fieldIndex(name)!, request.value) : withParameter(fields, name, this.#mode === 'set' ? request.value : undefined);
    }
    return fields;
  }
}

interface RowText {
  /** The row, its continuations, and the comments and empty lines between; or one line that belongs to no row. */
  readonly lines: string[];
  readonly number: number;
}

function splitRows(text: string): RowText[] {
  const rows: RowText[] = [];
  for (const [index, line] of linesOf(text).entries()) {
    const last = rows[rows.length - 1];
    if (!last || isIgnored(line) || !isWhite(line.charCodeAt(0))) rows.push({ lines: [line], number: index + 1 });
    else continueRow(rows, line);
  }
  return rows;
}

// A continuation belongs to the last row above it; what lies between goes with it.
function continueRow(rows: RowText[], line: string): void {
  let start = rows.length - 1;
  while (start > 0 && isIgnored(rows[start]!.lines[0]!)) start--;
  const between = rows.splice(start + 1).flatMap(({ lines }) => lines);
  rows[start]!.lines.push(...between, line);
}

function parseRequest(operand: string, target: EditTarget, mode: EditMode): Request {
  if (operand.includes('\n')) throw new Fatal(`${optionNames} accept no multi-line input`);
  const text = trimLeft(operand);
  if (text[0] === '#') throw new Fatal(`${optionNames} accept no comment input`);
  let [name, value] = [trimRight(text), ''];
  if (mode === 'set') {
    const pair = splitNameValue(text);
    if (typeof pair === 'string') throw new Fatal(`${pair}: "${operand}"`);
    [name, value] = pair;
  } else if (text.includes('=')) throw new Fatal('-X or -# requires names without value');
  return { pattern: requestPattern(operand, name, target, mode, value), value, matched: 0 };
}

function requestPattern(raw: string, name: string, target: EditTarget, mode: EditMode, value: string): Pattern {
  const parts = target === 'row' ? 2 : 3;
  const pattern = parsePattern(raw, parts, parts, name);
  if (!pattern) throw new Fatal(needs[target]);
  const last = pattern.parts[2];
  if (target === 'field') {
    const index = fieldIndex(last!);
    if (index === undefined) throw new Fatal('-Fe does not accept wild-card field name');
    if (index < columnCount - 1 && /[ \t\r\n]/.test(value)) throw new Fatal('-Fe does not accept whitespace in non-command field');
  }
  if (target === 'parameter') {
    if (last === '*') throw new Fatal('-Pe does not accept wild-card parameter name');
    if (mode === 'set' && /[ \t\r\n]/.test(value)) throw new Fatal('-Pe does not accept whitespace in parameter value');
  }
  return pattern;
}

const needs: { readonly [T in EditTarget]: string } = {
  row: '-Me, -MX or -M# requires service_name/type',
  field: '-Fe or -FX requires service_name/type/field_name',
  parameter: '-Pe or -PX requires service_name/type/parameter',
};

function newRow(value: string, { raw }: Pattern): readonly string[] {
  const fields = splitRow(value);
  if (typeof fields === 'string') throw new Fatal(`${fields}: "${raw}"`);
  return fields;
}

// The first row that a request concerns gives way to the new one, the others go.
function replaced(asked: readonly Request[]): readonly string[] | undefined {
  let fields: readonly string[] | undefined;
  for (const request of asked) if (++request.matched === 1) fields = newRow(request.value, request.pattern);
  return fields;
}

function withField(fields: readonly string[], index: number, value: string): readonly string[] {
  const command = index === columnCount - 1;
  const words = command ? splitWords(value) : [value];
  if (words.length === 0 || words[0] === '') throw new Fatal(`invalid ${fieldNames[index]} field "": a column cannot be empty (write - for the default)`);
  const changed = command ? [...fields.slice(0, index), words[0]!, ...normalForm(words.slice(1))] : fields.with(index, value);
  checkColumns(changed, value);
  return changed;
}

/** Sets `-o name=value` wherever it stands, or adds it behind the other options; undefined removes it. */
function withParameter(fields: readonly string[], name: string, value: string | undefined): readonly string[] {
  const result = fields.slice(0, columnCount);
  let found = false;
  let at = columnCount;
  for (; isOption(fields[at]); at++) {
    const option = fields[at]!;
    if (option !== '-o' || fields[at + 1] === undefined) {
      result.push(option);
      continue;
    }
    const setting = fields[++at]!;
    const same = setting.startsWith(`${name}=`);
    found ||= same;
    if (!same) result.push(option, setting);
    else if (value !== undefined) result.push(option, `${name}=${value}`);
  }
  if (!found && value !== undefined) result.push('-o', `${name}=${value}`);
  return [...result, ...fields.slice(at)];
}
