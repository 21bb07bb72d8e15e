/**
 * Logins by a Dovecot authentication server (smtpd_sasl_type = dovecot).
 *
 * One kept connection carries the logins of all sessions. It is made when the first session needs it, and anew when it is lost; a server
 * that does not answer in time gets no more logins on that connection. Trouble is a temporary failure for the client that waits, never
 * more: nobody is logged in but by the server's own OK for the number of that very login.
 */
import type net from 'node:net';
import { isBase64Text, type SaslAnswer } from '../../protocol/sasl/answer.ts';
import { authRequest, cancellation, continuation, DovecotReader, greeting, type DovecotStep, type Mechanism } from '../../protocol/sasl/dovecot.ts';
import { allowsMechanism } from '../../protocol/sasl/security-options.ts';
import type { Connected } from '../../network/connect.ts';
import type { Clock, Timer } from '../../server/clock.ts';
import { printable, sameIgnoringCase } from '../../text/ascii.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { lostConnection, SaslTrouble, type SaslExchange, type SaslServer, type SaslSession } from './sasl-server.ts';

export interface DovecotOptions {
  /** smtpd_sasl_path, for the log. */
  readonly name: string;
  readonly service: string;
  /** Bits of security-options.ts: in plain text, and encrypted. */
  readonly plainOptions: number;
  readonly tlsOptions: number;
  readonly clock: Clock;
  connect(): Promise<Connected>;
  warn(text: string): void;
}

/** Milliseconds for the handshake, and for each answer: what Postfix gives them. */
export const patience = 10_000;
/** Unsigned, and never 0. */
const largestId = 2 ** 31 - 1;

const lost = { kind: 'unavailable', reason: lostConnection } as const satisfies SaslAnswer;
/** As far as the client is concerned that is the same. */
const silent = { ...lost } as const satisfies SaslAnswer;
const failed = (reason: string): SaslAnswer => ({ kind: 'failed', reason });

interface Waiting { hear(answer: SaslAnswer): void }

/** A connection whose handshake is done. */
class DovecotLine {
  readonly mechanisms: readonly Mechanism[];
  readonly #socket: net.Socket;
  readonly #reader: DovecotReader;
  readonly #clock: Clock;
  readonly #cancels: boolean;
  readonly #waiting = new Map<number, Waiting>();
  /** Answers so far: one login may have to wait (for a penalty) where others do not. */
  #answers = 0;
  /** No new logins: the server has said nothing to anybody for too long, or is gone. */
  isRetired = false;

  constructor(socket: net.Socket, reader: DovecotReader, ready: Extract<DovecotStep, { kind: 'ready' }>, options: DovecotOptions) {
    this.mechanisms = ready.mechanisms;
    this.#socket = socket;
    this.#reader = reader;
    this.#clock = options.clock;
    this.#cancels = ready.cancels;
    const over = (): void => this.close();
    socket.on('data', (bytes: Buffer) => {
      reader.receive(bytes.toString('latin1'));
      this.#steps(options.warn);
    });
    socket.on('end', over).on('close', over).on('error', over);
    this.#steps(options.warn);
  }

  #steps(warn: (text: string) => void): void {
    for (let step = this.#reader.next(); step !== undefined; step = this.#reader.next()) {
      if (step.kind === 'answer') {
        this.#answers++;
        this.#waiting.get(step.id)?.hear(step.answer);
      } else if (step.kind === 'trouble') {
        warn(`SASL: ${step.text}`);
        this.close();
      }
    }
  }

  /** One request and its answer. */
  ask(id: number, request: string): Promise<SaslAnswer> {
    return new Promise((resolve) => {
      const before = this.#answers;
      const timer: Timer = this.#clock.after(patience, () => {
        if (this.#answers === before) this.isRetired = true;
        hear(silent);
      });
      const hear = (answer: SaslAnswer): void => {
        timer.cancel();
        this.#waiting.delete(id);
        resolve(answer);
        if (this.isRetired && this.#waiting.size === 0) this.close();
      };
      this.#waiting.set(id, { hear });
      if (this.#socket.writable) this.#socket.write(request, 'latin1');
      else this.close();
    });
  }

  cancel(id: number): void {
    this.#waiting.get(id)?.hear(lost);
    if (this.#cancels && this.#socket.writable) this.#socket.write(cancellation(id), 'latin1');
  }

  /** Something has come back since the handshake. */
  get hasAnswered(): boolean {
    return this.#answers > 0;
  }

  get isUsable(): boolean {
    return !this.isRetired && this.#socket.writable;
  }

  close(): void {
    this.isRetired = true;
    this.#socket.destroy();
    for (const waiting of [...this.#waiting.values()]) waiting.hear(lost);
  }
}

export class DovecotServer implements SaslServer {
  readonly #options: DovecotOptions;
  #line: DovecotLine | undefined;
  #connecting: Promise<DovecotLine> | undefined;
  /** What a server that is away now has offered. */
  #lastKnown: readonly Mechanism[] | undefined;
  #lastId = 0;

  constructor(options: DovecotOptions) {
    this.#options = options;
  }

  /**
   * Of a server that is away: those of before, at once, since what a client makes of a server without AUTH cannot be taken back, and mail
   * from those who do not want to log in shall not wait.
   */
  mechanisms(isEncrypted: boolean): MaybePromise<readonly string[]> {
    const line = this.line();
    if (!isPending(line)) return this.allowed(line.mechanisms, isEncrypted);
    if (this.#lastKnown === undefined) return line.then(({ mechanisms }) => this.allowed(mechanisms, isEncrypted));
    // The log has been told.
    line.catch(() => undefined);
    return this.allowed(this.#lastKnown, isEncrypted);
  }

  begin(session: SaslSession): SaslExchange {
    return new DovecotExchange(this, session, this.#options);
  }

  unknownMechanism(name: string): string {
    return `Invalid authentication mechanism: '${printable(name)}'`;
  }

  close(): void {
    this.#line?.close();
  }

  // ---- for exchanges

  nextId(): number {
    this.#lastId = this.#lastId >= largestId ? 1 : this.#lastId + 1;
    return this.#lastId;
  }

  allowed(mechanisms: readonly Mechanism[], isEncrypted: boolean): string[] {
    const options = isEncrypted ? this.#options.tlsOptions : this.#options.plainOptions;
    return mechanisms.filter(({ properties }) => allowsMechanism(options, properties)).map(({ name }) => name);
  }

  /** The kept connection, or a new one. Rejects with SaslTrouble when there is none; the log knows why. */
  line(): MaybePromise<DovecotLine> {
    if (this.#line?.isUsable) return this.#line;
    this.#connecting ??= this.#connect().finally(() => { this.#connecting = undefined; });
    return this.#connecting;
  }

  async #connect(): Promise<DovecotLine> {
    const { name, warn } = this.#options;
    const connected = await this.#options.connect();
    if ('trouble' in connected) {
      warn(`SASL: Connect to Dovecot auth socket '${name}' failed: ${connected.trouble.text}`);
      throw new SaslTrouble('no SASL authentication mechanisms');
    }
    const line = await this.#shakeHands(connected.socket);
    if (typeof line === 'string') {
      connected.socket.destroy();
      warn(`SASL: ${line}`);
      throw new SaslTrouble('no SASL authentication mechanisms');
    }
    this.#lastKnown = line.mechanisms;
    return (this.#line = line);
  }

  /** The connection in use, or what is wrong with it. */
  #shakeHands(socket: net.Socket): Promise<DovecotLine | string> {
    const { name, clock } = this.#options;
    const reader = new DovecotReader();
    return new Promise((resolve) => {
      const timer = clock.after(patience, () => done(`Dovecot auth socket '${name}': no handshake in time`));
      const over = (): void => done(`Dovecot auth socket '${name}': connection lost in the handshake`);
      const hear = (bytes: Buffer): void => {
        reader.receive(bytes.toString('latin1'));
        const step = reader.next();
        if (step?.kind === 'trouble') done(step.text);
        else if (step?.kind === 'ready') done(step);
      };
      const done = (outcome: string | Extract<DovecotStep, { kind: 'ready' }>): void => {
        timer.cancel();
        socket.off('data', hear).off('end', over).off('close', over).off('error', over);
        resolve(typeof outcome === 'string' ? outcome : new DovecotLine(socket, reader, outcome, this.#options));
      };
      socket.on('data', hear).on('end', over).on('close', over).on('error', over);
      socket.unref();
      socket.write(greeting(process.pid), 'latin1');
      socket.resume();
    });
  }
}

class DovecotExchange implements SaslExchange {
  readonly #server: DovecotServer;
  readonly #session: SaslSession;
  readonly #options: DovecotOptions;
  #id = 0;
  #line: DovecotLine | undefined;
  #isEnded = false;

  constructor(server: DovecotServer, session: SaslSession, options: DovecotOptions) {
    this.#server = server;
    this.#session = session;
    this.#options = options;
  }

  async first(mechanism: string, initial: string | undefined): Promise<SaslAnswer> {
    if (initial !== undefined && !isBase64Text(initial)) return failed('Invalid base64 data in initial response');
    for (let isFirst = true; ; isFirst = false) {
      const found = await this.#connected();
      if (found === undefined) return lost;
      if (!this.#server.allowed(found.mechanisms, this.#session.isEncrypted).some((name) => sameIgnoringCase(name, mechanism)))
        return failed(this.#server.unknownMechanism(mechanism));
      const wasKept = found.hasAnswered;
      const answer = await this.#ask(found, mechanism, initial);
      // A kept connection that turns out to be dead says nothing about the server.
      if (answer !== lost || !wasKept || !isFirst || this.#isEnded) return answer;
    }
  }

  async #connected(): Promise<DovecotLine | undefined> {
    try {
      return await this.#server.line();
    } catch (error) {
      if (error instanceof SaslTrouble) return undefined;
      throw error;
    }
  }

  #ask(line: DovecotLine, mechanism: string, initial: string | undefined): MaybePromise<SaslAnswer> {
    if (this.#isEnded) return lost;
    const { clientAddress, serverAddress, isEncrypted } = this.#session;
    this.#line = line;
    this.#id = this.#server.nextId();
    const request = authRequest({ id: this.#id, mechanism, service: this.#options.service, serverAddress, clientAddress, isEncrypted, initialResponse: initial });
    return chain(line.ask(this.#id, request), (answer) => this.#heard(answer));
  }

  next(response: string): MaybePromise<SaslAnswer> {
    if (!isBase64Text(response)) {
      this.end();
      return failed('Invalid base64 data in continued response');
    }
    if (this.#line === undefined) return lost;
    return chain(this.#line.ask(this.#id, continuation(this.#id, response)), (answer) => this.#heard(answer));
  }

  #heard(answer: SaslAnswer): SaslAnswer {
    if (answer === silent) this.#line?.cancel(this.#id);
    if (answer.kind !== 'more') this.#line = undefined;
    return answer;
  }

  end(): void {
    this.#isEnded = true;
    this.#line?.cancel(this.#id);
    this.#line = undefined;
  }
}
