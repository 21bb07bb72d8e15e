/** C's escapes: \t, \40 and the like; a backslash before anything else stands for that, and one at the end for nothing. */
const letters: ReadonlyMap<string, string> = new Map([['a', '\x07'], ['b', '\b'], ['f', '\f'], ['n', '\n'], ['r', '\r'], ['t', '\t'], ['v', '\v']]);

export function unescaped(text: string): string {
  return text.replace(/\\(?:([0-7]{1,3})|([^])|$)/g, (_whole, octal?: string, letter = '') =>
    (octal === undefined ? (letters.get(letter) ?? letter) : String.fromCharCode(parseInt(octal, 8) & 0xff)));
}
