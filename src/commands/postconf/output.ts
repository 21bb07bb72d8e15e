// Where a command writes, and how postconf words its complaints. Text is a byte string.
// A Fatal that is thrown ends the command with status 1 after its line was written.

import { printable } from '../../text/ascii.ts';

export interface Writer { write(chunk: Uint8Array): unknown }
export interface Output { readonly stdout: Writer; readonly stderr: Writer }

export class Fatal extends Error {}

/** The same, but everything has been said already. */
export class Ended extends Error {}

export class Console {
  readonly #out: Output;
  readonly #program: string;

  constructor(out: Output, program: string) {
    this.#out = out;
    this.#program = program;
  }

  print(text: string): void {
    this.#out.stdout.write(Buffer.from(text, 'latin1'));
  }

  readonly warn = (text: string): void => this.#say(`warning: ${text}`);

  fatal(text: string): void {
    this.#say(`fatal: ${text}`);
  }

  /** As it is. */
  complain(text: string): void {
    this.#say(text);
  }

  #say(text: string): void {
    this.#out.stderr.write(Buffer.from(`${this.#program}: ${printable(text, '?', true)}\n`, 'latin1'));
  }
}
