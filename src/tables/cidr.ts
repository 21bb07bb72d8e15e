/**
 * cidr_table(5): networks in the order written, the first that holds the address wins; `!` negates, IF ... ENDIF nest.
 *
 * A rule that cannot be understood is skipped with a warning that names file and line.
 */
import { readFileSync } from 'node:fs';
import { logicalLines } from '../config/logical-lines.ts';
import { errorText } from '../host/libc.ts';
import { isWhite, splitListGroups, trimLeft, trimWhite } from '../text/ascii.ts';
import { cidrMatches, parseCidr, parseIpAddress, type CidrPattern } from '../text/cidr.ts';
import { insideBraces } from './braces.ts';
import type { TableDriver, TableKind, Treatment } from './driver.ts';
import { NetworkIndex } from './network-index.ts';
import type { TableContext, TableOptions } from './table.ts';
import { encodeFiles } from './value-file.ts';

/** A rule with a value, or a block of rules. */
interface Rule {
  readonly network: CidrPattern;
  readonly wanted: boolean;
  readonly value?: string;
  readonly block?: Rules;
}

/** In the order written: rules that are looked at one by one, and indexes of plain rules that stood together. */
type Rules = (Rule | NetworkIndex<string>)[];

function isPlain(rule: Rule): rule is Rule & { value: string } {
  return rule.wanted && rule.block === undefined;
}

function addRule(rules: Rules, rule: Rule): void {
  if (!isPlain(rule)) return void rules.push(rule);
  let last = rules.at(-1);
  if (!(last instanceof NetworkIndex)) rules.push((last = new NetworkIndex()));
  last.add(rule.network, rule.value);
}

/** The pattern files and inline texts (`cidr:{{rule}, {rule}}`) of pattern tables. Throws an Error with the trouble. */
export function patternText(type: string, name: string): string {
  if (!name.startsWith('{')) {
    try {
      return readFileSync(Buffer.from(name, 'latin1'), 'latin1');
    } catch (error) {
      throw new Error(`open ${name}: ${errorText(error)}`);
    }
  }
  try {
    return splitListGroups(insideBraces(name)).map((rule) => `${insideBraces(rule)}\n`).join('');
  } catch (error) {
    throw new Error(`${type} map: ${(error as Error).message}`);
  }
}

export function cidrKind(name: string, _treatment: Treatment, context: TableContext, options: TableOptions): TableKind {
  const open = (): TableDriver => {
    const rules = readRules(patternText('cidr', name), name, (text) => context.warn(text), options);
    return { find: (key) => findIn(rules, parseIpAddress(key)) };
  };
  const inline = name.startsWith('{');
  return inline
    ? { open, fixed: false, owner: { trusted: true, uid: undefined } }
    : { open, fixed: false, file: name, changes: 'half written' };
}

function findIn(rules: Readonly<Rules>, address: Uint8Array | undefined): string | undefined {
  if (!address) return undefined;
  for (const rule of rules) {
    const indexed = rule instanceof NetworkIndex ? rule.find(address) : undefined;
    if (indexed !== undefined) return indexed;
    if (rule instanceof NetworkIndex) continue;
    const { network, wanted, value, block } = rule;
    if (!sameFamily(network, address) || cidrMatches(network, address) !== wanted) continue;
    const found = block ? findIn(block, address) : value;
    if (found !== undefined) return found;
  }
  return undefined;
}

function readRules(text: string, file: string, warn: (text: string) => void, options: TableOptions): Rules {
  const all: Rules = [];
  const open: { rules: Rules; line: number }[] = [{ rules: all, line: 0 }];
  for (const { text: rule, first: line } of logicalLines(text, file, warn)) {
    try {
      readRule(rule, line, open, options);
    } catch (error) {
      warn(`cidr map ${file}, line ${line}: ${(error as Error).message}: skipping this rule`);
    }
  }
  for (const { line } of open.slice(1).reverse()) warn(`cidr map ${file}, line ${line}: IF has no matching ENDIF`);
  return all;
}

function readRule(text: string, line: number, open: { rules: Rules; line: number }[], options: TableOptions): void {
  const current = open.at(-1)!.rules;
  const word = /^(if|endif)(?![a-z0-9])/i.exec(text)?.[1] ?? '';
  if (/^endif/i.test(word)) {
    if (trimWhite(text.slice(word.length)) !== '') throw new Error('garbage after ENDIF');
    if (open.length === 1) throw new Error('ENDIF without IF');
    open.pop();
    return;
  }
  const { wanted, rest } = negations(text.slice(word.length));
  if (word !== '') {
    const block: Rules = [];
    addRule(current, { network: parseNetwork(trimWhite(rest)), wanted, block });
    open.push({ rules: block, line });
    return;
  }
  let end = 0;
  while (end < rest.length && !isWhite(rest.charCodeAt(end))) end++;
  const network = parseNetwork(rest.slice(0, end));
  const value = trimWhite(rest.slice(end));
  if (value === '') throw new Error('no lookup result');
  addRule(current, { network, wanted, value: options.valueIsFile ? encodeFiles(value) : value });
}

function negations(text: string): { wanted: boolean; rest: string } {
  let wanted = true;
  let rest = trimLeft(text);
  for (; rest.startsWith('!'); rest = trimLeft(rest.slice(1))) wanted = !wanted;
  return { wanted, rest };
}

/** A rule says nothing about addresses of the other family, negated or not. */
function sameFamily(network: CidrPattern, address: Uint8Array): boolean {
  return network.network.length === address.length;
}

function parseNetwork(text: string): CidrPattern {
  if (text === '') throw new Error('no address pattern');
  const result = parseCidr(text);
  if ('error' in result) throw new Error(result.error);
  return result.pattern;
}
