/**
 * The running counter of a test tool on standard output: text and a carriage return, over and over, written once per turn of its loop.
 *
 * Of a reader that is slower than we are nothing is kept but the latest text.
 */
import { writeSync } from 'node:fs';

const usual = 64 << 10;

export class Counter {
  #text = '';
  #last = '';

  show(text: string): void {
    this.#last = `${text}\r`;
    this.#text = this.#text.length > usual ? this.#last : this.#text + this.#last;
  }

  flush(): void {
    if (this.#text === '') return;
    try {
      const written = writeSync(1, this.#text, null, 'latin1');
      this.#text = written < this.#text.length ? this.#text.slice(written) : '';
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      this.#text = this.#last;
    }
  }

  /** The last word, and the end of the line. */
  finish(): void {
    this.#text += '\n';
    this.flush();
  }
}
