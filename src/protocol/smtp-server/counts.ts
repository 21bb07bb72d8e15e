/** How often each verb was tried and how often it succeeded, for the line that is logged when a client disconnects. */
import type { Verb } from './dialogue.ts';
import { verbs } from './verbs.ts';

/** Rows are shown in the order of the verbs; what is no verb comes last. */
const places: ReadonlyMap<Verb | undefined, number> = new Map([...verbs, undefined].map((verb, place) => [verb, place]));
const names = [...verbs.map((verb) => verb.name.toLowerCase()), 'unknown'];

const none: readonly number[] = names.map(() => 0);

/** A command that is followed by another one, or by the end, and did not succeed before has failed. */
export class CommandCounts {
  readonly #all = none.slice();
  /** Most sessions have none: made for the first. */
  #failed: number[] | undefined;
  /** The place of a command that was tried and has not succeeded; -1: there is none. */
  #open = -1;

  tried(verb: Verb | undefined): void {
    if (this.#open >= 0) (this.#failed ??= none.slice())[this.#open]!++;
    this.#open = places.get(verb)!;
    this.#all[this.#open]!++;
  }

  /** The command that was tried last. */
  succeeded(): void {
    this.#open = -1;
  }

  /** `ehlo=1 rcpt=0/1 commands=1/2`; a session without commands gives `commands=0/0`. */
  render(): string {
    let text = '';
    let allGood = 0;
    let all = 0;
    for (let place = 0; place < names.length; place++) {
      const tried = this.#all[place]!;
      if (tried === 0) continue;
      const good = tried - (this.#failed?.[place] ?? 0) - (place === this.#open ? 1 : 0);
      text += `${ratio(names[place]!, good, tried)} `;
      allGood += good;
      all += tried;
    }
    return text + (all === 0 ? 'commands=0/0' : ratio('commands', allGood, all));
  }
}

function ratio(name: string, good: number, all: number): string {
  return good === all ? `${name}=${good}` : `${name}=${good}/${all}`;
}
