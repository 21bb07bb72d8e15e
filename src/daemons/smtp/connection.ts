/**
 * One connection to one server: the client machine on a socket, used for one message after another.
 *
 * handshake() and exchange() resolve when the machine is ready for more or gone; they never reject for what a server does. Outcomes
 * go to the Sink one at a time, in order, each awaited before the next.
 */
import tls from 'node:tls';
import type net from 'node:net';
import { Pump } from '../../network/pump.ts';
import type { Ticker } from '../../network/ticker.ts';
import { SmtpClient } from '../../protocol/smtp-client/session.ts';
import type { ClientOptions, ClientStep, Failure, Transaction } from '../../protocol/smtp-client/steps.ts';
import type { Log } from '../../log/log.ts';
import type { MaybePromise } from '../../text/maybe.ts';
import { UnfitContent } from './downgrade.ts';

/** What becomes of the recipients of one message. Numbers are those of the transaction. */
export interface Sink {
  delivered(recipients: readonly number[], status: string, text: string): MaybePromise<void>;
  failed(recipients: readonly number[], failure: Failure): MaybePromise<void>;
}

/** How a message ended: `orderly` in agreement with the server, `broken` not, `stale` before it began. */
export type Ending = 'orderly' | 'broken' | 'stale';

export class Connection {
  readonly options: ClientOptions;
  /** TLS is on: protocol and cipher, as the log has them. */
  secured: string | undefined;
  private readonly machine: SmtpClient;
  private readonly pump: Pump<ClientStep>;
  private readonly ticker: Ticker;
  private log: Log;
  private sink: Sink | undefined;
  private content: AsyncIterable<Buffer> | undefined;
  private failure: Failure | undefined;
  private ending: Ending | undefined;
  private ready = false;
  private gone = false;
  private wake = (): void => {};
  /** Called when the server ends a connection that nobody uses. */
  onGone = (): void => {};

  constructor(socket: net.Socket, options: ClientOptions, ticker: Ticker, log: Log) {
    this.options = options;
    this.log = log;
    this.ticker = ticker;
    this.machine = new SmtpClient(options);
    this.pump = new Pump<ClientStep>({ socket, machine: this.machine, ticker, perform: (step) => this.perform(step) });
    this.pump.closed.then(() => this.leave(), (error: unknown) => {
      this.log.error(`${options.peer.nameAddressPort}: ${(error as Error).stack ?? String(error)}`);
      this.leave();
    });
    socket.resume();
  }

  /** How often it had been used before the message at hand. */
  get reuseCount(): number {
    return Math.max(this.machine.uses - 1, 0);
  }

  /** Can it take a message now? */
  get usable(): boolean {
    return this.ready && !this.gone;
  }

  get offersDsn(): boolean {
    return this.machine.features.dsn;
  }

  get offersEightBit(): boolean {
    return this.machine.features.eightBitMime;
  }

  get offersTls(): boolean {
    return this.machine.features.startTls;
  }

  /** Undefined: ready for mail. */
  async handshake(): Promise<Failure | undefined> {
    await this.pause(() => this.ready || this.failure !== undefined || this.gone);
    return this.failure;
  }

  async exchange(transaction: Transaction, content: AsyncIterable<Buffer>, sink: Sink, log: Log): Promise<Ending> {
    if (this.gone) return 'stale';
    this.log = log;
    this.sink = sink;
    this.content = content;
    this.ready = false;
    this.ending = undefined;
    this.pump.tell(() => this.machine.deliver(transaction));
    // Whether the connection can be used again is known at the same time; a last QUIT is not waited for.
    await this.pause(() => this.ending !== undefined || this.gone);
    return this.ending ?? 'broken';
  }

  /** Take leave of the server, without waiting for it. */
  quit(): void {
    this.ready = false;
    if (!this.gone) this.pump.tell(() => this.machine.quit());
  }

  private async pause(over: () => boolean): Promise<void> {
    while (!over()) await new Promise<void>((resolve) => { this.wake = resolve; });
  }

  private leave(): void {
    this.gone = true;
    this.wake();
    this.onGone();
  }

  private perform(step: Exclude<ClientStep, { kind: 'send' }>): MaybePromise<void> {
    switch (step.kind) {
      case 'log': return this.log[step.severity](step.text);
      case 'start-tls': return this.startTls();
      case 'content': return void this.stream();
      case 'delivered': return this.sink?.delivered(step.recipients, step.status, step.text);
      case 'failed': return this.sink?.failed(step.recipients, step.failure);
      case 'unusable': this.failure = step.failure; break;
      case 'stale': this.ending = 'stale'; break;
      case 'done': this.ending = step.complete ? 'orderly' : 'broken'; break;
      case 'ready': this.ready = true; break;
      case 'close': this.gone = true; break;
    }
    this.wake();
    return undefined;
  }

  private async stream(): Promise<void> {
    try {
      for await (const chunk of this.content!) {
        this.pump.tell(() => this.machine.content(chunk));
        if (this.pump.full) await this.pump.drained();
        if (this.gone) return;
      }
      this.pump.tell(() => this.machine.contentEnd());
    } catch (error) {
      this.pump.tell(() => this.machine.contentFailed(this.verdictOn(error as Error)));
    }
  }

  /** Nothing about a message that cannot be read now is final. */
  private verdictOn(error: Error): Failure | undefined {
    if (error instanceof UnfitContent) return { status: error.status, reason: error.message, remoteMta: '', diagnostic: '', scope: 'message', softUntilLast: false };
    this.log.warning(error.message);
    return undefined;
  }

  private async startTls(): Promise<void> {
    const { timeouts } = this.options.settings;
    const raw = this.pump.detach();
    const secure = tls.connect({ socket: raw, rejectUnauthorized: false, servername: serverName(this.options.peer.host) });
    secure.on('error', () => {});
    const started = await handshakeOf(secure, timeouts.startTls, this.ticker);
    this.pump.adopt(secure);
    if (started) this.secured = `${secure.getProtocol()} with cipher ${secure.getCipher().standardName}`;
    this.pump.tell(() => (started ? this.machine.tlsStarted() : this.machine.tlsFailed()));
  }
}

function serverName(host: string): string {
  return /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+$/.test(host) && !/^[0-9.]+$/.test(host) ? host : '';
}

function handshakeOf(secure: tls.TLSSocket, seconds: number, ticker: Ticker): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = ticker.after(seconds * 1000, () => resolve(false));
    const settle = (started: boolean): void => {
      timer.cancel();
      resolve(started);
    };
    secure.once('secureConnect', () => settle(true));
    secure.once('error', () => settle(false));
    secure.once('close', () => settle(false));
  });
}
