/** The cases that every type of table is held to, whether its entries are in a file or on a server. For tests. */

/** A byte string of this text's UTF-8. */
export const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** What every table holds in this suite. */
export const entries: readonly (readonly [string, string])[] = [
  ['joe@example.org', 'OK'],
  ['MixedCase', 'value as Written'],
  ['"quoted key"@example.org', 'quoted'],
  [utf8('Äpfel'), utf8('Grüße')],
  ['long', 'x'.repeat(3000)],
  ['spaces', 'two  words, and a comma'],
];

/** Keys, and what every such table answers. */
export const cases: readonly (readonly [why: string, key: string, want: string | undefined])[] = [
  ['as stored', 'joe@example.org', 'OK'],
  ['in another case', 'JOE@Example.ORG', 'OK'],
  ['stored in another case', 'mixedcase', 'value as Written'],
  ['quotes belong to the key', '"quoted key"@example.org', 'quoted'],
  ['without its quotes it is another key', 'quoted key@example.org', undefined],
  ['UTF-8, folded', utf8('äPFEL'), utf8('Grüße')],
  ['a long value', 'long', 'x'.repeat(3000)],
  ['inner white space stays', 'spaces', 'two  words, and a comma'],
  ['missing', 'nobody@example.org', undefined],
  ['the beginning of a key', 'joe', undefined],
  ['more than a key', 'joe@example.org.', undefined],
  ['the empty key', '', undefined],
  ['a key too long for any index', 'k'.repeat(5000), undefined],
  ['a key of the prototype', '__proto__', undefined],
  ['another one', 'constructor', undefined],
];
