/** Long lines of a text for people: broken at blanks, what follows the first line is indented. Pure. */
import { isWhite, trimRight } from './ascii.ts';

const indent = 4;

/** A word longer than the line stays whole. Blanks at the ends of lines are lost, others stay as they are. `width`: of a line, its indent included. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  const put = (from: number, to: number): void => {
    lines.push((lines.length > 0 ? ' '.repeat(indent) : '') + trimRight(text.slice(from, to)));
  };
  let start = 0;
  for (let word = 0; ;) {
    const end = wordEnd(text, word);
    if (word > start && end - start > (lines.length > 0 ? width - indent : width)) {
      put(start, word);
      start = word;
      while (start < text.length && isWhite(text.charCodeAt(start))) start++;
    }
    if (end >= text.length) break;
    word = end + 1;
  }
  put(start, text.length);
  return lines;
}

function wordEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== ' ' && text[at] !== '\t') at++;
  return at;
}
