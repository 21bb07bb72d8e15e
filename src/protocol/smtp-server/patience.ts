/**
 * How long a client may keep us waiting (smtpd_timeout), by the clock of whoever drives the session. Milliseconds inside.
 *
 * Normally the time runs anew with everything heard. With smtpd_per_request_deadline it runs from the end of the request
 * before, and content buys more of it at smtpd_min_data_rate, so that a byte now and then does not hold a session for ever.
 */
import type { SmtpServerSettings } from './settings.ts';

export type PatienceSettings = Pick<SmtpServerSettings, 'smtpd_timeout' | 'smtpd_per_request_deadline' | 'smtpd_min_data_rate'>;

export class Patience {
  now = 0;
  #waitingSince: number | undefined;
  #requestAt = 0;
  #isNewRequest = true;
  #settings: PatienceSettings;

  constructor(settings: PatienceSettings) {
    this.#settings = settings;
  }

  /** These hold from now on, also for the client's present turn. */
  change(settings: PatienceSettings): void {
    this.#settings = settings;
  }

  /** What the client is to send next is another command, or content: it has its own time. */
  newRequest(): void {
    this.#isNewRequest = true;
  }

  /** It is the client's turn, and its time runs; nobody gets more of it by looking. */
  wait(): void {
    this.#waitingSince ??= this.now;
    if (this.#isNewRequest) this.#requestAt = this.now;
    this.#isNewRequest = false;
  }

  /** It is our turn. */
  stop(): void {
    this.#waitingSince = undefined;
  }

  /** Undefined: nobody waits for the client. */
  deadline(contentSize: number): number | undefined {
    if (this.#waitingSince === undefined) return undefined;
    const { smtpd_timeout: seconds, smtpd_per_request_deadline: perRequest, smtpd_min_data_rate: rate } = this.#settings;
    if (!perRequest) return this.#waitingSince + seconds * 1000;
    return this.#requestAt + (seconds + contentSize / rate) * 1000;
  }

  isOver(contentSize: number): boolean {
    const deadline = this.deadline(contentSize);
    return deadline !== undefined && this.now >= deadline;
  }
}
