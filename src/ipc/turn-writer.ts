/**
 * What is said to another process in one turn of the event loop leaves in one write, behind the log lines of that turn: they must not be
 * overtaken by the lines of whoever hears us. Text is a byte string. A stream that takes nothing any more is no error here.
 */
import type net from 'node:net';
import { writeNow } from '../host/quick-stream.ts';
import { leavesThisTurn, type Leaving } from '../host/turn.ts';
import { flushLogs } from '../log/turn.ts';

export class TurnWriter implements Leaving {
  readonly #socket: net.Socket;
  #text = '';

  constructor(socket: net.Socket) {
    this.#socket = socket;
  }

  say(text: string): void {
    if (this.#text === '') leavesThisTurn(this);
    this.#text += text;
  }

  flush(): void {
    const text = this.#text;
    this.#text = '';
    if (text === '') return;
    flushLogs();
    if (this.#socket.writable) writeNow(this.#socket, text);
  }
}
