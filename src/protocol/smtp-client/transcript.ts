/**
 * What client and server said on a connection, for a postmaster who wants to hear of trouble (notify_classes): commands and replies, not
 * the content of messages, and never what we say to log in. Memory is bounded: of a long dialogue only the end is kept.
 */

/** Whose trouble it was: a breach of the protocol, or mail that could not be read here. */
export type Trouble = 'protocol' | 'data';

export interface TakenTranscript {
  /** `Out: ` and what we said, `In:  ` and what the server said. */
  readonly lines: readonly string[];
  readonly troubles: ReadonlySet<Trouble>;
}

export class ClientTranscript {
  readonly #limit: number;
  #lines: string[] = [];
  #length = 0;
  #troubles = new Set<Trouble>();

  /** @param limit characters kept */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** @param isSecret part of a login */
  said(line: string, isSecret = false): void {
    this.#put('Out: ', isSecret ? withoutSecret(line) : line);
  }

  heard(line: string): void {
    this.#put('In:  ', line);
  }

  note(trouble: Trouble): void {
    this.#troubles.add(trouble);
  }

  /** All of it; and it begins anew. */
  take(): TakenTranscript {
    const taken = { lines: this.#lines, troubles: this.#troubles };
    this.#lines = [];
    this.#length = 0;
    this.#troubles = new Set();
    return taken;
  }

  #put(mark: string, text: string): void {
    this.#lines.push(mark + text);
    this.#length += mark.length + text.length;
    while (this.#length > this.#limit && this.#lines.length > 1) this.#length -= this.#lines.shift()!.length;
  }
}

/** `AUTH PLAIN ...`: the mechanism is no secret. */
function withoutSecret(line: string): string {
  const [verb, mechanism, secret] = line.split(' ');
  if (verb !== 'AUTH') return '...';
  return secret === undefined ? line : `${verb} ${mechanism} ...`;
}
