/**
 * Breaking forwarding loops: the addresses a message has been delivered to before, from its Delivered-To: headers.
 *
 * Addresses are compared in external form without regard to case. At most 1000 headers are looked at, and of a long line only
 * its beginning.
 */
import { quote822Local } from '../message/address.ts';
import { foldCase } from '../text/utf8.ts';

const headerLimit = 1000;
const lineLimit = 4096;

export class DeliveredTo {
  readonly #addresses = new Set<string>();

  /** Reads the header of a message, no further than that. */
  static async of(content: AsyncIterable<Buffer>): Promise<DeliveredTo> {
    const found = new DeliveredTo();
    for await (const line of headerLines(content)) {
      if (line.startsWith(' ') || line.startsWith('\t')) continue;
      if (!/^[!-9;-~]+[ \t]*:/.test(line)) break;
      const value = /^delivered-to[ \t]*:[ \t\n\v\f\r]*(.*)/is.exec(line)?.[1];
      if (value !== undefined) found.#addresses.add(foldCase(value));
      if (found.#addresses.size >= headerLimit) break;
    }
    return found;
  }

  /** Has the message passed this address (internal form) already? */
  has(address: string): boolean {
    return this.#addresses.has(foldCase(quote822Local(address)));
  }
}

async function* headerLines(content: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of content) {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = lines.pop()!.slice(0, lineLimit);
    for (const line of lines) yield line.slice(0, lineLimit);
  }
  if (rest !== '') yield rest;
}
