/**
 * `sendmail -t`: the recipients that a message names in its own header, while it passes by unchanged.
 *
 * When the header has a Resent- block (RFC 5322 section 3.6.6), the recipients of that block are meant, and no others. Nested messages
 * and parts do not count. The header must not be longer than header_size_limit.
 */
import type { HeaderClass } from '../message/header.ts';
import { addressesIn } from '../message/address-tokens.ts';
import { MimeMachine, mimeProblemText } from '../message/mime.ts';
import type { TakeLine } from './message-lines.ts';

export class HeaderRecipients {
  readonly #machine: MimeMachine;
  readonly #plain: string[] = [];
  readonly #resent: string[] = [];
  #isResent = false;
  #trouble: string | undefined;

  /**
   * @param take gets the message, header lines cut to at most `lineLimit` bytes
   * @param headerLimit header_size_limit
   */
  constructor(take: TakeLine, lineLimit: number, headerLimit: number) {
    this.#machine = new MimeMachine({
      header: (place, kind, field) => {
        if (place === 'primary' && kind !== undefined) this.#collect(kind, field);
        for (const line of field.split('\n')) cut(Buffer.from(line, 'latin1'), lineLimit, take);
      },
      body: (text, last) => take(text, last),
      problem: (kind) => { this.#trouble ??= mimeProblemText[kind]; },
    }, { plain: true, headerLimit, report: new Set(['long-header']) });
  }

  /** Why recipients cannot be had, in Postfix's words. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  get recipients(): readonly string[] {
    return this.#isResent ? this.#resent : this.#plain;
  }

  line(text: Buffer, last: boolean): void {
    this.#machine.line(text, last);
  }

  end(): void {
    this.#machine.end();
  }

  #collect(kind: HeaderClass, field: string): void {
    if (!kind.recipient || !kind.extract || (this.#isResent && !kind.resent)) return;
    if (kind.resent) this.#isResent = true;
    (kind.resent ? this.#resent : this.#plain).push(...addressesIn(field.slice(field.indexOf(':') + 1)));
  }
}

function cut(line: Buffer, limit: number, take: TakeLine): void {
  let at = 0;
  for (; line.length - at > limit; at += limit) take(line.subarray(at, at + limit), false);
  take(line.subarray(at), true);
}
