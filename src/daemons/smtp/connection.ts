/**
 * One connection to one server: the client machine on a socket, used for one message after another.
 *
 * handshake() and exchange() resolve when the machine is ready for more or gone; they never reject for what a server does. A
 * message may be handed over while another is at hand: it goes out behind the other's dot where the server offers
 * pipelining, or when its turn comes, and is `stale` when it does not come soon. Outcomes go to each message's Sink one at a
 * time, in order, each awaited before the next.
 */
import type net from 'node:net';
import type tls from 'node:tls';
import type { PeerSocket } from '../../host/lean-socket.ts';
import { Pump } from '../../network/pump.ts';
import type { Ticker } from '../../network/ticker.ts';
import { SmtpClient } from '../../protocol/smtp-client/session.ts';
import type { ClientOptions, ClientStep, Failure, Transaction } from '../../protocol/smtp-client/steps.ts';
import type { TakenTranscript } from '../../protocol/smtp-client/transcript.ts';
import type { Log } from '../../log/log.ts';
import type { ContentNotes } from '../../queue/store.ts';
import type { MaybePromise } from '../../text/maybe.ts';
import { UnfitContent } from './downgrade.ts';
import type { LoginCase, Logins } from './login.ts';
import type { TlsStanding } from './tls-client.ts';

/** What becomes of the recipients of one message. Numbers are those of the transaction. */
export interface Sink {
  /** The message's turn has come. `reuse`: how often the connection had been used before. */
  begun(reuse: number): void;
  delivered(recipients: readonly number[], status: string, text: string): MaybePromise<void>;
  failed(recipients: readonly number[], failure: Failure): MaybePromise<void>;
}

/** The message, from its first header on. */
export interface Content {
  /** With CRLF line ends, where it is at hand in one piece. `notes`: for what its reader sees on the way. */
  readonly whole?: (notes: ContentNotes) => Buffer | undefined;
  /** With LF line ends. */
  readonly pieces: () => AsyncIterable<Buffer>;
  /** With CRLF line ends, none of them cut, each piece in the place of the one before. */
  readonly wire?: (notes: ContentNotes) => AsyncIterable<Buffer>;
}

/** The encrypted socket; `refusal`: mail must not be sent over it. */
export interface SecuredConnection {
  readonly socket: tls.TLSSocket;
  readonly standing: TlsStanding;
  readonly refusal?: Failure;
}

/** Makes a socket an encrypted one; `helo`: what the server calls itself; `introduction`: all it said to EHLO. Never rejects; undefined: the handshake failed, and the socket is gone. */
export type Secure = (socket: net.Socket, helo: string, introduction: string) => Promise<SecuredConnection | undefined>;

/** How a message ended: `orderly` in agreement with the server, `broken` not, `stale` before it began. */
export type Ending = 'orderly' | 'broken' | 'stale';

/** A message handed over. */
interface Load {
  readonly transaction: Transaction;
  readonly content: Content;
  readonly sink: Sink;
  readonly log: Log;
  readonly resolve: (ending: Ending) => void;
  begun: boolean;
}

/** At most so many messages wait for one connection, and only as many as it takes in about so many milliseconds. */
const mostWaiting = 4;
const quick = 8;
/** Milliseconds after which a message that still waits for its turn is given back. */
const patience = 100;

export class Connection {
  readonly options: ClientOptions;
  /** TLS is on. */
  secured: TlsStanding | undefined;
  /** For servers that offer AUTH; undefined: we are strangers everywhere. */
  login: { readonly logins: Logins; readonly whose: LoginCase } | undefined;
  private readonly wire: PeerSocket;
  private readonly machine: SmtpClient;
  private readonly pump: Pump<ClientStep>;
  private readonly ticker: Ticker;
  private readonly secure: Secure | undefined;
  private log: Log;
  /** The message at hand, and those that follow it. */
  private readonly loads: Load[] = [];
  private failure: Failure | undefined;
  private ready = false;
  private gone = false;
  private wake = (): void => {};
  /** How long the server thought about the last message, milliseconds. */
  private thinking = Number.POSITIVE_INFINITY;
  private saidAt = 0;
  private waiting = false;
  /** Called when the server ends a connection that nobody uses. */
  onGone = (): void => {};

  constructor(socket: PeerSocket, options: ClientOptions, ticker: Ticker, log: Log, secure?: Secure) {
    this.options = options;
    this.wire = socket;
    this.secure = secure;
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

  /** Can it take a message now? */
  get usable(): boolean {
    return this.ready && !this.gone && this.loads.length === 0;
  }

  /** It has a message; so many more can be handed over and will be taken soon. */
  get room(): number {
    const { length } = this.loads;
    if (length === 0 || this.gone || !this.machine.isPipelining) return 0;
    return Math.min(mostWaiting, Math.floor(quick / Math.max(this.thinking, 1))) - length;
  }

  /** May further messages go over it? Encrypted ones only where smtp_tls_connection_reuse, or a policy, says so. */
  get isKeepable(): boolean {
    return this.secured === undefined || this.secured.reusable;
  }

  get peer(): ClientOptions['peer'] {
    return this.options.peer;
  }

  /** What was said since it was taken last. */
  takeTranscript(): TakenTranscript | undefined {
    return this.machine.takeTranscript();
  }

  get offersDsn(): boolean {
    return this.machine.features.dsn;
  }

  get offersEightBit(): boolean {
    return this.machine.features.eightBitMime;
  }

  /** Our end, while it is not encrypted. */
  get localAddress(): string | undefined {
    return this.wire.localAddress;
  }

  /** What the server said to EHLO in plain text. */
  get introduction(): string {
    return this.machine.introduction;
  }

  get offersRequireTls(): boolean {
    return this.machine.features.requireTls;
  }

  get offersTls(): boolean {
    return this.machine.features.startTls;
  }

  /** Undefined: ready for mail. */
  async handshake(): Promise<Failure | undefined> {
    while (!this.ready && this.failure === undefined && !this.gone) await new Promise<void>((resolve) => { this.wake = resolve; });
    return this.failure;
  }

  /** Resolves when it is known whether the connection can be used again; a last QUIT is not waited for. */
  exchange(transaction: Transaction, content: Content, sink: Sink, log: Log): Promise<Ending> {
    if (this.gone) return Promise.resolve('stale');
    return new Promise((resolve) => {
      const load: Load = { transaction, content, sink, log, resolve, begun: false };
      this.loads.push(load);
      if (this.ready) this.pump.tell(() => this.proceed(false));
      else if (this.machine.takesFollower) this.pump.tell(() => this.follow());
      if (!load.begun) this.watch();
    });
  }

  /** Take leave of the server, without waiting for it. */
  quit(): void {
    this.ready = false;
    if (!this.gone) this.pump.tell(() => this.machine.quit());
  }

  /** Begin the first, when its turn has come. `behind`: the server was busy with us just now, and need not be asked whether it still listens. */
  private proceed(behind: boolean): void {
    const load = this.loads[0];
    if (load === undefined || load.begun || !this.ready) return;
    this.ready = false;
    this.machine.deliver(load.transaction, behind);
    this.begin(load);
  }

  /** Begin the second, behind the dot of the first. */
  private follow(): void {
    const load = this.loads[1];
    if (load === undefined || load.begun || !this.machine.deliverBehind(load.transaction)) return;
    this.begin(load);
  }

  private begin(load: Load): void {
    load.begun = true;
    load.sink.begun(this.machine.uses - 1);
  }

  private leave(): void {
    this.gone = true;
    for (const load of this.loads.splice(0)) load.resolve(load.begun ? 'broken' : 'stale');
    this.wake();
    this.onGone();
  }

  /** Nobody waits long for a server that has become slow. */
  private watch(): void {
    if (this.waiting) return;
    this.waiting = true;
    const last = this.loads.at(-1);
    this.ticker.after(patience, () => {
      this.waiting = false;
      if (last !== undefined) this.release(this.loads.indexOf(last) + 1);
      if (this.loads.some(({ begun }) => !begun)) this.watch();
    });
  }

  /** Give back what has not begun, of so many in front. */
  private release(count = this.loads.length): void {
    const given = this.loads.filter((load, at) => at < count && !load.begun);
    for (const load of given) {
      this.loads.splice(this.loads.indexOf(load), 1);
      load.resolve('stale');
    }
  }

  private perform(step: Exclude<ClientStep, { kind: 'send' }>): MaybePromise<void> {
    const load = this.loads[0];
    switch (step.kind) {
      case 'log': return (load?.log ?? this.log)[step.severity](step.text);
      case 'start-tls': return this.startTls();
      case 'log-in': return void this.logIn(step.mechanisms);
      case 'log-in-refused': return this.login?.logins.refused(step, this.login.whose);
      case 'content': return this.say(load!);
      case 'delivered': return load?.sink.delivered(step.recipients, step.status, step.text);
      case 'failed': return load?.sink.failed(step.recipients, step.failure);
      case 'unusable': this.failure = step.failure; break;
      case 'stale': this.over('stale'); break;
      case 'done': this.over(step.complete ? 'orderly' : 'broken'); break;
      case 'ready':
        this.ready = true;
        this.proceed(true);
        break;
      case 'close':
        this.gone = true;
        this.release();
        break;
    }
    this.wake();
    return undefined;
  }

  private over(ending: Ending): void {
    this.thinking = this.machine.now - this.saidAt;
    const load = this.loads.shift();
    if (load === undefined) return;
    this.log = load.log;
    load.resolve(ending);
  }

  /** The content, and behind it what follows: all in one write where it is at hand. */
  private say(load: Load): void {
    let whole: Buffer | undefined;
    const notes: ContentNotes = { isDotless: false };
    try {
      whole = load.content.whole?.(notes);
    } catch (error) {
      return this.machine.contentFailed(this.verdictOn(error as Error, load));
    }
    if (whole === undefined || !this.machine.contentWhole(whole, notes.isDotless)) return void this.stream(load);
    this.said();
  }

  private said(): void {
    this.saidAt = this.machine.now;
    if (this.loads.length === 1) return;
    if (this.machine.isStaying) this.follow();
    else this.release();
  }

  private async stream(load: Load): Promise<void> {
    try {
      if (load.content.wire !== undefined) await this.streamWire(load.content.wire);
      else await this.streamPieces(load.content.pieces());
      if (this.gone) return;
      this.pump.tell(() => {
        this.machine.contentEnd();
        this.said();
      });
    } catch (error) {
      this.pump.tell(() => this.machine.contentFailed(this.verdictOn(error as Error, load)));
    }
  }

  private async streamPieces(pieces: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of pieces) {
      this.pump.tell(() => this.machine.content(chunk));
      if (this.pump.full) await this.pump.drained();
      if (this.gone) return;
    }
  }

  /** Each piece lies where the next one will. */
  private async streamWire(wire: NonNullable<Content['wire']>): Promise<void> {
    const notes: ContentNotes = { isDotless: false };
    for await (const chunk of wire(notes)) {
      this.pump.tell(() => this.machine.contentWire(chunk, notes.isDotless));
      await this.pump.emptied();
      if (this.gone) return;
    }
  }

  /** Nothing about a message that cannot be read now is final. */
  private verdictOn(error: Error, { log }: Load): Failure | undefined {
    if (error instanceof UnfitContent) return { status: error.status, reason: error.message, remoteMta: '', diagnostic: '', scope: 'message', softUntilLast: false };
    log.warning(error.message);
    return undefined;
  }

  private async logIn(mechanisms: readonly string[]): Promise<void> {
    const channel = !this.machine.isSecure ? 'clear' : this.secured?.matched === true ? 'verified' : 'tls';
    const found = await this.login?.logins.find(mechanisms, channel, this.login.whose).catch((error: unknown) => {
      this.log.error(`${this.options.peer.nameAddressPort}: ${(error as Error).stack ?? String(error)}`);
      return { why: 'mail system error' };
    });
    this.pump.tell(() => (found && 'why' in found ? this.machine.logInFailed(found.why) : this.machine.logIn(found)));
  }

  private async startTls(): Promise<void> {
    // In wrapper mode the pump is only being made.
    await null;
    const raw = this.pump.detach();
    const made = await this.secure?.(raw, this.machine.features.host, this.introduction);
    if (made === undefined) raw.destroy();
    this.secured = made?.standing;
    this.pump.adopt(made?.socket ?? raw);
    this.pump.tell(() => {
      if (made === undefined) this.machine.tlsFailed();
      else if (made.refusal !== undefined) this.machine.tlsRefused(made.refusal);
      else this.machine.tlsStarted();
    });
  }
}
