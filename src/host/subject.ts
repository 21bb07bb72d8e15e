/**
 * The text that patterns are matched against, laid once where C can read it: one copy per look-up, however many rules a table has.
 *
 * The bytes stay valid until the next `load`. A NUL follows the text; NULs inside are data.
 */
import { addressOf, stableBuffer } from './libc.ts';

export class Subject {
  #bytes = stableBuffer(4096);
  /** Address of the first byte. Addresses of processes fit in a number (47 bits). */
  address = Number(addressOf(this.#bytes));
  length = 0;

  load(text: string): void {
    if (text.length >= this.#bytes.length) {
      this.#bytes = stableBuffer(text.length * 2);
      this.address = Number(addressOf(this.#bytes));
    }
    this.#bytes.write(text, 0, 'latin1');
    this.#bytes[text.length] = 0;
    this.length = text.length;
  }
}
