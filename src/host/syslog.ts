/**
 * The road to the system's log: datagrams to its socket.
 *
 * `send` never waits and never throws. While the log service is slow or away, up to `queueLimit` lines are kept in order;
 * what does not fit is counted, and the count is told once lines flow again. The reconnecting needs the socket file to be
 * reachable, so in a chroot it must exist inside.
 */
import { closeSync, writeSync } from 'node:fs';
import { connectDatagram } from './sockets.ts';

export interface SyslogOptions {
  path?: string;
  queueLimit?: number;
  /** Milliseconds until the next attempt at kept lines. */
  retryDelay?: number;
  /** Text of the line that says how many were lost. */
  lostLine?: (count: number) => Buffer;
  schedule?: (work: () => void, milliseconds: number) => void;
}

export class SyslogSocket {
  readonly #path: string;
  readonly #limit: number;
  readonly #delay: number;
  readonly #lostLine: ((count: number) => Buffer) | undefined;
  readonly #schedule: (work: () => void, milliseconds: number) => void;
  #fd = -1;
  #waiting: Buffer[] = [];
  #lost = 0;
  #scheduled = false;

  constructor(options: SyslogOptions = {}) {
    this.#path = options.path ?? '/dev/log';
    this.#limit = options.queueLimit ?? 1000;
    this.#delay = options.retryDelay ?? 200;
    this.#lostLine = options.lostLine;
    this.#schedule = options.schedule ?? ((work, milliseconds) => void setTimeout(work, milliseconds).unref());
  }

  /** Lines that wait, and lines that were lost since the last report. */
  get backlog(): { waiting: number; lost: number } {
    return { waiting: this.#waiting.length, lost: this.#lost };
  }

  /** Connect now (before a chroot, say). False when the log cannot be reached; later sends try again. */
  open(): boolean {
    return this.#fd >= 0 || this.#connect();
  }

  send(line: Buffer): void {
    if (this.#waiting.length === 0 && this.#lost === 0 && this.#write(line)) return;
    if (this.#waiting.length < this.#limit) this.#waiting.push(line);
    else this.#lost++;
    this.#later();
  }

  /** Try what waits, now. True when nothing waits any more. */
  flush(): boolean {
    let sent = 0;
    while (sent < this.#waiting.length && this.#write(this.#waiting[sent]!)) sent++;
    this.#waiting = this.#waiting.slice(sent);
    if (this.#waiting.length > 0) return false;
    if (this.#lost > 0 && this.#lostLine && !this.#write(this.#lostLine(this.#lost))) return false;
    this.#lost = 0;
    return true;
  }

  close(): void {
    this.#drop();
  }

  #later(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => {
      this.#scheduled = false;
      if (!this.flush()) this.#later();
    }, this.#delay);
  }

  #connect(): boolean {
    try {
      this.#fd = connectDatagram(this.#path);
      return true;
    } catch {
      return false;
    }
  }

  #drop(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  /** One line out, reconnecting once when the service was restarted. */
  #write(line: Buffer): boolean {
    for (let attempt = 0; attempt < 2; attempt++) {
      if (!this.open()) return false;
      try {
        writeSync(this.#fd, line);
        return true;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EAGAIN' || code === 'ENOBUFS') return false;
        if (code === 'EMSGSIZE') return this.#shorten(line);
        this.#drop();
      }
    }
    return false;
  }

  /** A line too long for a datagram is cut rather than lost. */
  #shorten(line: Buffer): boolean {
    return line.length <= 1024 || this.#write(line.subarray(0, line.length >> 1));
  }
}
