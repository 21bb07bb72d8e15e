/**
 * Many networks, and which of them comes first among those that hold an address: one look per prefix length, however many there are.
 *
 * An IPv4 network is found by its number, an IPv6 network by its bytes. Nothing throws.
 */
import type { CidrPattern } from '../text/cidr.ts';

interface First<T> {
  readonly order: number;
  readonly value: T;
}

export class NetworkIndex<T> {
  readonly #four = new Map<number, Map<number, First<T>>>();
  readonly #six = new Map<number, Map<string, First<T>>>();
  #count = 0;

  /** Of equal networks the first counts. */
  add({ network, bits }: CidrPattern, value: T): void {
    const first = { order: this.#count++, value };
    if (network.length === 4) put(this.#four, bits, fourBytes(network), first);
    else put(this.#six, bits, String.fromCharCode(...network), first);
  }

  /** The value that was added first, of all networks that hold this address. */
  find(address: Uint8Array): T | undefined {
    return (address.length === 4 ? this.#findFour(fourBytes(address)) : this.#findSix(address))?.value;
  }

  #findFour(address: number): First<T> | undefined {
    let best: First<T> | undefined;
    for (const [bits, networks] of this.#four) {
      const found = networks.get(bits === 0 ? 0 : (address & (-1 << (32 - bits))) >>> 0);
      if (found && (!best || found.order < best.order)) best = found;
    }
    return best;
  }

  #findSix(address: Uint8Array): First<T> | undefined {
    let best: First<T> | undefined;
    for (const [bits, networks] of this.#six) {
      const found = networks.get(String.fromCharCode(...address.map((byte, at) => byte & maskByte(bits, at))));
      if (found && (!best || found.order < best.order)) best = found;
    }
    return best;
  }
}

function put<K, V>(byBits: Map<number, Map<K, V>>, bits: number, key: K, value: V): void {
  let networks = byBits.get(bits);
  if (!networks) byBits.set(bits, (networks = new Map()));
  if (!networks.has(key)) networks.set(key, value);
}

function fourBytes(bytes: Uint8Array): number {
  return ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0;
}

function maskByte(bits: number, at: number): number {
  const kept = Math.min(Math.max(bits - 8 * at, 0), 8);
  return (0xff00 >> kept) & 0xff;
}
