// Names that main.cf or a row of master.cf sets, that Postfix knows, and that no program of this release reads. A setting that asks
// for nothing (the default, an empty value, `no`) is not worth a word. Pure.
import { sameIgnoringCase } from '../text/ascii.ts';
import { splitFamilyName } from '../parameters/families.ts';
import { cardOf } from '../parameters/parameters.ts';
import type { Settings } from './main-cf.ts';
import type { Trouble } from './master-cf.ts';

/** What a row of master.cf sets. */
export interface RowSettings {
  readonly file: string;
  readonly line: number;
  readonly overrides: Iterable<readonly [name: string, value: string]>;
}

/** One trouble for each of them, in the order of the files; `line` is that of the setting, or of the row. */
export function notYetUsed(settings: Settings, rows: Iterable<RowSettings> = []): Trouble[] {
  const troubles: Trouble[] = [];
  const look = (file: string, line: number, name: string, value: string): void => {
    if (isIdle(name, value)) troubles.push({ file, line, text: `accepted, not yet used: ${name}=${value}` });
  };
  for (const [name, { value, file, line }] of settings) look(file, line, name, value);
  for (const { file, line, overrides } of rows) for (const [name, value] of overrides) look(file, line, name, value);
  return troubles;
}

/** The trouble as one line for the log or for standard error. */
export function describeNotYetUsed({ file, line, text }: Trouble): string {
  return `${file}, line ${line}: ${text}`;
}

function isIdle(name: string, value: string): boolean {
  const card = cardOf(name) ?? cardOf(splitFamilyName(name)?.fallback ?? '');
  return card?.notYetUsed === true && value !== '' && value !== card.default && !sameIgnoringCase(value, 'no');
}
