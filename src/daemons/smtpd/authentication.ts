/**
 * AUTH in one session: what EHLO announces, one login at a time, and what is remembered of it (`state.sasl`). RFC 4954.
 *
 * Every failure is in the log, in the words that log readers look for. Whatever goes wrong, the client is not logged in.
 */
import type { Log } from '../../log/log.ts';
import type { SaslAnswer } from '../../protocol/sasl/answer.ts';
import { standingObjection } from '../../protocol/smtp-server/objection.ts';
import { reply, say, tell } from '../../protocol/smtp-server/reply.ts';
import type { Question, Verdict } from '../../protocol/smtp-server/steps.ts';
import { TableTrouble } from '../../tables/table.ts';
import { printable, sameIgnoringCase } from '../../text/ascii.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import type { AccessState } from './access/state.ts';
import { lostConnection, SaslTrouble, type SaslExchange } from './sasl-server.ts';
import type { SaslService } from './sasl.ts';

export interface AuthenticationParts {
  /** Undefined: nobody can log in. */
  readonly sasl: SaslService | undefined;
  readonly hostname: string;
  readonly state: AccessState;
  readonly log: Log;
  /** smtpd_tls_auth_only */
  readonly authOnly: boolean;
}

type Asked = Extract<Question, { verb: 'AUTH' }>;

const refuse = (refusal: Extract<Verdict, { accept: false }>['reply']): Verdict => ({ accept: false, reply: refusal });
/** A reason goes into a reply: it must fit there. */
const longestReason = 400;

export class Authentication {
  readonly #parts: AuthenticationParts;
  #exchange: SaslExchange | undefined;
  #method = '';
  /** The server owes us an answer. */
  #isPending = false;

  constructor(parts: AuthenticationParts) {
    this.#parts = parts;
  }

  /** What to announce to a client whose EHLO is accepted; trouble sends it away until later, rather than tell it that there is no AUTH. */
  offer(verdict: Verdict): MaybePromise<Verdict> {
    const { sasl, authOnly, state } = this.#parts;
    if (!verdict.accept || sasl === undefined || (authOnly && state.tls === undefined)) return verdict;
    const { name, address } = state.client;
    return this.#guarded(() => chain(sasl.mechanisms(state.tls !== undefined), (names) =>
      chain(sasl.isExcepted(name, address), (isExcepted): Verdict => (isExcepted ? verdict : { ...verdict, mechanisms: names.join(' ') }))));
  }

  #guarded(work: () => MaybePromise<Verdict>): MaybePromise<Verdict> {
    try {
      const verdict = work();
      return isPending(verdict) ? verdict.catch((error: Error) => this.#trouble(error)) : verdict;
    } catch (error) {
      return this.#trouble(error as Error);
    }
  }

  #trouble(error: Error): Verdict {
    if (!(error instanceof SaslTrouble) && !(error instanceof TableTrouble)) throw error;
    const { hostname, log, state } = this.#parts;
    log.warning(error.message);
    if (error instanceof SaslTrouble) return refuse(reply(421, '4.3.0', `${hostname} Server local error`));
    log.warning(`don't know if EHLO feature AUTH should be announced to ${state.client.label}`);
    log.info(`NOQUEUE: reject: EHLO from ${state.client.label}: 421 4.3.0 ${hostname} Server local data error`);
    return refuse(reply(421, '4.3.0', `${hostname} Server local data error`));
  }

  /** The command itself. */
  begin(question: Asked): MaybePromise<Verdict> {
    const { sasl, state } = this.#parts;
    if (question.objection !== undefined) return refuse(question.objection);
    if (sasl === undefined) return refuse(say.authDisabled);
    if (state.sasl !== undefined) return refuse(say.alreadyLoggedIn);
    const standing = standingObjection(question);
    if (standing !== undefined) return refuse(standing);
    this.#method = question.mechanism!;
    this.#isPending = true;
    return chain(this.#first(sasl, question), (answer) => this.#judge(answer));
  }

  /** What the filter leaves out is not announced, and not served either. */
  #first(sasl: SaslService, { mechanism, initial }: Asked): MaybePromise<SaslAnswer> {
    const { client, tls } = this.#parts.state;
    const name = mechanism!;
    const begin = (names: readonly string[]): MaybePromise<SaslAnswer> => {
      if (!names.some((known) => sameIgnoringCase(known, name))) return { kind: 'failed', reason: sasl.server.unknownMechanism(name) };
      this.#exchange = sasl.server.begin({
        clientAddress: client.address, clientPort: client.port, serverAddress: client.serverAddress, serverPort: client.serverPort, isEncrypted: tls !== undefined,
      });
      return this.#exchange.first(name, initial);
    };
    try {
      const names = sasl.mechanisms(tls !== undefined);
      return isPending(names) ? names.then(begin, (error: Error) => this.#unavailable(error)) : begin(names);
    } catch (error) {
      return this.#unavailable(error as Error);
    }
  }

  #unavailable(error: Error): SaslAnswer {
    if (!(error instanceof SaslTrouble) && !(error instanceof TableTrouble)) throw error;
    this.#parts.log.warning(error.message);
    return { kind: 'unavailable', reason: lostConnection };
  }

  /** The client's line after a challenge. */
  respond(response: string | undefined): MaybePromise<Verdict> {
    const exchange = this.#exchange;
    if (response === undefined || exchange === undefined) {
      this.end();
      return refuse(say.longResponse);
    }
    if (response !== '*') {
      this.#isPending = true;
      return chain(exchange.next(response), (answer) => this.#judge(answer));
    }
    this.end();
    const { log, state } = this.#parts;
    log.warning(`${state.client.label}: SASL ${printable(this.#method)} authentication aborted`);
    return refuse(say.authAborted);
  }

  #judge(answer: SaslAnswer): Verdict {
    this.#isPending = false;
    if (answer.kind === 'more') return { accept: true, challenge: answer.challenge };
    this.end();
    if (answer.kind !== 'done') return this.#failed(answer);
    const { state, sasl } = this.#parts;
    const safe = (text: string): string => printable(text, '?', sasl!.utf8);
    state.sasl = { username: safe(answer.username), method: safe(this.#method), sender: undefined };
    return { accept: true };
  }

  #failed({ kind, reason, username }: Exclude<SaslAnswer, { kind: 'done' | 'more' }>): Verdict {
    const { log, state } = this.#parts;
    const told = printable(reason).slice(0, longestReason) || '(reason unavailable)';
    const who = username === undefined ? '(unavailable)' : printable(username, '?', this.#parts.sasl!.utf8).slice(0, 100);
    log.warning(`${state.client.label}: SASL ${printable(this.#method).slice(0, 100)} authentication failed: ${told}, sasl_username=${who}`);
    return refuse(kind === 'unavailable' ? tell.authUnavailable(told) : tell.authFailed(told));
  }

  /** After STARTTLS: who somebody was in plain text does not count (RFC 3207 section 4.2). */
  forget(): void {
    this.end();
    if (this.#parts.sasl !== undefined) this.#parts.state.sasl = undefined;
  }

  /**
   * Nobody goes on with the login under way. One that is being judged is still judged, and a failure told to the log: who guesses
   * passwords shall not get out of it by hanging up early.
   */
  end(): void {
    if (this.#isPending) return;
    this.#exchange?.end();
    this.#exchange = undefined;
  }
}
