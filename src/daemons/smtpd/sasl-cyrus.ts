/**
 * Logins by the Cyrus SASL library (smtpd_sasl_type = cyrus): the application's configuration file says who checks passwords.
 *
 * Each login has a context of its own, which is never used for a second one: a client that cancels one mechanism and tries another finds
 * nothing of the first. A library that does not answer in time is a temporary failure for the client; its thread is given up only when
 * the library returns.
 */
import type { SaslAnswer } from '../../protocol/sasl/answer.ts';
import { security } from '../../protocol/sasl/security-options.ts';
import { decodeSasl2, initialiseSasl2, Sasl2Connection, sasl2Log, sasl2Message, sasl2Security, sasl2Status, Sasl2Trouble, type Sasl2Answer } from '../../host/sasl2.ts';
import type { Log } from '../../log/log.ts';
import type { Clock } from '../../server/clock.ts';
import type { MaybePromise } from '../../text/maybe.ts';
import { SaslTrouble, type SaslExchange, type SaslServer, type SaslSession } from './sasl-server.ts';

export interface CyrusOptions {
  /** smtpd_sasl_path */
  readonly application: string;
  /** cyrus_sasl_config_path */
  readonly configPath: string;
  readonly service: string;
  readonly hostname: string;
  /** smtpd_sasl_local_domain */
  readonly realm: string;
  /** Bits of security-options.ts: in plain text, and encrypted. */
  readonly plainOptions: number;
  readonly tlsOptions: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Milliseconds for one step: some ask a directory far away, or punish a wrong password with a pause. */
const patience = 60_000;

const late = { kind: 'unavailable', reason: 'authentication server is too slow' } as const satisfies SaslAnswer;
const temporary: ReadonlySet<number> = new Set([sasl2Status.failed, sasl2Status.noMemory, sasl2Status.tryAgain, sasl2Status.unavailable]);

const flags: readonly (readonly [ours: number, theirs: number])[] = [
  [security.noPlaintext, sasl2Security.noPlaintext], [security.noActive, sasl2Security.noActive], [security.noDictionary, sasl2Security.noDictionary],
  [security.noAnonymous, sasl2Security.noAnonymous], [security.forwardSecrecy, sasl2Security.forwardSecrecy], [security.mutualAuth, sasl2Security.mutualAuth],
];

const levels: ReadonlyMap<number, string> = new Map([
  [sasl2Log.error, 'SASL authentication problem'], [sasl2Log.warn, 'SASL authentication problem'], [sasl2Log.fail, 'SASL authentication failure'],
]);

/** The library is initialised now, which reads files. Throws Sasl2Trouble. */
export function openCyrus(options: CyrusOptions): SaslServer {
  const { application, configPath, log } = options;
  initialiseSasl2({
    application, configPath,
    log: (level, text) => {
      const what = levels.get(level);
      if (what !== undefined) log.warning(`${what}: ${text}`);
    },
  });
  return new CyrusServer(options);
}

class CyrusServer implements SaslServer {
  readonly #options: CyrusOptions;
  /** What there is does not change while the process lives. */
  readonly #known = new Map<boolean, readonly string[]>();

  constructor(options: CyrusOptions) {
    this.#options = options;
  }

  mechanisms(isEncrypted: boolean): MaybePromise<readonly string[]> {
    return this.#known.get(isEncrypted) ?? this.#ask(isEncrypted);
  }

  async #ask(isEncrypted: boolean): Promise<readonly string[]> {
    const nobody = { clientAddress: '', clientPort: '', serverAddress: '', serverPort: '', isEncrypted };
    let connection: Sasl2Connection | undefined;
    try {
      connection = await openConnection(this.#options, nobody);
      const found = await connection.mechanisms();
      this.#known.set(isEncrypted, found);
      return found;
    } catch (error) {
      if (!(error instanceof Sasl2Trouble)) throw error;
      this.#options.log.warning(error.message);
      throw new SaslTrouble('no SASL authentication mechanisms');
    } finally {
      void connection?.dispose();
    }
  }

  begin(session: SaslSession): SaslExchange {
    return new CyrusExchange(this.#options, session);
  }

  unknownMechanism(): string {
    return sasl2Message(sasl2Status.noMechanism);
  }

  close(): void {}
}

function openConnection({ service, hostname, realm, plainOptions, tlsOptions }: CyrusOptions, session: SaslSession): Promise<Sasl2Connection> {
  const mask = session.isEncrypted ? tlsOptions : plainOptions;
  const end = (address: string, port: string): string => (address === '' || port === '' ? '' : `${address};${port}`);
  return Sasl2Connection.open({
    service, hostname, realm, local: end(session.serverAddress, session.serverPort), remote: end(session.clientAddress, session.clientPort),
    security: flags.reduce((bits, [ours, theirs]) => bits | ((mask & ours) === 0 ? 0 : theirs), 0),
  });
}

class CyrusExchange implements SaslExchange {
  readonly #options: CyrusOptions;
  readonly #session: SaslSession;
  #connection: Sasl2Connection | undefined;
  /** The step under way: the library's context lives until it is over. */
  #step: Promise<unknown> = Promise.resolve();
  #isEnded = false;

  constructor(options: CyrusOptions, session: SaslSession) {
    this.#options = options;
    this.#session = session;
  }

  first(mechanism: string, initial: string | undefined): Promise<SaslAnswer> {
    const input = initial === undefined ? undefined : decodeSasl2(initial);
    return this.#within(input, async (text) => {
      this.#connection = await openConnection(this.#options, this.#session);
      return this.#connection.start(mechanism, text);
    });
  }

  next(response: string): Promise<SaslAnswer> {
    return this.#within(decodeSasl2(response), (text) => this.#connection!.step(text ?? Buffer.alloc(0)));
  }

  /** Never longer than the client should have to wait. */
  #within(input: Buffer | number | undefined, step: (input: Buffer | undefined) => Promise<Sasl2Answer>): Promise<SaslAnswer> {
    if (typeof input === 'number') {
      this.end();
      return Promise.resolve({ kind: 'failed', reason: sasl2Message(input) });
    }
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.after(patience, () => {
        this.end();
        resolve(late);
      });
      this.#step = step(input).then((said) => this.#judge(said)).catch((error: Error) => this.#trouble(error)).then((answer) => {
        timer.cancel();
        resolve(answer);
        if (answer.kind !== 'more') this.end();
      }, (error: Error) => {
        timer.cancel();
        this.end();
        reject(error);
      });
    });
  }

  async #judge({ status, output }: Sasl2Answer): Promise<SaslAnswer> {
    if (status === sasl2Status.more) return { kind: 'more', challenge: output.toString('base64') };
    const username = await this.#connection!.username();
    if (status === sasl2Status.ok) return username === undefined ? { kind: 'unavailable', reason: 'cannot look up the authenticated SASL username' } : { kind: 'done', username };
    // That there is no such user is nobody's business.
    const told = status === sasl2Status.noUser ? sasl2Status.badLogin : status;
    return { kind: temporary.has(told) ? 'unavailable' : 'failed', reason: sasl2Message(told), username };
  }

  #trouble(error: Error): SaslAnswer {
    if (!(error instanceof Sasl2Trouble)) throw error;
    this.#options.log.warning(error.message);
    return { kind: 'unavailable', reason: '' };
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    void this.#step.finally(() => this.#connection?.dispose());
  }
}
