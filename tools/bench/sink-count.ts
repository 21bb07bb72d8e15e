/**
 * Reads the running counter that `smtp-sink -c` writes: "sess=3 quit=2 mesg=17", over and over, each with a carriage return.
 *
 * Chunks may be cut anywhere; a number counts once the byte behind it has been seen.
 */
const counter = /mesg=([0-9]+)[^0-9]/g;
/** Longer than any counter line's last field. */
const tailLength = 40;

export class SinkCount {
  /** Messages so far. */
  messages = 0;
  #tail = '';

  feed(chunk: string): void {
    const text = this.#tail + chunk;
    for (const [, digits] of text.matchAll(counter)) this.messages = Number(digits);
    this.#tail = text.slice(-tailLength);
  }
}
