/** What qmqp-source(1) sends: one message with its envelope, the same every time. Pure. */
import { netstring } from '../../protocol/qmqp/netstring.ts';

export interface RequestFacts {
  readonly sender: string;
  readonly recipient: string;
  readonly recipients: number;
  /** Bytes of the message, headers included. */
  readonly length: number;
  readonly date: string;
  readonly pid: number;
  readonly hostname: string;
}

const longestLine = 79;

/** Headers, then lines that grow by a letter; cut at the length, with a line end there. */
export function messageText({ sender, recipient, length, date, pid, hostname }: RequestFacts): string {
  let text = `From: <${sender}>\nTo: <${recipient}>\nDate: ${date}\nMessage-Id: <${pid}@${hostname}>\n\n`;
  const lines: string[] = [];
  let size = text.length;
  for (let number = 1; size < length; number++) {
    const line = `${'X'.repeat(Math.min(number, longestLine))}\n`;
    lines.push(line);
    size += line.length;
  }
  text += lines.join('');
  return `${text.slice(0, length - 1)}\n`;
}

export function qmqpRequest(facts: RequestFacts): Buffer {
  const { sender, recipient, recipients } = facts;
  const to = recipients === 1 ? [recipient] : Array.from({ length: recipients }, (_, number) => `${number}${recipient}`);
  return netstring(netstring(messageText(facts)), netstring(sender), ...to.map((each) => netstring(each)));
}
