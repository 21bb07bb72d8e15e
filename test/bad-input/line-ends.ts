/** What some server, somewhere, may take for the end of a line; only the first is one. Byte strings. */
export const lineEnds: ReadonlyMap<string, string> = new Map([
  ['CR LF', '\r\n'], ['LF', '\n'], ['CR', '\r'], ['CR CR LF', '\r\r\n'], ['CR NUL LF', '\r\0\n'], ['LF CR', '\n\r'], ['NUL', '\0'], ['VT', '\x0b'], ['FF', '\x0c'],
  ['NEL', '\x85'], ['NEL in UTF-8', '\xc2\x85'], ['U+2028 in UTF-8', '\xe2\x80\xa8'], ['LF with its high bit', '\x8a'], ['U+010A in UTF-8', '\xc4\x8a'],
]);

/** Every `X . Y` of the above, but for those in which the end of data stands. */
export function falseEnds(): { readonly name: string; readonly bytes: string }[] {
  const all = [...lineEnds].flatMap(([before, one]) => [...lineEnds].map(([after, other]) => ({ name: `${before} . ${after}`, bytes: `${one}.${other}` })));
  return all.filter(({ bytes }) => !bytes.includes('\r\n.\r\n'));
}
