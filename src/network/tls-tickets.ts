/**
 * Keys of session tickets (RFC 5077) that all processes of a mail system share: one to issue with, and the one before it, whose tickets
 * are still taken. They come from tlsmgr(8); without them no tickets are issued and sessions are simply begun anew.
 */
import { randomBytes } from 'node:crypto';

export interface TicketKey {
  /** 16 bytes; a ticket names its key by it. */
  readonly name: Buffer;
  /** 32 bytes. Node encrypts tickets by AES-128: the first half. */
  readonly bits: Buffer;
  readonly hmac: Buffer;
  /** Seconds since 1970 after which nothing more is issued with it. */
  readonly expires: number;
}

const nameLength = 16;
const cipherKeyLength = 16;

/** What Node's ticket callback answers: 0 no such key, 1 good; then HMAC key, AES key, and for a new ticket its name and IV. All must be there. */
type TicketAnswer = readonly [status: number, hmac: Buffer, key: Buffer, name: Buffer, iv: Buffer];
type TicketCallback = (name: Buffer, iv: Buffer, issues: boolean) => TicketAnswer;
/** Part of node:tls that its own tests use and its manual does not name. */
interface NativeContext { enableTicketKeyCallback?: () => void; onticketkeycallback?: TicketCallback }

export class TicketKeys {
  /** A client has shown a ticket of a key that is not here: another process may have issued it. */
  unknown: ((name: Buffer) => void) | undefined;
  #current: TicketKey | undefined;
  #former: TicketKey | undefined;

  /** Another key: of the two that expire last one issues, the other is kept for what was issued with it. */
  rotate(key: TicketKey): void {
    if (this.find(key.name) !== undefined) return;
    if (this.#current !== undefined && this.#current.expires >= key.expires) this.#former = key;
    else {
      this.#former = this.#current;
      this.#current = key;
    }
  }

  get current(): TicketKey | undefined {
    return this.#current;
  }

  find(name: Buffer): TicketKey | undefined {
    return [this.#current, this.#former].find((key) => key?.name.equals(name));
  }

  /** Let a server's secure context use these keys, whatever they are at the time. */
  attach(context: object): void {
    const native = context as NativeContext;
    if (typeof native.enableTicketKeyCallback !== 'function') return;
    native.onticketkeycallback = (name, iv, issues) => this.#answer(name, iv, issues);
    native.enableTicketKeyCallback();
  }

  #answer(name: Buffer, iv: Buffer, issues: boolean): TicketAnswer {
    const key = issues ? this.#current : this.find(name);
    if (key === undefined) {
      if (!issues) this.unknown?.(name);
      return [0, randomBytes(32), randomBytes(cipherKeyLength), name, iv];
    }
    return [1, key.hmac, key.bits.subarray(0, cipherKeyLength), key.name.subarray(0, nameLength), issues ? randomBytes(16) : iv];
  }
}
