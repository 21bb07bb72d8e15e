/**
 * TLS sessions that a server keeps for clients without session tickets (RFC 5246 section 7.4.1.2): up to TLSv1.2, by their id.
 *
 * In memory, for a time and up to a number; a session that is not here any more costs its client a whole handshake.
 */

/** The oldest goes first. */
const keptSessions = 1000;
/** Bytes; a client with a certificate beyond all measure is not remembered. */
const longestSession = 16_384;

interface Entry {
  readonly session: Buffer;
  readonly until: number;
}

export class SessionCache {
  readonly #known = new Map<string, Entry>();
  readonly #clock: { monotonic(): number };
  readonly #lifetime: number;

  /** @param lifetime seconds */
  constructor(clock: { monotonic(): number }, lifetime: number) {
    this.#clock = clock;
    this.#lifetime = lifetime;
  }

  recall(id: Buffer): Buffer | undefined {
    const name = nameOf(id);
    const found = this.#known.get(name);
    if (found === undefined || found.until > this.#clock.monotonic()) return found?.session;
    this.#known.delete(name);
    return undefined;
  }

  save(id: Buffer, session: Buffer): void {
    if (session.length > longestSession) return;
    const name = nameOf(id);
    this.#known.delete(name);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size < keptSessions) break;
      this.#known.delete(oldest);
    }
    this.#known.set(name, { session, until: this.#clock.monotonic() + this.#lifetime * 1000 });
  }
}

const nameOf = (id: Buffer): string => id.toString('latin1');
