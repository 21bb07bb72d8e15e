/**
 * "Did you mean ...?": the name that is closest to a mistyped one.
 *
 * Distance counts letters put in, left out, changed, and neighbours swapped. Pure; long words are not compared at all.
 */
import { lowerAscii } from './ascii.ts';

const longestWord = 100;

/** How many single mistakes lead from one word to the other (optimal string alignment). */
export function editDistance(one: string, other: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      const same = one[row - 1] === other[column - 1];
      let cost = Math.min(previous[column]! + 1, current[column - 1]! + 1, previous[column - 1]! + (same ? 0 : 1));
      const swapped = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      if (swapped) cost = Math.min(cost, before[column - 2]! + 1);
      current.push(cost);
    }
    before = previous;
    previous = current;
  }
  return previous[other.length]!;
}

/**
 * The nearest of `names`, capitals aside; undefined when none is near: at most one mistake per three letters, three at most.
 * Of equally near names the first wins.
 */
export function nearestName(word: string, names: Iterable<string>): string | undefined {
  if (word.length > longestWord) return undefined;
  const wanted = lowerAscii(word);
  let nearest: string | undefined;
  let limit = Math.min(3, Math.floor(word.length / 3)) + 1;
  for (const name of names) {
    if (Math.abs(name.length - word.length) >= limit) continue;
    const distance = editDistance(wanted, lowerAscii(name));
    if (distance >= limit) continue;
    nearest = name;
    limit = distance;
  }
  return nearest;
}
