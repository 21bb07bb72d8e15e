/**
 * One client of postscreen(8): who it is, whether it may be tested at all, its tests, and its way out.
 *
 * A socket has one owner at any time: this visit until it is passed on, then the SMTP server. What was read is passed on with it.
 */
import type net from 'node:net';
import { stopReading } from '../../host/reading.ts';
import type { Log } from '../../log/log.ts';
import { Pump } from '../../network/pump.ts';
import { Screening } from '../../protocol/postscreen/screening.ts';
import { parseStamps, Progress, stamp, tests, type ClientRecord } from '../../protocol/postscreen/stamps.ts';
import type { ScreenStep } from '../../protocol/postscreen/steps.ts';
import { passedOn, type ConnectionEnds, type Session, type Taking } from '../../server/daemon.ts';
import { passClient } from '../../server/passed-client.ts';
import type { MaybePromise } from '../../text/maybe.ts';
import type { Hall } from './hall.ts';
import type { Interest } from './scores.ts';

type Performed = Exclude<ScreenStep, { readonly kind: 'send' }>;
type Outcome = void | typeof passedOn;

const busy = '421 4.3.2 All server ports are busy';

export class Visit {
  readonly #hall: Hall;
  readonly #log: Log;
  readonly #socket: net.Socket;
  readonly #ends: ConnectionEnds;
  readonly #address: string;
  readonly #record: ClientRecord;
  readonly #progress = new Progress();
  readonly #machine: Screening;
  #pump: Pump<ScreenStep> | undefined;
  #interest: Interest | undefined;
  /** Speaks of the encrypted part of the session. */
  #tlsLog: Log | undefined;
  #settle!: { resolve: (outcome: Outcome) => void; reject: (error: unknown) => void };
  readonly #done = new Promise<Outcome>((resolve, reject) => { this.#settle = { resolve, reject }; });

  constructor({ socket, log }: Session, ends: ConnectionEnds, hall: Hall) {
    this.#hall = hall;
    this.#log = log;
    this.#socket = socket;
    this.#ends = ends;
    this.#address = ends.remoteAddress!;
    this.#record = hall.enter(this.#address);
    const client = { address: this.#address, port: String(ends.remotePort) };
    this.#machine = new Screening(hall.settings, client, this.#record, this.#progress, hall.tools.clock.monotonic());
  }

  /** Until the client is gone, or somebody else's. */
  async served(): Promise<Outcome> {
    try {
      await this.#judge();
      this.#converse(this.#socket);
      return await this.#done;
    } finally {
      this.#tlsLog?.info(`DISCONNECT ${this.#machine.label}`);
      this.#interest?.forget();
      this.#hall.leave(this.#address);
    }
  }

  /** The mail system stops. */
  shutDown(): void {
    this.#pump?.tell(() => this.#machine.shutDown());
  }

  // ---- may it be tested?

  async #judge(): Promise<void> {
    const { view, settings, memory, sessions, passing } = this.#hall;
    const record = this.#record;
    const { label } = this.#machine;
    const limit = view.postscreen_client_connection_count_limit;
    if (limit > 0 && record.sessions > limit) return this.#turnAway(`NOQUEUE: reject: CONNECT from ${label}: too many connections`, '421 4.7.0 Error: too many connections');
    if (view.postscreen_post_queue_limit > 0 && passing >= view.postscreen_post_queue_limit)
      return this.#turnAway(`NOQUEUE: reject: CONNECT from ${label}: all server ports busy`, busy);
    const waiting = sessions - passing;
    if (!(await this.#isUnlisted())) return;
    const seconds = settings.seconds();
    const entry = this.#progress.hasFailed || record.sessions > 1 ? undefined : await memory.find(this.#address);
    if (entry !== undefined) this.#recall(entry, seconds);
    else this.#plan(seconds);
    if (this.#progress.todo === 0 && entry !== undefined && !this.#progress.hasFailed) {
      this.#log.info(`PASS OLD ${label}`);
      return this.#machine.conclude();
    }
    if (!(await this.#hall.allowsAt(this.#ends.localAddress!))) this.#veto();
    if (view.postscreen_pre_queue_limit > 0 && waiting >= view.postscreen_pre_queue_limit)
      return this.#turnAway(`reject: connect from ${label}: all screening ports busy`, '421 4.3.2 All screening ports are busy');
    this.#machine.begin();
  }

  /** Postfix writes these lines before the reply, as we do. */
  #turnAway(line: string, reply: string): void {
    this.#log.info(line);
    this.#machine.drop(reply);
  }

  /** False: the list has decided. */
  async #isUnlisted(): Promise<boolean> {
    const { access, denylistAction } = this.#hall;
    const verdict = await access.verdict(this.#address);
    if (verdict === 'dunno') return true;
    const { label } = this.#machine;
    this.#log.info(`${this.#hall.word(verdict === 'permit' ? 'ALLOW' : 'DENY')}LISTED ${label}`);
    this.#hall.tellOfDefault(this.#log, label);
    if (verdict === 'permit') {
      this.#machine.conclude();
      return false;
    }
    if (denylistAction === 'ignore') return true;
    this.#progress.isDenied = true;
    if (denylistAction === 'drop') this.#machine.drop('521 5.3.2 Service currently unavailable');
    else this.#machine.enforce('550 5.3.2 Service currently unavailable');
    return denylistAction !== 'drop';
  }

  #recall(entry: string, seconds: number): void {
    const { stamps } = this.#record;
    stamps.splice(0, stamps.length, ...parseStamps(entry));
    this.#progress.plan(stamps, this.#hall.settings.enabled, seconds);
  }

  /** Nothing is remembered, or another session of the client is here and knows better. */
  #plan(seconds: number): void {
    const { stamps, sessions } = this.#record;
    const { enabled } = this.#hall.settings;
    if (sessions > 1) return this.#progress.plan(stamps, enabled, seconds);
    stamps.fill(stamp.never);
    this.#progress.plan(stamps, enabled, stamp.never + 1);
  }

  #veto(): void {
    const { label } = this.#machine;
    this.#progress.isVetoed = this.#progress.staysHere = true;
    this.#log.info(`${this.#hall.word('ALLOW')}LIST VETO ${label}`);
    this.#hall.tellOfDefault(this.#log, label);
  }

  // ---- the tests

  #converse(socket: net.Socket): void {
    const { clock } = this.#hall.tools;
    const pump = new Pump<ScreenStep>({ socket, machine: this.#machine, ticker: clock, perform: (step) => this.#perform(step) });
    this.#pump = pump;
    pump.closed.then(() => this.#settle.resolve(), this.#settle.reject);
  }

  #perform(step: Performed): MaybePromise<void> {
    switch (step.kind) {
      case 'log': return this.#log.info(step.text);
      case 'ask-lists': return this.#askLists();
      case 'forget-lists': return this.#interest?.forget();
      case 'save': return this.#hall.memory.save(this.#address, step.entry);
      case 'start-tls': return this.#startTls();
      case 'hand-over': return queueMicrotask(() => this.#handOver(step.unread));
      case 'close': return undefined;
    }
  }

  #askLists(): void {
    this.#interest = this.#hall.scores.want(this.#address, () => this.#pump?.tell(() => this.#machine.scored()));
    this.#machine.asked(this.#interest.tally);
  }

  async #startTls(): Promise<void> {
    // What was said before leaves in plain text first.
    await Promise.resolve();
    const { tls, proxyRole, view } = this.#hall;
    const { label } = this.#machine;
    const plain = this.#pump!.detach();
    plain.pause();
    // Log readers know these lines from tlsproxy(8).
    const log = this.#tlsLog = this.#log.tagged(`${view.syslog_name}/tlsproxy`);
    log.info(`CONNECT from ${label}`);
    proxyRole.compare(log);
    const secured = await tls.handshake(plain, { label, name: '', address: this.#address }, log);
    const isWelcome = secured !== undefined && (!tls.requiresCertificate || secured.facts.peer?.trusted === true);
    if (!isWelcome) secured?.socket.destroy();
    this.#pump!.adopt(secured?.socket ?? plain);
    this.#machine.secured(isWelcome);
  }

  // ---- the way out

  /** To the SMTP server in this process, or to its socket, where it may have to wait for its turn. */
  #handOver(unread: Buffer): void {
    const socket = this.#pump!.release();
    if (socket.destroyed) return this.#settle.resolve();
    socket.pause();
    const { services } = this.#hall.tools;
    const { smtpd_service_name: name } = this.#hall.view;
    const near = services.local(name) as Partial<Taking> | undefined;
    if (near?.take?.(socket, this.#ends)) {
      if (unread.length > 0) socket.unshift(unread);
      letFlow(socket);
      return this.#settle.resolve(passedOn);
    }
    this.#passTo(services.path('private', name), socket, unread);
  }

  #passTo(path: string, socket: net.Socket, unread: Buffer): void {
    const hall = this.#hall;
    const { log } = hall.tools;
    const buffered = stopReading(socket);
    hall.passing++;
    passClient(path, socket, this.#ends, Buffer.concat([unread, buffered]), {
      passed: (isPassed, why) => {
        if (isPassed) return;
        hall.passing--;
        log.warning(`cannot connect to service ${path}: ${why}`);
        if (buffered.length > 0) socket.unshift(buffered);
        this.#comeBack(socket);
      },
      taken: (isLate) => {
        hall.passing--;
        if (isLate) log.warning(`timeout sending connection to service ${path}`);
        socket.destroy();
        this.#settle.resolve(passedOn);
      },
    });
  }

  /** Nobody takes the client: it is told so here. */
  #comeBack(socket: net.Socket): void {
    const greets = this.#progress.is('todo', tests.pregreet);
    this.#machine.expel(greets ? '421 4.3.2 No system resources' : busy, greets);
    letFlow(socket);
    this.#converse(socket);
  }
}

/** Whoever listens next is told what comes, as with a socket that was never paused. */
function letFlow(socket: net.Socket): void {
  const look = (): void => undefined;
  socket.on('readable', look);
  socket.off('readable', look);
}
