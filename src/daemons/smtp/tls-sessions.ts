/**
 * TLS sessions that servers gave us to come back with, and what we thought of their certificates: a resumed session shows none.
 *
 * In memory, for smtp_tls_session_cache_timeout. The name of a session is made of everything that the verdict hangs on.
 */
import type { X509Certificate } from 'node:crypto';
import type { Verdict } from '../../network/tls-verdict.ts';

export interface KnownSession {
  readonly session: Buffer;
  readonly chain: readonly X509Certificate[];
  readonly verdict: Verdict;
}

/** The oldest goes first. */
const keptSessions = 1000;

export class TlsSessions {
  readonly #known = new Map<string, KnownSession & { readonly until: number }>();
  readonly #clock: { monotonic(): number };
  readonly #lifetime: number;

  /** @param lifetime seconds; 0: sessions are not kept */
  constructor(clock: { monotonic(): number }, lifetime: number) {
    this.#clock = clock;
    this.#lifetime = lifetime;
  }

  get isEnabled(): boolean {
    return this.#lifetime > 0;
  }

  recall(name: string): KnownSession | undefined {
    const found = this.#known.get(name);
    if (found === undefined || found.until > this.#clock.monotonic()) return found;
    this.#known.delete(name);
    return undefined;
  }

  save(name: string, known: KnownSession): void {
    if (!this.isEnabled) return;
    this.#known.delete(name);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size < keptSessions) break;
      this.#known.delete(oldest);
    }
    this.#known.set(name, { ...known, until: this.#clock.monotonic() + this.#lifetime * 1000 });
  }

  forget(name: string): void {
    this.#known.delete(name);
  }
}
