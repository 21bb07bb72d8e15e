// Checks the arguments of a `pipe` row as pipe(8) will read them, so that a misprint is reported with file and line when
// master.cf is read and not at the first delivery. Pure; accounts are not looked up here.
import { lowerAscii } from '../text/ascii.ts';
import { nearestName } from '../text/nearest.ts';
import type { MasterRow, Trouble } from './master-cf.ts';

const attributes = ['flags', 'user', 'directory', 'chroot', 'eol', 'null_sender', 'size', 'argv'];
const knownFlags = 'BDFORX.>hqu';

/** What is wrong with the arguments of this row; empty when nothing is, or when it does not run pipe(8). */
export function checkPipeArguments(row: MasterRow): Trouble[] {
  if (row.program !== 'pipe') return [];
  const seen = new Set<string>();
  for (const word of row.args) {
    const name = lowerAscii(word.slice(0, Math.max(0, word.indexOf('='))));
    const trouble = attributes.includes(name) ? checkValue(name, word.slice(name.length + 1)) : unknownAttribute(word, name);
    if (trouble !== undefined) return [at(row, trouble)];
    seen.add(name);
    if (name === 'argv') break;
  }
  return ['user', 'argv'].filter((name) => !seen.has(name)).map((name) => at(row, `missing ${name}= command-line attribute`));
}

function at({ file, line }: MasterRow, text: string): Trouble {
  return { file, line, text };
}

function unknownAttribute(word: string, name: string): string {
  const near = nearestName(name, attributes);
  const fix = near === undefined ? `known are ${attributes.map((known) => `${known}=`).join(' ')}` : `did you mean ${near}=${word.slice(name.length + 1)}?`;
  return `unknown attribute name: ${word} (${fix})`;
}

function checkValue(name: string, value: string): string | undefined {
  if (name === 'flags') {
    const bad = [...value].find((flag) => !knownFlags.includes(flag));
    return bad === undefined ? undefined : `unknown flag: ${bad} (known are ${knownFlags})`;
  }
  if (name === 'size' && !/^[0-9]+$/.test(value)) return `bad size= value: ${value} (write a number of bytes)`;
  if (name === 'user' && (value === '' || value.startsWith(':'))) return 'missing user= command-line attribute';
  return undefined;
}
