/**
 * Answers that were given a moment ago, by question: much mail asks the same about the same few addresses. As many as `limit`, the
 * oldest go first, none older than `lifetime` milliseconds. A question longer than `longest` bytes is not remembered: strangers
 * choose what they ask.
 */
export const longest = 512;

export class AnswerMemory<Answer> {
  readonly #limit: number;
  readonly #lifetime: number;
  readonly #now: () => number;
  readonly #answers = new Map<string, { readonly answer: Answer; readonly until: number }>();

  /** @param now milliseconds that never go back */
  constructor(limit: number, lifetime: number, now: () => number) {
    this.#limit = limit;
    this.#lifetime = lifetime;
    this.#now = now;
  }

  get(question: string): Answer | undefined {
    const known = this.#answers.get(question);
    if (known === undefined || known.until === Infinity || this.#now() < known.until) return known?.answer;
    this.#answers.delete(question);
    return undefined;
  }

  /** @param lifetime of this answer, where it is not that of the others */
  keep(question: string, answer: Answer, lifetime = this.#lifetime): Answer {
    if (question.length > longest) return answer;
    if (this.#answers.size >= this.#limit) this.#answers.delete(this.#answers.keys().next().value!);
    this.#answers.set(question, { answer, until: this.#now() + lifetime });
    return answer;
  }
}
