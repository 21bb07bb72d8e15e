/** How often each verb was tried and how often it succeeded, for the line that is logged when a client disconnects. */
import type { Verb } from './dialogue.ts';
import { verbs } from './verbs.ts';

/** Rows are shown in the order of the verbs; what is no verb comes last. */
const places: ReadonlyMap<Verb | undefined, number> = new Map([...verbs, undefined].map((verb, place) => [verb, place]));
const names = [...verbs.map((verb) => verb.name.toLowerCase()), 'unknown'];

export class CommandCounts {
  readonly #good = names.map(() => 0);
  readonly #all = names.map(() => 0);

  tried(verb: Verb | undefined): void {
    this.#all[places.get(verb)!]!++;
  }

  succeeded(verb: Verb | undefined): void {
    this.#good[places.get(verb)!]!++;
  }

  /** `ehlo=1 rcpt=0/1 commands=1/2`; a session without commands gives `commands=0/0`. */
  render(): string {
    const line = (name: string, place: number): string => ratio(name, this.#good[place]!, this.#all[place]!);
    const shown = names.map(line).filter((_, place) => this.#all[place] !== 0);
    const all = sum(this.#all);
    return [...shown, all === 0 ? 'commands=0/0' : ratio('commands', sum(this.#good), all)].join(' ');
  }
}

function ratio(name: string, good: number, all: number): string {
  return good === all ? `${name}=${good}` : `${name}=${good}/${all}`;
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
