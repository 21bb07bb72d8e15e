// A comment of a stock configuration file, filled.

export const width = 78;

export function comment(prose: string): string {
  let [result, line] = ['', '#'];
  for (const word of prose.split(/\s+/)) {
    if (line.length + 1 + word.length > width) {
      result += `${line}\n`;
      line = '#';
    }
    line += ` ${word}`;
  }
  return `${result}${line}\n`;
}
