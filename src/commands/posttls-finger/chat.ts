/** SMTP as posttls-finger(1) speaks it: one command, one reply, each line of both on the record. The stream may become TLS in between. */
import type { Duplex } from 'node:stream';
import type { Ticker } from '../../network/ticker.ts';
import { ReplyReader, type Reply } from '../../protocol/smtp-client/reply.ts';

export type Answer = Reply | 'lost connection' | 'timeout';

export class Chat {
  readonly #ticker: Ticker;
  readonly #record: (line: string) => void;
  readonly #replies: ReplyReader;
  #stream: Duplex | undefined;
  #ended = false;
  #heard: () => void = () => {};

  /** @param limit line_length_limit */
  constructor(ticker: Ticker, limit: number, record: (line: string) => void, warn: (text: string) => void) {
    this.#ticker = ticker;
    this.#record = record;
    this.#replies = new ReplyReader({ limit, utf8: true, warn, garbage: () => {} });
  }

  /** Speak over this stream from now on. What came before, and was not asked for, is forgotten: RFC 3207 section 4.2. */
  attach(stream: Duplex): void {
    this.#replies.forget();
    this.#stream = stream;
    this.#ended = false;
    stream.on('data', this.#data).on('end', this.#end).on('close', this.#end).resume();
  }

  /** The stream goes to someone else. */
  detach(): void {
    this.#stream?.pause().off('data', this.#data).off('end', this.#end).off('close', this.#end);
    this.#stream = undefined;
  }

  say(command: string, recorded: boolean): void {
    if (recorded) this.#record(`> ${command}`);
    if (!this.#ended) this.#stream?.write(Buffer.from(`${command}\r\n`, 'latin1'));
  }

  /** The next reply, within so many seconds. */
  async hear(seconds: number, recorded: boolean): Promise<Answer> {
    const answer = await this.#next(seconds * 1000);
    if (typeof answer !== 'string' && recorded) for (const line of answer.text.split('\n')) this.#record(`< ${line}`);
    return answer;
  }

  #next(milliseconds: number): Promise<Answer> {
    return new Promise((resolve) => {
      const done = (answer: Answer): void => {
        timer.cancel();
        this.#heard = () => {};
        resolve(answer);
      };
      const timer = this.#ticker.after(milliseconds, () => done('timeout'));
      this.#heard = () => {
        const reply = this.#replies.take();
        if (reply !== undefined) done(reply);
        else if (this.#ended || this.#replies.overrun) done('lost connection');
      };
      this.#heard();
    });
  }

  readonly #data = (bytes: Buffer): void => {
    this.#replies.receive(bytes);
    this.#heard();
  };
  readonly #end = (): void => {
    this.#ended = true;
    this.#heard();
  };
}

/** Without the codes, lines joined by LF. */
export function textOf(reply: Reply): string {
  return reply.text.split('\n').map((line) => line.replace(/^[0-9]*-?[\t-\r ]*/, '')).join('\n');
}
