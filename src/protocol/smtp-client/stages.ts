/** The points of a dialogue at which the client waits: how long, and what log lines call them. */
import type { ClientTimeouts } from './steps.ts';

interface Stage {
  readonly timeout: keyof ClientTimeouts;
  /** After "lost connection with ... while" and "conversation with ... timed out while". */
  readonly while: string;
  /** After "in reply to". */
  readonly request: string;
}

export const stages = {
  greeting: { timeout: 'helo', while: 'receiving the initial server greeting', request: 'greeting' },
  ehlo: { timeout: 'helo', while: 'performing the EHLO handshake', request: 'EHLO command' },
  helo: { timeout: 'helo', while: 'performing the HELO handshake', request: 'HELO command' },
  lhlo: { timeout: 'helo', while: 'performing the LHLO handshake', request: 'LHLO command' },
  auth: { timeout: 'helo', while: 'performing the EHLO handshake', request: 'AUTH command' },
  lmtpAuth: { timeout: 'helo', while: 'performing the LHLO handshake', request: 'AUTH command' },
  startTls: { timeout: 'startTls', while: 'receiving the STARTTLS response', request: 'STARTTLS command' },
  probe: { timeout: 'rset', while: 'sending RSET probe', request: 'RSET probe' },
  xforwardClient: { timeout: 'xforward', while: 'sending XFORWARD name/address', request: 'XFORWARD name/address command' },
  xforwardSession: { timeout: 'xforward', while: 'sending XFORWARD protocol/helo_name', request: 'XFORWARD helo/protocol command' },
  mail: { timeout: 'mail', while: 'sending MAIL FROM', request: 'MAIL FROM command' },
  rcpt: { timeout: 'rcpt', while: 'sending RCPT TO', request: 'RCPT TO command' },
  data: { timeout: 'dataInit', while: 'sending DATA command', request: 'DATA command' },
  dot: { timeout: 'dataDone', while: 'sending end of data -- message may be sent more than once', request: 'end of DATA command' },
  abort: { timeout: 'rset', while: 'sending final RSET', request: 'final RSET command' },
  quit: { timeout: 'quit', while: 'sending QUIT', request: 'QUIT command' },
} as const satisfies Record<string, Stage>;

export type StageName = keyof typeof stages;

/** Where a reply settles recipients, and nothing further is begun by it. */
export const outcomeStages: ReadonlySet<StageName> = new Set(['mail', 'rcpt', 'dot']);
