/**
 * A server, SMTP or LMTP, that behaves badly at one step of its first session, and well ever after. It keeps account of what it took: whole
 * messages, by recipient, and whether it said so.
 */
import net from 'node:net';

export const steps = ['greeting', 'EHLO', 'probe', 'MAIL', 'RCPT', 'second RCPT', 'DATA', 'content', 'dot', 'second reply'] as const;
export type Step = (typeof steps)[number];

/** What is said instead of a reply; then the session goes on, ends, or nothing more comes. Or (`drip`) the reply itself, a byte at a time. */
export interface Manner { readonly say: string; readonly then: 'end' | 'reset' | 'silence' | 'go on' | 'drip' }

export interface Trouble {
  readonly step: Step;
  readonly manner: Manner;
  readonly lmtp: boolean;
  readonly pipelining: boolean;
  /** It comes with the second message of the session; the step `probe` is RSET in front of it. */
  readonly second: boolean;
}

export interface Taken { readonly recipient: string; readonly text: string; acknowledged: boolean }

const longEnough = 30_000;

export class BadPeer {
  readonly taken: Taken[] = [];
  /** Sessions that went wrong. */
  spoiled = 0;
  readonly #trouble: Trouble;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #sessions = 0;

  private constructor(trouble: Trouble) {
    this.#trouble = trouble;
    this.#server = net.createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket)));
      new Session(this, this.#trouble, socket, this.#sessions++ === 0).greet();
    });
  }

  static async listen(trouble: Trouble): Promise<BadPeer> {
    const peer = new BadPeer(trouble);
    await new Promise<void>((resolve, reject) => { peer.#server.once('error', reject).listen(0, '127.0.0.1', resolve); });
    return peer;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => { this.#server.close(resolve); });
  }
}

class Session {
  readonly #peer: BadPeer;
  readonly #trouble: Trouble;
  readonly #socket: net.Socket;
  #isBad: boolean;
  #isOver = false;
  #text = '';
  #inContent = false;
  #hasSender = false;
  #messages = 0;
  /** What is to be said slowly. */
  #outbox: string | undefined;
  #recipients: string[] = [];

  constructor(peer: BadPeer, trouble: Trouble, socket: net.Socket, isBad: boolean) {
    [this.#peer, this.#trouble, this.#socket, this.#isBad] = [peer, trouble, socket, isBad];
    socket.on('data', (bytes: Buffer) => this.#hear(bytes.toString('latin1')));
  }

  greet(): void {
    this.#reply('greeting', '220 peer.test here');
  }

  #hear(text: string): void {
    this.#text += text;
    while (!this.#isOver) {
      if (this.#inContent) {
        if (!this.#takeContent()) return;
        continue;
      }
      const end = this.#text.indexOf('\r\n');
      if (end < 0) return;
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      this.#command(line);
    }
  }

  #command(line: string): void {
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === 'EHLO' || verb === 'LHLO') this.#reply('EHLO', this.#trouble.pipelining ? '250-peer.test\r\n250 PIPELINING' : '250 peer.test');
    else if (verb === 'MAIL') this.#mail();
    else if ((verb === 'RCPT' && !this.#hasSender) || (verb === 'DATA' && this.#recipients.length === 0)) this.#say('503 5.5.1 not now');
    else if (verb === 'RCPT') this.#rcpt(/<(.*)>/.exec(line)![1]!);
    else if (verb === 'DATA') this.#data();
    else if (verb === 'RSET') this.#reply('probe', '250 2.0.0 Ok');
    else this.#say(verb === 'QUIT' ? '221 2.0.0 Bye' : '250 2.0.0 Ok');
    if (verb === 'QUIT' && this.#outbox === undefined) this.#socket.end();
  }

  #mail(): void {
    this.#recipients = [];
    this.#hasSender = this.#reply('MAIL', '250 2.1.0 Ok');
  }

  #rcpt(recipient: string): void {
    if (this.#reply(this.#recipients.length === 0 ? 'RCPT' : 'second RCPT', '250 2.1.5 Ok')) this.#recipients.push(recipient);
  }

  #data(): void {
    if (this.#reply('DATA', '354 go on')) this.#inContent = true;
  }

  /** False: there is more to come. */
  #takeContent(): boolean {
    const end = `\r\n${this.#text}`.indexOf('\r\n.\r\n');
    if (this.#isBadAt('content') && this.#text.length > longEnough) {
      this.#misbehave();
      return false;
    }
    if (end < 0) return false;
    this.#inContent = false;
    const text = this.#text.slice(0, end).replace(/^\./gm, '');
    this.#text = this.#text.slice(end + 3);
    const taken = this.#recipients.map((recipient) => ({ recipient, text, acknowledged: false }));
    this.#peer.taken.push(...taken);
    const acknowledge = (of: readonly Taken[], step: Step): void => {
      if (this.#reply(step, '250 2.0.0 taken')) for (const each of of) each.acknowledged = true;
    };
    if (!this.#trouble.lmtp) acknowledge(taken, 'dot');
    else taken.forEach((each, at) => acknowledge([each], at === 0 ? 'dot' : 'second reply'));
    this.#messages++;
    return true;
  }

  #isBadAt(step: Step): boolean {
    return this.#isBad && step === this.#trouble.step && (!this.#trouble.second || this.#messages > 0);
  }

  /** True: what was meant to be said was said. */
  #reply(step: Step, text: string): boolean {
    if (this.#isOver) return false;
    if (this.#isBadAt(step)) {
      this.#misbehave();
      if (this.#trouble.manner.then !== 'drip') return false;
    }
    this.#say(text);
    return true;
  }

  #misbehave(): void {
    const { say, then } = this.#trouble.manner;
    this.#isBad = false;
    this.#peer.spoiled++;
    if (say !== '') this.#socket.write(Buffer.from(say, 'latin1'));
    if (then === 'drip') this.#outbox = '';
    if (then === 'go on' || then === 'drip') return;
    this.#isOver = true;
    if (then === 'end') this.#socket.end();
    if (then === 'reset') this.#socket.resetAndDestroy();
  }

  #say(text: string): void {
    if (this.#isOver) return;
    if (this.#outbox === undefined) return void this.#socket.write(`${text}\r\n`);
    if (this.#outbox === '') setTimeout(() => this.#drip(), 1);
    this.#outbox += `${text}\r\n`;
  }

  #drip(): void {
    this.#socket.write(this.#outbox!.slice(0, 1));
    this.#outbox = this.#outbox!.slice(1);
    if (this.#outbox !== '' && !this.#socket.destroyed) setTimeout(() => this.#drip(), 1);
  }
}
