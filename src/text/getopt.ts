/**
 * getopt(3): single-letter options, some with a value, up to the first operand or `--`. Pure; trouble is told in the C library's words.
 */
export interface Options {
  /** In the order given; the value of an option without one is ''. */
  readonly found: readonly (readonly [letter: string, value: string])[];
  readonly operands: readonly string[];
  /** Set when the command line makes no sense; what came before is in `found`. */
  readonly trouble?: string;
}

/** @param letters as for getopt(3): `c:v` is an option c with a value and an option v without */
export function getopt(argv: readonly string[], letters: string): Options {
  const found: (readonly [string, string])[] = [];
  let at = 0;
  for (; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === '--') return { found, operands: argv.slice(at + 1) };
    if (word[0] !== '-' || word === '-') break;
    for (let index = 1; index < word.length; index++) {
      const letter = word[index]!;
      const place = letter === ':' ? -1 : letters.indexOf(letter);
      if (place < 0) return { found, operands: [], trouble: `invalid option -- '${letter}'` };
      if (letters[place + 1] !== ':') {
        found.push([letter, '']);
        continue;
      }
      const value = index + 1 < word.length ? word.slice(index + 1) : argv[++at];
      if (value === undefined) return { found, operands: [], trouble: `option requires an argument -- '${letter}'` };
      found.push([letter, value]);
      break;
    }
  }
  return { found, operands: argv.slice(at) };
}
