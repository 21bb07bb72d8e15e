/** The sender address of a QMQP packet, which may ask for VERP the way qmail does: `prefix-@origin-@[]`. Pure. */
export interface QmqpSender {
  readonly address: string;
  /** VERP delimiters. */
  readonly verp: string | undefined;
}

const mark = '-@[]';

/** The character in front of the `@` is the first delimiter, `=` the second; neither stays in the address. */
export function readSender(text: string): QmqpSender {
  const origin = text.length - mark.length;
  const at = text.indexOf('@');
  const prefix = at - 1;
  const asked = origin > 0 && text.endsWith(mark) && at >= 0 && prefix < origin - 2 && prefix > 0;
  if (!asked) return { address: text, verp: undefined };
  return { address: text.slice(0, prefix) + text.slice(at, origin), verp: `${text[prefix]}=` };
}

export function verpTrouble(verp: string, filter: string): string | undefined {
  if ([...verp].every((character) => filter.includes(character))) return undefined;
  return `Invalid VERP delimiters: "${verp}". Need two characters from "${filter}"`;
}
