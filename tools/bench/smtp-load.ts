/**
 * A driver of our own, a program: `smtp-load.ts ORDER`, where ORDER is JSON. It sends messages by SMTP, also with STARTTLS, and
 * writes one line of JSON: how long each took from the opening of its connection to the reply that accepted it. Each message carries
 * the time at which it set out, on the machine's steady clock, in a header that the sink reads. A reply that refuses ends it with status 1.
 */
import net from 'node:net';
import tls from 'node:tls';
import { setTimeout as delay } from 'node:timers/promises';

export interface LoadOrder {
  readonly port: number;
  readonly messages: number;
  readonly size: number;
  readonly sessions: number;
  readonly keep: boolean;
  readonly tls: boolean;
  /** Milliseconds of rest between the messages of a session. */
  readonly pause: number;
  readonly from: string;
  readonly to: string;
}

/** Milliseconds on the clock that all processes of the machine share. */
export const steady = (): number => Number(process.hrtime.bigint()) / 1e6;

const replyLimit = 60_000;

/** One SMTP connection: write a command, wait for the complete reply. */
class Session {
  #socket: net.Socket;
  #text = '';
  #wake: ((error?: Error) => void) | undefined;
  #trouble: Error | undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#listen(socket);
  }

  static async open(order: LoadOrder): Promise<Session> {
    const session = new Session(net.connect({ port: order.port, host: '127.0.0.1', noDelay: true }));
    await session.reply(220);
    await session.say('EHLO client.bench.test\r\n', 250);
    if (order.tls) await session.#secure();
    return session;
  }

  #listen(socket: net.Socket): void {
    const fail = (error: Error): void => {
      this.#trouble ??= error;
      this.#wake?.();
    };
    socket.setTimeout(replyLimit, () => socket.destroy(new Error('no reply in a minute')));
    socket.on('error', fail).on('close', () => fail(new Error('connection closed')));
    socket.on('data', (chunk) => {
      this.#text += chunk.toString('latin1');
      this.#wake?.();
    });
  }

  async #secure(): Promise<void> {
    await this.say('STARTTLS\r\n', 220);
    this.#socket.removeAllListeners('data').removeAllListeners('close');
    this.#socket = tls.connect({ socket: this.#socket, rejectUnauthorized: false });
    this.#listen(this.#socket);
    await this.say('EHLO client.bench.test\r\n', 250);
  }

  async reply(code: number): Promise<void> {
    while (!/^[0-9]{3}(?: .*)?\r?\n/m.test(this.#text)) {
      if (this.#trouble !== undefined) throw this.#trouble;
      await new Promise<void>((resolve) => { this.#wake = () => resolve(); });
    }
    const text = this.#text;
    this.#text = '';
    if (!text.startsWith(String(code))) throw new Error(`wanted ${code}, got ${text.trim()}`);
  }

  say(command: string, code: number): Promise<void> {
    this.#socket.write(command, 'latin1');
    return this.reply(code);
  }

  async send(order: LoadOrder, body: string, begun: number): Promise<void> {
    await this.say(`MAIL FROM:<${order.from}>\r\n`, 250);
    await this.say(`RCPT TO:<${order.to}>\r\n`, 250);
    await this.say('DATA\r\n', 354);
    await this.say(`From: <${order.from}>\r\nTo: <${order.to}>\r\nSubject: bench\r\nX-Set-Out: ${begun.toFixed(3)}\r\n\r\n${body}.\r\n`, 250);
  }

  async close(): Promise<void> {
    await this.say('QUIT\r\n', 221);
    this.#socket.destroy();
  }
}

async function runSession(order: LoadOrder, body: string, take: () => boolean, durations: number[]): Promise<void> {
  let session: Session | undefined;
  while (take()) {
    const begun = steady();
    session ??= await Session.open(order);
    await session.send(order, body, begun);
    durations.push(steady() - begun);
    if (!order.keep) {
      await session.close();
      session = undefined;
    }
    if (order.pause > 0) await delay(order.pause * (0.5 + Math.random()));
  }
  await session?.close();
}

async function main(order: LoadOrder): Promise<void> {
  const line = `${'x'.repeat(78)}\r\n`;
  const body = line.repeat(Math.ceil(order.size / line.length));
  const durations: number[] = [];
  let left = order.messages;
  const take = (): boolean => left-- > 0;
  await Promise.all(Array.from({ length: order.sessions }, () => runSession(order, body, take, durations)));
  process.stdout.write(`${JSON.stringify(durations.map((value) => Math.round(value * 1000) / 1000))}\n`);
}

if (import.meta.main) {
  main(JSON.parse(process.argv[2]!) as LoadOrder).catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
}
