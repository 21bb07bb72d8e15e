/**
 * The two ticket keys of a mail system: one to issue with for half the life of a session, and its predecessor, whose tickets are taken
 * for as long again. Pure but for the luck that is handed in.
 */
import type { TicketKeyRecord } from '../../ipc/tlsmgr.ts';

export class TicketKeyPair {
  readonly #random: (size: number) => Buffer;
  #keys: readonly TicketKeyRecord[] = [];

  constructor(random: (size: number) => Buffer) {
    this.#random = random;
  }

  /** The key to issue with at `now`, made when there is none. `lifetime`: of a session; all in seconds. */
  issuing(now: number, lifetime: number): TicketKeyRecord {
    const known = this.#keys[0];
    if (known !== undefined && known.expires > now) return known;
    const made = { name: this.#random(16), bits: this.#random(32), hmac: this.#random(32), expires: now + Math.floor(lifetime / 2) - 1 };
    this.#keys = [made, ...this.#keys.slice(0, 1)];
    return made;
  }

  /** The key of an issued ticket; undefined: there is none any more. */
  find(name: Buffer, now: number, lifetime: number): TicketKeyRecord | undefined {
    return this.#keys.find((key) => key.name.equals(name) && key.expires + Math.floor(lifetime / 2) > now);
  }
}
