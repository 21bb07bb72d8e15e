/**
 * The kept connections to one policy server. Each carries one question at a time; several go at once over several connections, and what
 * comes when all are taken waits its turn.
 *
 * A connection that turns out to be dead when it is used again says nothing about the server: the question is put once more, on a new
 * one, and does not count as a try. Never rejects. Bounded: connections, tries, and the time for each answer.
 */
import type net from 'node:net';
import { PolicyReader, type PolicyAnswer } from '../../../protocol/policy/policy.ts';
import type { Connected } from '../../../network/connect.ts';
import type { Clock, Timer } from '../../../server/clock.ts';

/** Seconds, as in main.cf. */
export interface PolicyLimits {
  readonly timeout: number;
  readonly maxIdle: number;
  readonly maxTtl: number;
  /** Questions for one connection; 0: no limit. */
  readonly requestLimit: number;
  readonly tryLimit: number;
  readonly retryDelay: number;
  readonly connections: number;
}

export interface PolicyPoolOptions {
  /** For the log: host:port or path. */
  readonly name: string;
  readonly limits: PolicyLimits;
  readonly clock: Clock;
  connect(): Promise<Connected>;
  warn(text: string): void;
}

interface Line {
  readonly socket: net.Socket;
  readonly openedAt: number;
  requests: number;
  idle: Timer | undefined;
  isDead: boolean;
  /** The question at hand. */
  hear: ((answer: PolicyAnswer) => void) | undefined;
  reader: PolicyReader;
}

type Tried = { readonly action: string } | { readonly trouble: string; readonly wasKept: boolean };

export class PolicyPool {
  readonly #options: PolicyPoolOptions;
  readonly #idle: Line[] = [];
  readonly #waiting: (() => void)[] = [];
  #open = 0;

  constructor(options: PolicyPoolOptions) {
    this.#options = options;
  }

  /** The action; undefined after the last try. */
  async ask(request: string): Promise<string | undefined> {
    const { name, limits, warn } = this.#options;
    for (let tries = 0; ;) {
      const outcome = await this.#try(request);
      if ('action' in outcome) return outcome.action;
      if (outcome.wasKept) continue;
      warn(`problem talking to server ${name}: ${outcome.trouble}`);
      if (++tries >= limits.tryLimit) return undefined;
      await this.#pause(limits.retryDelay);
    }
  }

  /** Closes what is idle. */
  close(): void {
    for (const line of this.#idle.splice(0)) this.#drop(line);
  }

  async #try(request: string): Promise<Tried> {
    let place = this.#place();
    while (place === undefined) {
      await new Promise<void>((resolve) => { this.#waiting.push(resolve); });
      place = this.#place();
    }
    if (place !== 'new') return this.#over(place, request, true);
    const connected = await this.#options.connect();
    if ('socket' in connected) return this.#over(this.#newLine(connected.socket), request, false);
    this.#open--;
    this.#next();
    this.#options.warn(`connect to ${this.#options.name}: ${connected.trouble.text}`);
    return { trouble: connected.trouble.text, wasKept: false };
  }

  /** A kept connection, or leave to make one; undefined: all are taken. */
  #place(): Line | 'new' | undefined {
    const kept = this.#idle.pop();
    if (kept !== undefined) return kept;
    if (this.#open >= this.#options.limits.connections) return undefined;
    this.#open++;
    return 'new';
  }

  #next(): void {
    this.#waiting.shift()?.();
  }

  #newLine(socket: net.Socket): Line {
    const line: Line = { socket, openedAt: this.#options.clock.monotonic(), requests: 0, idle: undefined, isDead: false, hear: undefined, reader: new PolicyReader() };
    const over = (trouble: string) => (): void => {
      line.hear?.({ trouble });
      if (line.hear === undefined) this.#forget(line);
    };
    socket.on('data', (chunk: Buffer) => {
      const answer = line.hear === undefined ? { trouble: 'answer without a question' } : line.reader.receive(chunk.toString('latin1'));
      if (answer === undefined) return;
      if (line.hear === undefined) this.#forget(line);
      else line.hear(answer);
    });
    socket.on('end', over('Connection reset by peer')).on('close', over('Connection reset by peer')).on('error', over('Connection reset by peer'));
    socket.resume();
    return line;
  }

  #over(line: Line, request: string, wasKept: boolean): Promise<Tried> {
    const { clock, limits } = this.#options;
    line.idle?.cancel();
    line.requests++;
    line.reader = new PolicyReader();
    return new Promise((resolve) => {
      const timer = clock.after(limits.timeout * 1000, () => line.hear?.({ trouble: 'Connection timed out' }));
      line.hear = (answer) => {
        line.hear = undefined;
        timer.cancel();
        const isGone = 'trouble' in answer && answer.trouble === 'Connection reset by peer';
        if ('trouble' in answer) this.#drop(line);
        else this.#keep(line);
        this.#next();
        resolve('action' in answer ? answer : { trouble: answer.trouble, wasKept: wasKept && isGone });
      };
      if (line.socket.destroyed) line.hear({ trouble: 'Connection reset by peer' });
      else line.socket.write(Buffer.from(request, 'latin1'));
    });
  }

  #keep(line: Line): void {
    const { clock, limits } = this.#options;
    const age = (clock.monotonic() - line.openedAt) / 1000;
    if ((limits.requestLimit > 0 && line.requests >= limits.requestLimit) || age >= limits.maxTtl) return this.#drop(line);
    line.idle = clock.after(Math.min(limits.maxIdle, limits.maxTtl - age) * 1000, () => this.#forget(line), true);
    this.#idle.push(line);
  }

  /** A line that nobody uses has ended. */
  #forget(line: Line): void {
    const at = this.#idle.indexOf(line);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#drop(line);
  }

  #drop(line: Line): void {
    line.idle?.cancel();
    if (line.isDead) return;
    line.isDead = true;
    this.#open--;
    line.socket.destroy();
  }

  #pause(seconds: number): Promise<void> {
    return new Promise((resolve) => { this.#options.clock.after(seconds * 1000, resolve); });
  }
}
