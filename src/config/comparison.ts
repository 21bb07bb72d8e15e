// Comparisons within ${...} expressions: numbers as numbers, other text by its bytes, compatibility levels by their parts.
// A level that is none throws LevelError in Postfix's words.
import { allDigits } from '../text/ascii.ts';

export class LevelError extends Error {
  override readonly name = 'LevelError';
}

/** `==`, `!=`, `<`, `<=`, `>=` or `>`. */
export function compare(left: string, symbol: string, right: string): boolean {
  if (allDigits(left) && allDigits(right)) return holds(symbol, Number(left) - Number(right));
  return holds(symbol, left === right ? 0 : left < right ? -1 : 1);
}

/** The same with the suffix `level`. */
export function compareLevels(left: string, symbol: string, right: string): boolean {
  return holds(symbol, parseLevel(left) - parseLevel(right));
}

const largestPart = 1023;

/** A compatibility level `major[.minor[.patch]]` as one number that compares rightly. */
export function parseLevel(text: string): number {
  const match = /^[ \t\n\v\f\r]*\+?([0-9]{1,9})(?:\.([0-9]{1,9}))?(?:\.([0-9]{1,9}))?$/.exec(text);
  const [major, minor, patch] = [match?.[1], match?.[2] ?? '0', match?.[3] ?? '0'].map(Number);
  if (!match || minor! > largestPart || patch! > largestPart)
    throw new LevelError(`malformed compatibility level syntax: "${text}"`);
  return (major! * (largestPart + 1) + minor!) * (largestPart + 1) + patch!;
}

function holds(symbol: string, difference: number): boolean {
  switch (symbol) {
    case '==': return difference === 0;
    case '!=': return difference !== 0;
    case '<': return difference < 0;
    case '<=': return difference <= 0;
    case '>=': return difference >= 0;
    default: return difference > 0;
  }
}
