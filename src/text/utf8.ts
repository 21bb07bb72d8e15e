/**
 * UTF-8 as it stands in byte strings (one char per byte).
 *
 * Used where a text must be known to be UTF-8 (SMTPUTF8) or must be compared without regard to case. Over-long forms,
 * surrogates and code points above U+10FFFF are not UTF-8 (RFC 3629 section 3). Nothing here throws.
 */

/** Length (1-4) of the well-formed UTF-8 sequence that begins at `at`; 0 when there is none. */
export function utf8LengthAt(text: string, at: number): number {
  const lead = text.charCodeAt(at);
  if (lead < 0x80) return 1;
  const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > text.length) return 0;
  for (let next = at + 1; next < at + length; next++) {
    const tail = text.charCodeAt(next);
    if (tail < 0x80 || tail > 0xbf) return 0;
  }
  return secondByteFits(lead, text.charCodeAt(at + 1)) ? length : 0;
}

// RFC 3629 section 4: what the first byte leaves open, the second must exclude.
function secondByteFits(lead: number, second: number): boolean {
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second <= 0x9f;
  if (lead === 0xf0) return second >= 0x90;
  if (lead === 0xf4) return second <= 0x8f;
  return true;
}

/** Is the whole byte string well-formed UTF-8? ASCII is. */
export function isUtf8(text: string): boolean {
  let at = 0;
  while (at < text.length && text.charCodeAt(at) < 0x80) at++;
  while (at < text.length) {
    const length = utf8LengthAt(text, at);
    if (length === 0) return false;
    at += length;
  }
  return true;
}

/** The Unicode text a byte string stands for; undefined when it is not UTF-8. */
export function decodeUtf8(text: string): string | undefined {
  return isUtf8(text) ? Buffer.from(text, 'latin1').toString('utf8') : undefined;
}

/** The byte string of a Unicode text. */
export function encodeUtf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/**
 * A byte string in the form in which keys and names are compared without regard to case: Unicode case folding when
 * the text is UTF-8, else ASCII lower case and every other byte untouched.
 */
export function foldCase(text: string): string {
  let ascii = true;
  for (let at = 0; ascii && at < text.length; at++) ascii = text.charCodeAt(at) < 128;
  if (ascii) return text.toLowerCase();
  const unicode = decodeUtf8(text);
  if (unicode === undefined) return text.replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase());
  return encodeUtf8(Array.from(unicode, foldCharacter).join(''));
}

// One character at a time: folding knows no context (a final sigma is a sigma). By way of the capital, so that both forms of
// sharp s come to "ss". Dotless i must not become i that way, and Cherokee folds to its capitals.
function foldCharacter(character: string): string {
  if (character === '\u0131') return character;
  const folded = character.toLowerCase().toUpperCase().toLowerCase();
  return /[\u13f8-\u13fd\uab70-\uabbf]/.test(folded) ? folded.toUpperCase() : folded;
}
