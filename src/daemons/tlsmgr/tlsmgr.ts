/**
 * tlsmgr(8): keeps what all processes of the mail system share about TLS - the keys of session tickets - and gives out seeds.
 *
 * The keys are in memory only and go when the process does: then sessions are begun anew. Sessions themselves are not kept here: with
 * tickets the clients keep them. Requests about stored sessions are answered as by a tlsmgr whose caches are not enabled.
 */
import { randomBytes } from 'node:crypto';
import { renderTicketKey, tlsmgrService, tlsmgrStatus } from '../../ipc/tlsmgr.ts';
import { serveCalls } from '../../ipc/serve.ts';
import type { Calls } from '../../ipc/service.ts';
import type { Log } from '../../log/log.ts';
import type { Daemon, Service, Session, Tools } from '../../server/daemon.ts';
import { TicketKeyPair } from './ticket-keys.ts';

const parameters = ['smtpd_tls_session_cache_timeout', 'smtp_tls_session_cache_timeout', 'lmtp_tls_session_cache_timeout'] as const;

export const daemon: Daemon = {
  card: {
    name: 'tlsmgr',
    summary: 'keeps the keys of TLS session tickets',
    group: 'keys',
    calls: [],
    privileges: { user: 'mail_owner', network: false, writes: [] },
    row: 'tlsmgr    unix  -       -       n       1000?   1       tlsmgr',
    standards: ['RFC 5077', 'RFC 8446'],
  },
  open: (tools) => new TlsManager(tools),
};

type TlsmgrCalls = Calls<typeof tlsmgrService>;

const { ok, error, failed } = tlsmgrStatus;
const keyNameSize = 16;
const largestSeed = 255;
/** Seconds: shorter lives of sessions than this are made so long. */
const leastTimeout = 120;

class TlsManager implements Service {
  readonly calls: TlsmgrCalls;
  readonly #log: Log;
  readonly #clock: Tools['clock'];
  readonly #timeouts: ReadonlyMap<string, number>;
  readonly #keys = new TicketKeyPair(randomBytes);

  constructor({ config, log, clock }: Tools) {
    const view = config.view(parameters);
    this.#log = log;
    this.#clock = clock;
    this.#timeouts = new Map([
      ['smtpd', sane(view.smtpd_tls_session_cache_timeout)], ['smtp', sane(view.smtp_tls_session_cache_timeout)], ['lmtp', sane(view.lmtp_tls_session_cache_timeout)],
    ]);
    this.calls = {
      seed: ({ size }) => this.#seed(size),
      policy: ({ cache_type: type }) => this.#policy(type),
      lookup: ({ cache_type: type }) => ({ status: this.#notKept('lookup', type), session: '' }),
      update: ({ cache_type: type }) => ({ status: this.#notKept('update', type) }),
      delete: ({ cache_type: type }) => ({ status: this.#notKept('delete', type) }),
      tktkey: ({ keyname }) => this.#ticketKey(Buffer.from(keyname, 'base64')),
    };
  }

  client({ socket, log, ending }: Session): Promise<void> {
    return serveCalls(socket, tlsmgrService, this.calls, log, ending);
  }

  /** Master's wakeup: there is nothing to be done. */
  trigger(): void {}

  /** The keys are worth staying for. */
  busy(): boolean {
    return true;
  }

  #seed(size: number): { status: number; seed: string } {
    if (Number.isInteger(size) && size > 0 && size <= largestSeed) return { status: ok, seed: randomBytes(size).toString('base64') };
    this.#log.warning(`bogus seed length "${size}" in "seed" request`);
    return { status: failed, seed: '' };
  }

  #policy(type: string): { status: number; cachable: number; timeout: number } {
    const timeout = this.#timeouts.get(type);
    if (timeout !== undefined) return { status: ok, cachable: 0, timeout };
    this.#bogus('policy', type);
    return { status: failed, cachable: 0, timeout: 0 };
  }

  #notKept(request: string, type: string): number {
    if (!this.#timeouts.has(type)) this.#bogus(request, type);
    return failed;
  }

  #bogus(request: string, type: string): void {
    this.#log.warning(`bogus cache type "${type}" in "${request}" request`);
  }

  /** Where there is no such key the answer is the name that was asked for, as Postfix's is. */
  #ticketKey(name: Buffer): { status: number; keybuf: string } {
    const keybuf = name.toString('base64');
    const lifetime = this.#timeouts.get('smtpd')!;
    if (name.length !== 0 && name.length !== keyNameSize) {
      this.#log.warning(`invalid session ticket key name length: ${name.length}`);
      return { status: failed, keybuf: '' };
    }
    if (lifetime === 0) return { status: error, keybuf };
    const now = Math.floor(this.#clock.now() / 1000);
    const key = name.length === 0 ? this.#keys.issuing(now, lifetime) : this.#keys.find(name, now, lifetime);
    return key === undefined ? { status: error, keybuf } : { status: ok, keybuf: renderTicketKey(key) };
  }
}

function sane(seconds: number): number {
  return seconds <= 0 ? 0 : Math.max(seconds, leastTimeout);
}
