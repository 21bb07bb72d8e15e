/** What every authentication server is for a session, whichever kind smtpd_sasl_type names. */
import type { SaslAnswer } from '../../protocol/sasl/answer.ts';
import type { MaybePromise } from '../../text/maybe.ts';

/** Something of ours is out of order; the message is for the log. */
export class SaslTrouble extends Error {}

/** What is said when the server cannot be asked: fail2ban knows it, and takes nobody for a guesser of passwords because of it. */
export const lostConnection = 'Connection lost to authentication server';

/** The session as authentication servers want to know it. '' where an address is not known. */
export interface SaslSession {
  readonly clientAddress: string;
  readonly clientPort: string;
  readonly serverAddress: string;
  readonly serverPort: string;
  readonly isEncrypted: boolean;
}

/** One login, of any number of steps. Never throws or rejects; after an answer that is not `more`, or `end`, it is over. */
export interface SaslExchange {
  /** `initial`, `response`: base64, or what a client says is base64. */
  first(mechanism: string, initial: string | undefined): MaybePromise<SaslAnswer>;
  next(response: string): MaybePromise<SaslAnswer>;
  /** Nobody waits for the outcome any more. */
  end(): void;
}

export interface SaslServer {
  /** What the security options leave, in the server's order. Throws or rejects with SaslTrouble. */
  mechanisms(isEncrypted: boolean): MaybePromise<readonly string[]>;
  begin(session: SaslSession): SaslExchange;
  /** What to say about a mechanism that is not served. */
  unknownMechanism(name: string): string;
  close(): void;
}
