/**
 * The policy delegation protocol (SMTPD_POLICY_README), client side: `name=value` lines and an empty line, both ways. Pure.
 *
 * A request is text to be written; an answer is read with a PolicyReader, which is fed bytes until it has the action or trouble. What a
 * server sends cannot make it throw, or keep more than one line.
 */

export type Attributes = readonly (readonly [name: string, value: string | number])[];

/** Line ends within a value would end it; a NUL is no text. */
export function renderRequest(attributes: Attributes): string {
  let request = '';
  for (const [name, value] of attributes) request += `${name}=${typeof value === 'string' ? value.replace(/[\0\r\n]/g, '?') : value}\n`;
  return `${request}\n`;
}

/** An answer that has come whole: the first `action`; or why there is none. */
export type PolicyAnswer = { readonly action: string } | { readonly trouble: string };

/** Postfix's line_length_limit for names and values. */
const lineLimit = 2048;
/** A server that says more than this about one question is not serious. */
const lineCountLimit = 1000;

export class PolicyReader {
  #line = '';
  #lines = 0;
  #action: string | undefined;
  #answer: PolicyAnswer | undefined;

  /** Bytes as a byte string. Undefined: the answer is not all there yet. What follows an answer is trouble: nobody asked. */
  receive(bytes: string): PolicyAnswer | undefined {
    if (this.#answer !== undefined) return { trouble: 'answer without a question' };
    let at = 0;
    for (let end = bytes.indexOf('\n'); end >= 0; end = bytes.indexOf('\n', at)) {
      const answer = this.#take(this.#line + bytes.slice(at, end));
      this.#line = '';
      at = end + 1;
      if (answer !== undefined) return (this.#answer = at === bytes.length || 'trouble' in answer ? answer : { trouble: 'more than one answer' });
    }
    this.#line += bytes.slice(at);
    return this.#line.length > 2 * lineLimit ? (this.#answer = { trouble: `line longer than ${2 * lineLimit} characters` }) : undefined;
  }

  #take(line: string): PolicyAnswer | undefined {
    if (line === '') return this.#action === undefined ? { trouble: 'missing attribute action' } : { action: this.#action };
    if (++this.#lines > lineCountLimit) return { trouble: `more than ${lineCountLimit} lines` };
    const equals = line.indexOf('=');
    if (equals < 0) return { trouble: `missing "=" in "${line.slice(0, 100)}"` };
    if (equals > lineLimit || line.length - equals - 1 > lineLimit) return { trouble: `name or value longer than ${lineLimit} characters` };
    if (line.slice(0, equals) === 'action') this.#action ??= line.slice(equals + 1);
    return undefined;
  }
}
