/**
 * A sink of our own, a program: `smtp-receive.ts ORDER`, where ORDER is JSON. It takes mail by SMTP, with STARTTLS when it was given a
 * key, counts as `smtp-sink -c` does, and at SIGTERM writes one line of JSON: how long each message was under way (see smtp-load.ts).
 */
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import { steady } from './smtp-load.ts';

export interface ReceiveOrder {
  readonly port: number;
  readonly key?: string;
  readonly certificate?: string;
}

const durations: number[] = [];
let messages = 0;
let counterDue = false;

function countLater(): void {
  if (counterDue) return;
  counterDue = true;
  setImmediate(() => {
    counterDue = false;
    process.stdout.write(`sess=0 quit=0 mesg=${messages}\r`);
  });
}

function arrived(content: string): void {
  messages++;
  const setOut = /^X-Set-Out: ([0-9.]+)\r?$/m.exec(content)?.[1];
  if (setOut !== undefined) durations.push(Math.round((steady() - Number(setOut)) * 1000) / 1000);
  countLater();
}

const replies: { readonly [verb: string]: string } = {
  HELO: '250 sink.test\r\n', MAIL: '250 2.1.0 Ok\r\n', RCPT: '250 2.1.5 Ok\r\n', RSET: '250 2.0.0 Ok\r\n', NOOP: '250 2.0.0 Ok\r\n',
};
const finish = '\r\n.\r\n';

/** The conversation on one socket, TLS or not. */
class Conversation {
  readonly #socket: net.Socket;
  readonly #secrets: tls.SecureContext | undefined;
  #text = '';
  #inContent = false;

  constructor(socket: net.Socket, secrets: tls.SecureContext | undefined, greeting: string) {
    this.#socket = socket;
    this.#secrets = secrets;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => this.#feed(chunk.toString('latin1')));
    if (greeting !== '') socket.write(greeting);
  }

  #feed(chunk: string): void {
    this.#text += chunk;
    let answer = '';
    for (let step = this.#step(); step !== undefined; step = this.#step()) answer += step;
    if (answer !== '' && this.#socket.writable) this.#socket.write(answer);
  }

  /** The reply to what is complete; undefined: nothing is. */
  #step(): string | undefined {
    return this.#inContent ? this.#content() : this.#command();
  }

  #content(): string | undefined {
    const end = this.#text.startsWith('.\r\n') ? -2 : this.#text.indexOf(finish);
    if (end === -1) return undefined;
    arrived(this.#text.slice(0, Math.max(end, 0)));
    this.#text = this.#text.slice(end + finish.length);
    this.#inContent = false;
    return '250 2.0.0 Ok\r\n';
  }

  #command(): string | undefined {
    const end = this.#text.indexOf('\n');
    if (end < 0) return undefined;
    const verb = this.#text.slice(0, 4).toUpperCase();
    const whole = this.#text.slice(0, end).trimEnd().toUpperCase();
    this.#text = this.#text.slice(end + 1);
    if (verb === 'EHLO') return `250-sink.test\r\n250-PIPELINING\r\n${this.#secrets === undefined ? '' : '250-STARTTLS\r\n'}250 8BITMIME\r\n`;
    if (verb === 'DATA') return this.#begin();
    if (verb === 'QUIT') return this.#quit();
    if (whole === 'STARTTLS' && this.#secrets !== undefined) return this.#secure(this.#secrets);
    return replies[verb] ?? '502 5.5.1 Not known here\r\n';
  }

  #begin(): string {
    this.#inContent = true;
    return '354 End with <CR><LF>.<CR><LF>\r\n';
  }

  #quit(): undefined {
    this.#socket.end('221 2.0.0 Bye\r\n');
    return undefined;
  }

  #secure(secrets: tls.SecureContext): undefined {
    const plain = this.#socket;
    plain.removeAllListeners('data');
    plain.write('220 2.0.0 Ready\r\n');
    const secured = new tls.TLSSocket(plain, { isServer: true, secureContext: secrets });
    new Conversation(secured, undefined, '');
    return undefined;
  }
}

const order = JSON.parse(process.argv[2]!) as ReceiveOrder;
const secrets = order.key === undefined || order.certificate === undefined
  ? undefined
  : tls.createSecureContext({ key: readFileSync(order.key), cert: readFileSync(order.certificate) });
net.createServer({ noDelay: true }, (socket) => { new Conversation(socket, secrets, '220 sink.test ESMTP\r\n'); })
  .listen({ port: order.port, host: '127.0.0.1', backlog: 1000 });
process.on('SIGTERM', () => process.stdout.write(`\n${JSON.stringify(durations)}\n`, () => process.exit(0)));
