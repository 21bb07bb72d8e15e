/**
 * A TLS handshake as a client, over a stream that stands, with OpenSSL's own trace of it caught for the facts that Node does not tell.
 *
 * Never rejects: trouble is text for the log. The caller ends what it gets: `release` gives standard error back.
 */
import net from 'node:net';
import tls from 'node:tls';
import { catchStandardError, type CaughtError } from '../../host/standard-error.ts';
import { errorText } from '../../host/libc.ts';
import type { Ticker } from '../../network/ticker.ts';
import { nodeCiphers } from '../../network/tls-ciphers.ts';
import { libraryProblems } from '../../network/tls-log.ts';
import type { ProtocolRange } from '../../network/tls-protocols.ts';
import type { Credentials } from './credentials.ts';
import { readTrace, type TraceFacts } from './trace.ts';

/** Of the trace, in bytes. */
export const traceLimit = 4 << 20;

export interface HandshakeOptions {
  readonly socket: net.Socket;
  readonly credentials: Credentials;
  readonly range: ProtocolRange;
  readonly ciphers: string;
  /** OpenSSL's: how weak keys may be. */
  readonly securityLevel: number;
  readonly sni: string | undefined;
  readonly session: Buffer | undefined;
  /** Seconds. */
  readonly timeout: number;
  readonly ticker: Ticker;
  readonly onSession: (session: Buffer) => void;
}

export type Handshake =
  | { readonly stream: tls.TLSSocket; readonly trace: TraceFacts; readonly caught: CaughtError }
  | { readonly lines: readonly string[] };

/** `lines`: `SSL_connect error to PEER: ...` and what OpenSSL has to say. */
export function shakeHands(peer: string, options: HandshakeOptions): Promise<Handshake> {
  const caught = catchStandardError();
  return new Promise((resolve) => {
    let over = false;
    const failed = (...lines: readonly string[]): void => {
      if (over) return;
      over = true;
      timer.cancel();
      void endStream(options.socket).then(() => {
        caught.release();
        resolve({ lines });
      });
    };
    const timer = options.ticker.after(options.timeout * 1000, () => failed(`SSL_connect error to ${peer}: Connection timed out`));
    let stream: tls.TLSSocket;
    try {
      stream = tls.connect(connectOptions(options));
    } catch (error) {
      return failed(`SSL_connect error to ${peer}: -1`, ...libraryProblems(error as Error).map((line) => `warning: ${line}`));
    }
    stream.on('error', (error: NodeJS.ErrnoException) => failed(...errorLines(peer, error)));
    stream.on('close', () => failed(`SSL_connect error to ${peer}: lost connection`));
    stream.on('session', options.onSession);
    stream.on('secureConnect', () => {
      timer.cancel();
      stream.removeAllListeners('error').removeAllListeners('close').on('error', () => {}).pause();
      resolve({ stream, trace: readTrace(caught.text(traceLimit).toString('latin1')), caught });
    });
  });
}

/** Hang up, and be sure that OpenSSL hears nothing more: its trace would be on standard error. */
export function endStream(stream: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) return resolve();
    stream.once('close', () => resolve()).destroy();
  });
}

function connectOptions({ socket, credentials, range, ciphers, securityLevel, sni, session }: HandshakeOptions): tls.ConnectionOptions {
  return {
    socket, minVersion: range.minVersion, maxVersion: range.maxVersion, secureOptions: range.excluded, ciphers: nodeCiphers(ciphers, securityLevel), ca: [...credentials.authorities], enableTrace: true, rejectUnauthorized: false, checkServerIdentity: () => undefined,
    ecdhCurve: credentials.groups,
    ...(credentials.chains.length === 0 ? {} : { cert: credentials.chains.map(({ certificates }) => certificates), key: credentials.chains.map(({ key }) => key) }),
    ...(sni === undefined || net.isIP(sni) !== 0 ? {} : { servername: sni }),
    ...(session === undefined ? {} : { session }),
  };
}

function errorLines(peer: string, error: NodeJS.ErrnoException): string[] {
  if (/(?:^|:)error:[0-9A-F]{8}:/.test(error.message)) return [`SSL_connect error to ${peer}: -1`, ...libraryProblems(error).map((line) => `warning: ${line}`)];
  if (error.code === 'ECONNRESET' && error.errno === undefined) return [`SSL_connect error to ${peer}: lost connection`];
  return [`SSL_connect error to ${peer}: ${errorText(error)}`];
}
