/** Replies on their way out: gathered until the session has to wait, so that a group of commands is answered in one write (RFC 2920 §3.2). */
import { renderReply } from './reply.ts';
import type { SessionListener, SmtpServerSettings } from './settings.ts';
import type { Reply, SmtpServerStep } from './steps.ts';

/** Replies are sent when so many bytes of them have gathered, even if there is more to do. */
const limit = 16_384;

export class Outbox {
  readonly #settings: SmtpServerSettings;
  readonly #steps: SmtpServerStep[];
  readonly #listener: SessionListener | undefined;
  #text = '';

  /** `steps`: where the session's steps stand in line. */
  constructor(settings: SmtpServerSettings, steps: SmtpServerStep[], listener = settings.transcript) {
    this.#settings = settings;
    this.#steps = steps;
    this.#listener = listener;
  }

  get isEmpty(): boolean {
    return this.#text === '';
  }

  /** The answer is the reply as it goes out. A client that has made many errors waits for it. */
  add(reply: Reply, errors: number): Reply {
    const settings = this.#settings;
    const delay = errors >= settings.smtpd_soft_error_limit ? settings.smtpd_error_sleep_time * 1000 : 0;
    if (delay > 0) {
      this.flush();
      this.#steps.push({ kind: 'delay', milliseconds: delay });
    }
    const said = settings.editReply === undefined ? reply : settings.editReply(reply);
    const bytes = renderReply(said, settings.soft_bounce);
    this.#listener?.said(said, bytes);
    this.#text += bytes;
    if (delay > 0 || this.#text.length > limit) this.flush();
    return said;
  }

  /** What has gathered; undefined: nothing. */
  take(): SmtpServerStep | undefined {
    if (this.#text === '') return undefined;
    const bytes = this.#text;
    this.#text = '';
    return { kind: 'send', bytes };
  }

  /** Put what has gathered in line. */
  flush(): void {
    const step = this.take();
    if (step !== undefined) this.#steps.push(step);
  }
}
