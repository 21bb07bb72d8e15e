/** Texts of main.cf with C's escapes in them. Pure. */
const letters: ReadonlyMap<string, string> = new Map([['a', '\x07'], ['b', '\b'], ['f', '\f'], ['n', '\n'], ['r', '\r'], ['t', '\t'], ['v', '\v']]);

/** C's escapes: \t, \40 and the like. */
export function unescaped(text: string): string {
  return text.replace(/\\(?:([0-7]{1,3})|(.))/gs, (_whole, octal?: string, letter = '') =>
    (octal === undefined ? (letters.get(letter) ?? letter) : String.fromCharCode(parseInt(octal, 8) & 0xff)));
}
