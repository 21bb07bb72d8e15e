/**
 * Plays conversations with the services of a mail system, and tells what was said and what was logged, without what two systems never
 * have in common: times, process ids, queue ids.
 */
import { existsSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { eventually } from '../instance.ts';
import type { Conversation } from './conversations.ts';

/** Longest silence of a server, in milliseconds. */
const longestSilence = 15_000;

/** A connection as a row of replies. */
class Replies {
  readonly #socket: Socket;
  #text = '';
  #over = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    const over = (): void => {
      this.#over = true;
      this.#wake();
    };
    socket.on('data', (bytes) => {
      this.#text += bytes.toString('latin1');
      this.#wake();
    }).on('end', over).on('close', over).on('error', over);
  }

  say(text: string): void {
    if (!this.#over) this.#socket.write(text, 'latin1');
  }

  /** One reply with all its lines; undefined: the connection is closed. */
  async next(): Promise<string | undefined> {
    for (;;) {
      const found = /^(?:[0-9]{3}-.*\r\n)*[0-9]{3}(?: .*)?\r\n/.exec(this.#text)?.[0];
      if (found !== undefined) {
        this.#text = this.#text.slice(found.length);
        return found;
      }
      if (this.#over) return this.#text === '' ? undefined : `rest: ${this.#text}`;
      const silent = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(true), longestSilence);
        this.#wake = () => {
          clearTimeout(timer);
          resolve(false);
        };
      });
      if (silent) return undefined;
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Lines `C: ...` and `S: ...`. */
export async function converse(port: number, { address, turns }: Conversation): Promise<string[]> {
  const replies = new Replies(connect({ host: '127.0.0.1', port, localAddress: address }));
  const said: string[] = [];
  let last = '';
  const hear = async (): Promise<boolean> => {
    const reply = await replies.next();
    if (reply === undefined) said.push('S: <closed>');
    else said.push(...reply.replace(/queued as [0-9A-Za-z]+/, 'queued as Q').replace(' AUTH BDAT', ' BDAT').replace('REVERSE_NAME PORT LOGIN DESTADDR', 'REVERSE_NAME PORT DESTADDR').trimEnd().split('\r\n').map((line) => `S: ${line}`));
    last = reply ?? '';
    return reply !== undefined && !reply.startsWith('rest: ');
  };
  const content = async (text: string): Promise<boolean> => {
    said.push(`C: (content of ${text.length} bytes)`);
    replies.say(`${text.replace(/^\./gm, '..')}.\r\n`);
    return hear();
  };
  try {
    let open = await hear();
    if (said[0] === 'S: <closed>') throw new Error(`port ${port}: no greeting`);
    for (const turn of turns) {
      if (!open) break;
      if (turn.kind === 'content') {
        if (last.startsWith('354')) open = await content(turn.text);
        continue;
      }
      if (last.startsWith('354')) open = await content('');
      said.push(...turn.lines.map((line) => `C: ${line}`));
      replies.say(turn.lines.map((line) => `${line}\r\n`).join(''));
      for (let count = turn.lines.length; open && count > 0; count--) open = await hear();
    }
  } finally {
    replies.close();
  }
  return said;
}

const queueId = /\b(?:[0-9A-F]{8,16}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}): (?=\S+: |client=|too many|lost connection|timeout|malformed)/;
/** What log lines of releases before 3.8 do not have, or count otherwise. */
const releases = /^NOQUEUE: (?=too many|lost connection|timeout)|^Q: (?=too many|lost connection|timeout)| sasl_method=\S+ sasl_username=\S+$|(?: unknown=\S+)? commands=\S+$/;

const client = /\[((?:127|10)(?:\.[0-9]+){3})\]/;

/** What smtpd logged, by conversation. Resolves when all of them have ended in the log too. */
export async function logOf(file: string, conversations: readonly Conversation[]): Promise<Map<Conversation, string[]>> {
  const byAddress = new Map(conversations.flatMap((one) => [[one.address, one], [one.other, one]] as const));
  const isGone = (line: string): boolean => line.includes(': disconnect from ') && byAddress.has(client.exec(line)?.[1] ?? '');
  const lines = (): string[] => (existsSync(file) ? readFileSync(file, 'latin1').split('\n') : []);
  const missing = (): Conversation[] => {
    const gone = new Set(lines().filter(isGone).map((line) => byAddress.get(client.exec(line)![1]!)));
    return conversations.filter((one) => !gone.has(one));
  };
  await eventually('every client is logged as gone', () => missing().length === 0)
    .catch((error: Error) => { throw new Error(`${error.message}; of ${missing().length} clients nothing, ${missing()[0]?.address ?? ''} is one`); });
  const log = new Map(conversations.map((one) => [one, [] as string[]]));
  for (const line of lines()) {
    const text = /\/smtpd\[[0-9]+\]: (.*)$/.exec(line)?.[1];
    const address = client.exec(text ?? '')?.[1];
    const conversation = byAddress.get(address ?? '');
    if (text !== undefined && conversation !== undefined) log.get(conversation)!.push(text.replace(queueId, 'Q: ').replace(releases, '').replace(/inet:127\.0\.0\.1:[0-9]+/, 'inet:127.0.0.1:$port').replace(/[\x80-\xff]/g, '?'));
  }
  return log;
}
