/** What stands for the verdict of a filter that cannot be had: milter_default_action. */
import { lowerAscii } from '../../text/ascii.ts';
import type { FilterVerdict } from './reply.ts';

/** `setup`: we are told wrong things about it; `talk`: it cannot be reached, or does not speak as it should. */
export type FilterTrouble = 'setup' | 'talk';

const afterTalk: ReadonlyMap<string, FilterVerdict> = new Map<string, FilterVerdict>([
  ['accept', undefined],
  ['reject', '550 5.5.0 Service unavailable'],
  ['tempfail', '451 4.7.1 Service unavailable - try again later'],
  ['shutdown', '421 4.7.1 Service unavailable - try again later'],
  ['quarantine', 'Hdefault_action'],
]);

const badSetup = '4.3.5 Server configuration problem - try again later';

export function isDefaultAction(word: string): boolean {
  return afterTalk.has(lowerAscii(word));
}

export function defaultVerdict(trouble: FilterTrouble, defaultAction: string): FilterVerdict {
  const word = lowerAscii(defaultAction);
  if (!afterTalk.has(word)) return `451 ${badSetup}`;
  if (trouble === 'talk' || word === 'accept' || word === 'quarantine') return afterTalk.get(word);
  return word === 'shutdown' ? `421 ${badSetup}` : `451 ${badSetup}`;
}
