/** The ticket keys of tlsmgr(8), fetched ahead of need: a handshake cannot wait for another process. */
import { readTicketKey, tlsmgrService, tlsmgrStatus } from '../ipc/tlsmgr.ts';
import { ServiceTrouble, type Calls } from '../ipc/service.ts';
import { TicketKeys } from '../network/tls-tickets.ts';
import type { Tools } from './daemon.ts';

/** Milliseconds until tlsmgr is asked again that did not answer, and the longest until it is asked at all. */
const retryPause = 60_000;
const longestPause = 3_600_000;

export class SharedTickets {
  readonly keys = new TicketKeys();
  readonly #tools: Tools;
  readonly #manager: Calls<typeof tlsmgrService>;
  #timer: { cancel(): void } | undefined;
  #isAsking = false;
  #isClosed = false;

  constructor(tools: Tools, service: string) {
    this.#tools = tools;
    this.#manager = tools.services.connect(tlsmgrService, service);
    this.keys.unknown = (name) => void this.#ask(name);
  }

  start(): void {
    void this.#renew();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  /** A key to issue with, and again when that has expired. */
  async #renew(): Promise<void> {
    const { clock } = this.#tools;
    await this.#ask(Buffer.alloc(0));
    if (this.#isClosed) return;
    const expires = this.keys.current?.expires ?? 0;
    const left = expires * 1000 - clock.now();
    const pause = left > 0 ? Math.min(left + 1000, longestPause) : retryPause;
    this.#timer = clock.after(pause, () => void this.#renew(), true);
  }

  /** One question at a time: clients may show any number of tickets that nobody issued. */
  async #ask(name: Buffer): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      const { status, keybuf } = await this.#manager.tktkey({ keyname: name.toString('base64') });
      const key = status === tlsmgrStatus.ok ? readTicketKey(keybuf) : undefined;
      if (key !== undefined) this.keys.rotate(key);
    } catch (error) {
      if (!(error instanceof ServiceTrouble)) throw error;
      this.#tools.log.warning(`${error.message} -- no TLS session tickets`);
    } finally {
      this.#isAsking = false;
    }
  }
}
