/** One message handed over by SMTP, the way a client does it. */
import { SmtpClient } from './faults/smtp-client.ts';

export interface Submission {
  readonly port: number;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Lines end in LF here and in CR LF on the wire; dots are doubled on the way. */
  readonly text: string;
}

/** The queue id. Rejects with the server's words when it does not take the message or one of the recipients. */
export async function submit({ port, sender, recipients, text }: Submission): Promise<string> {
  const client = await SmtpClient.meet(port);
  try {
    for (const line of [`MAIL FROM:<${sender}>`, ...recipients.map((each) => `RCPT TO:<${each}>`), 'DATA']) {
      const reply = await client.command(line);
      if (reply.code >= 400) throw new Error(`${line}: ${reply.text}`);
    }
    const reply = await client.content(Buffer.from(`${text.replace(/^\./gm, '..')}.\n`.replaceAll('\n', '\r\n'), 'latin1'));
    const queueId = /queued as ([0-9A-Za-z]+)/.exec(reply.text)?.[1];
    if (queueId === undefined) throw new Error(reply.text);
    return queueId;
  } finally {
    await client.quit();
  }
}
