/**
 * rmail: what uux(1) of another host runs here to hand over mail. The sender is in the first line ("From user date remote from relay");
 * recipients are the words of the command line.
 *
 * Everything else is sendmail(1)'s; a sender without `@` or `!` is one of the relay's. As Postfix's auxiliary script of that name.
 */
import { main as sendmail, type SendmailStreams } from '../sendmail/sendmail.ts';

/** A first line is never longer; what is goes to sendmail as it is. */
const lineLimit = 4096;

export async function main(argv: string[], environment: NodeJS.ProcessEnv, streams: SendmailStreams): Promise<number> {
  const { line, rest } = await firstLine(streams.stdin);
  return sendmail(['-i', '-f', senderIn(line), '--', ...argv], environment, { ...streams, stdin: rest });
}

/** The fourth to the eighth word are the date; the last stands behind "remote from". */
export function senderIn(line: string): string {
  const words = line.split(' ').filter((word) => word !== '');
  const from = words[1] ?? '';
  const relay = words.slice(9).join(' ');
  return /[@!]/.test(from) ? from : `${from}@${relay}`;
}

async function firstLine(stdin: AsyncIterable<Uint8Array>): Promise<{ line: string; rest: AsyncIterable<Uint8Array> }> {
  const chunks = stdin[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
    head = Buffer.concat([head, next.value]);
    if (head.includes(10) || head.length > lineLimit) break;
  }
  const end = head.indexOf(10);
  const body = end < 0 ? Buffer.alloc(0) : head.subarray(end + 1);
  return { line: head.toString('utf8', 0, end < 0 ? head.length : end), rest: following(body, chunks) };
}

async function* following(head: Buffer, chunks: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  if (head.length > 0) yield head;
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
}
