/**
 * Senders that hand over messages to a port until enough of them were acknowledged, whatever happens to the mail system meanwhile:
 * a connection that breaks is made again, a message that was not acknowledged is not repeated (the next one is another message).
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Account, Sent } from './account.ts';
import { GoneAway, SmtpClient } from './smtp-client.ts';

export interface SendOptions {
  readonly port: number;
  readonly account: Account;
  readonly recipients: readonly string[];
  /** Messages to be acknowledged. */
  readonly count: number;
  readonly connections: number;
  readonly perConnection: number;
  /** Bytes of a message. */
  readonly size?: number | (() => number);
  /** After each acknowledgement. */
  readonly acknowledged?: (count: number) => void;
  /** Nobody will listen again: the senders go. */
  readonly abandoned?: AbortSignal;
}

const sender = 'sender@client.example.test';
/** Milliseconds before a door that was closed is tried again: nobody listens while master is away. */
const doorPause = 100;

export async function sendAll(options: SendOptions): Promise<void> {
  let turn = 0;
  const next = (): string => options.recipients[turn++ % options.recipients.length]!;
  await Promise.all(Array.from({ length: options.connections }, () => sendSome(options, next)));
}

async function sendSome(options: SendOptions, next: () => string): Promise<void> {
  while (options.account.acknowledged < options.count && options.abandoned?.aborted !== true) {
    try {
      await visit(options, next);
    } catch (error) {
      if (!(error instanceof GoneAway)) throw error;
      await pause(doorPause);
    }
  }
}

async function visit(options: SendOptions, next: () => string): Promise<void> {
  const { account, port, perConnection, count, size } = options;
  const client = await SmtpClient.meet(port);
  try {
    for (let turn = 0; turn < perConnection && account.acknowledged < count; turn++) {
      const recipient = next();
      if (!(await handOver(client, account, account.message(sender, recipient, typeof size === 'function' ? size() : size), recipient))) await client.command('RSET');
      else options.acknowledged?.(account.acknowledged);
    }
    await client.quit();
  } finally {
    client.drop();
  }
}

/** True: it was acknowledged. Rejects with GoneAway when the connection breaks. */
export async function handOver(client: SmtpClient, account: Account, { id, wire }: Sent, recipient: string): Promise<boolean> {
  for (const line of [`MAIL FROM:<${sender}>`, `RCPT TO:<${recipient}>`, 'DATA']) {
    const { code } = await client.command(line);
    if (code >= 400) return false;
  }
  account.settle(id, 'unanswered');
  const { code } = await client.content(wire);
  account.settle(id, code < 400 ? 'acknowledged' : 'refused');
  return code < 400;
}
