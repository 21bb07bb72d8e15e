/**
 * What a mechanism is to a client that logs in (RFC 4422): a few messages back and forth, in bytes, whatever protocol carries them.
 *
 * A login is used once. `first` and `next` throw SaslTrouble when the server says something that the mechanism has no place for, or fails
 * to prove what it must; nothing further is then sent. `proven` is false while the server still owes a proof: until then its yes is
 * not to be believed.
 */

/** Who logs in, byte strings. Which of `password` and `token` is there decides about the mechanisms. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  /** A bearer token (RFC 6750), in place of a password. */
  | { readonly username: string; readonly token: string };

/** What a mechanism needs besides. */
export interface LoginContext {
  /** `smtp` or `lmtp`. */
  readonly service: string;
  /** The server's name. */
  readonly host: string;
  readonly port: number;
  /** A fresh text for each login: printable, without comma. */
  readonly nonce: () => string;
  /** Say for whom we act although it is who logs in (send_cyrus_sasl_authzid). */
  readonly saysWhom?: boolean;
}

export interface Login {
  /** What the client says at once; undefined: it waits for the server. */
  first(): Buffer | undefined;
  next(challenge: Buffer): Buffer;
  readonly proven: boolean;
}

export class SaslTrouble extends Error {}

export interface Mechanism {
  /** In capitals. */
  readonly name: string;
  /** Bits of protocol/sasl/security-options.ts. */
  readonly properties: number;
  /** It is for a token, not for a password. */
  readonly forToken: boolean;
  login(credentials: Credentials, context: LoginContext): Login;
}

export function passwordOf(credentials: Credentials): string {
  if ('password' in credentials) return credentials.password;
  throw new SaslTrouble('no password');
}

export function tokenOf(credentials: Credentials): string {
  if ('token' in credentials) return credentials.token;
  throw new SaslTrouble('no token');
}

export const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');
