/**
 * How one session becomes encrypted: by STARTTLS, or before its greeting (smtpd_tls_wrappermode). What the handshake shows is noted
 * in the session's state; a client that does too many handshakes, or lacks a certificate where one is required, is told so and goes.
 */
import type net from 'node:net';
import type { Log } from '../../log/log.ts';
import type { TlsFacts as ReceivedTls } from '../../message/received.ts';
import { reply, say, tell } from '../../protocol/smtp-server/reply.ts';
import type { SmtpServerSession } from '../../protocol/smtp-server/session.ts';
import type { Verdict } from '../../protocol/smtp-server/steps.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
import type { AccessState } from './access/state.ts';
import type { ClientCounts } from './client-counts.ts';
import { logEvent } from './log-lines.ts';
import { receivedTls, sessionOf } from './tls-session.ts';
import type { Secured, ServerTls } from './tls.ts';

export interface EncryptionParts {
  readonly tls: ServerTls;
  readonly hostname: string;
  readonly state: AccessState;
  readonly counts: ClientCounts;
  readonly log: Log;
  readonly machine: SmtpServerSession;
}

export class Encryption {
  /** What Received: says of it (smtpd_tls_received_header). */
  received: ReceivedTls | undefined;
  /** Those of whom the client speaks for, from XCLIENT on. */
  counts: ClientCounts;
  readonly #parts: EncryptionParts;
  /** Its handshake is under way. */
  #shaking: net.Socket | undefined;

  constructor(parts: EncryptionParts) {
    this.#parts = parts;
    this.counts = parts.counts;
  }

  /** A handshake under way has to be done in the time for bad times. */
  hurry(): void {
    if (this.#shaking !== undefined) this.#parts.tls.hurry(this.#shaking);
  }

  /** The verdict on STARTTLS. */
  mayBegin(): MaybePromise<Verdict> {
    const { counts } = this;
    const { tls, log, state: { client } } = this.#parts;
    if (!tls.isReady) return { accept: false, reply: say.tlsUnavailable };
    return chain(counts.mayStartTls(), (may): Verdict => {
      if (may) return { accept: true };
      log.warning(`Refusing STARTTLS request from ${client.label} for service ${tls.service}`);
      return { accept: false, reply: reply(454, '4.7.0', `Error: too many new TLS sessions from ${client.label}`) };
    });
  }

  /** The handshake after STARTTLS. The answer is where the session goes on, if only to end. */
  async begin(plain: net.Socket): Promise<net.Socket> {
    const { machine } = this.#parts;
    // Nobody listens any more: what comes before the handshake takes over must wait, not be lost.
    plain.pause();
    const secured = await this.#secure(plain);
    if (secured === undefined) machine.unsecured();
    else machine.secured();
    await this.#judge(secured, false);
    return secured?.socket ?? plain;
  }

  /** The handshake of wrapper mode. Undefined: nothing will be said. */
  async wrap(plain: net.Socket): Promise<net.Socket | undefined> {
    const { counts } = this;
    const { tls, log, state } = this.#parts;
    const { label } = state.client;
    if (!tls.isReady) {
      log.warning(`Wrapper-mode request dropped from ${label} for service ${tls.service}. TLS context initialization failed. For details see earlier warnings in your logs.`);
      return undefined;
    }
    if (!(await counts.mayStartTls())) {
      log.warning(`Refusing TLS service request from ${label} for service ${tls.service}`);
      return undefined;
    }
    const secured = await this.#secure(plain);
    const isRefused = await this.#judge(secured, true);
    if (secured === undefined && !isRefused) logEvent({ event: 'ended', reason: 'lost connection', after: 'CONNECT', bytes: undefined }, state, log, this.#parts.hostname);
    return secured?.socket;
  }

  async #secure(socket: net.Socket): Promise<Secured> {
    const { tls, log, state } = this.#parts;
    this.#shaking = socket;
    const shaken = tls.handshake(socket, state.client, log);
    if (state.stress) tls.hurry(socket);
    const secured = await shaken;
    this.#shaking = undefined;
    if (secured !== undefined) {
      state.tls = sessionOf(secured.facts);
      if (tls.showsReceived) this.received = receivedTls(secured.facts, tls.asksCertificate);
    }
    return secured;
  }

  /** True: the client is not served. */
  async #judge(secured: Secured, isWrapped: boolean): Promise<boolean> {
    const { counts } = this;
    const { hostname, tls, log, machine, state: { client } } = this.#parts;
    const tooMany = secured?.facts.reused ? undefined : await counts.startedTls();
    if (tooMany !== undefined) {
      if (secured !== undefined) machine.expel(reply(421, '4.7.0', `${hostname} Error: too many new TLS sessions from ${client.label}`), true);
      return true;
    }
    if (secured === undefined || !tls.requiresCertificate || secured.facts.peer?.trusted) return false;
    const why = secured.facts.peer === undefined ? 'No client certificate presented' : 'Client certificate not trusted';
    log.info(`NOQUEUE: abort: TLS from ${client.label}: ${why}`);
    machine.expel(tell.untrustedClient(hostname, why), isWrapped);
    return true;
  }
}
