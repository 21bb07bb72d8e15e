/**
 * The address of a MAIL or RCPT command, for the log: anything is taken, nothing is checked, since nothing is delivered. A route in
 * front (RFC 5321 appendix C) is left out.
 */
export function loosePath(text: string): string {
  let at = 0;
  while (text[at] === ' ') at++;
  const end = text[at] === '<' ? '>' : ' ';
  if (end === '>') at++;
  let found = '';
  let isQuoted = false;
  for (; at < text.length && (isQuoted || text[at] !== end); at++) {
    if (text[at] === '"') isQuoted = !isQuoted;
    else if (text[at] !== '\\') found += text[at];
    else if (++at < text.length) found += text[at];
  }
  const colon = found.startsWith('@') ? found.indexOf(':') : -1;
  return colon < 0 ? found : found.slice(colon + 1);
}
