/** TLS sessions that servers gave us to come back with, and what we thought of their certificates: neither is there on the second visit. */
import type { X509Certificate } from 'node:crypto';
import { logs } from './levels.ts';
import type { Verdict } from '../../network/tls-verdict.ts';

export interface Known {
  readonly chain: readonly X509Certificate[];
  readonly verdict: Verdict;
}

export class SessionMemory {
  readonly known = new Map<string, Known>();
  /** Sessions that were kept, and that were found again. */
  saved = 0;
  hits = 0;
  readonly #sessions = new Map<string, Buffer>();
  readonly #enabled: boolean;
  readonly #voice: { info(text: string): void };

  constructor(enabled: boolean, voice: { info(text: string): void }) {
    this.#enabled = enabled;
    this.#voice = voice;
  }

  recall(id: string, log: number): Buffer | undefined {
    if (!this.#enabled) return undefined;
    const told = (log & logs.cache) !== 0;
    if (told) this.#voice.info(`looking for session ${id} in memory cache`);
    const session = this.#sessions.get(id);
    if (session === undefined) return undefined;
    this.hits++;
    if (told) this.#voice.info(`reloaded session ${id} from memory cache`);
    return session;
  }

  save(id: string, session: Buffer, log: number): void {
    if (!this.#enabled) return;
    const isNew = !this.#sessions.has(id);
    this.#sessions.set(id, session);
    if (!isNew) return;
    this.saved++;
    if ((log & logs.cache) !== 0) this.#voice.info(`save session ${id} to memory cache`);
  }
}
