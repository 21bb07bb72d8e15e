/**
 * A client that speaks SMTP one command at a time and tells apart how a connection ends: `GoneAway` carries whether the greeting had
 * come. For tests that count who was served.
 */
import net from 'node:net';

export interface Reply { readonly code: number; readonly text: string }

/** The server closed or refused the connection. */
export class GoneAway extends Error {
  /** Before any greeting. */
  readonly atTheDoor: boolean;

  constructor(reason: string, atTheDoor: boolean) {
    super(reason);
    this.atTheDoor = atTheDoor;
  }
}

const whole = /^(?:[0-9]{3}-[^\n]*\n)*([0-9]{3})(?: [^\n]*)?\n/;

export class SmtpClient {
  readonly #socket: net.Socket;
  #input = '';
  #greeted = false;
  #gone: string | undefined;
  #look: () => void = () => undefined;

  private constructor(port: number) {
    this.#socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('error', (error: NodeJS.ErrnoException) => { this.#gone ??= error.code ?? error.message; });
    this.#socket.on('data', (chunk: Buffer) => {
      this.#input += chunk.toString('latin1');
      this.#look();
    });
    this.#socket.on('end', () => this.#socket.end());
    this.#socket.on('close', () => {
      this.#gone ??= 'closed';
      this.#look();
    });
  }

  /** Connected, greeted and introduced. */
  static async meet(port: number): Promise<SmtpClient> {
    const client = new SmtpClient(port);
    const greeting = await client.reply();
    client.#greeted = true;
    if (greeting.code !== 220) throw new GoneAway(greeting.text, false);
    await client.command('EHLO client.example.test');
    return client;
  }

  reply(): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#look = () => {
        const found = whole.exec(this.#input);
        if (found !== null) {
          this.#input = this.#input.slice(found[0].length);
          this.#look = () => undefined;
          resolve({ code: Number(found[1]), text: found[0].trimEnd() });
        } else if (this.#gone !== undefined) reject(new GoneAway(this.#gone, !this.#greeted));
      };
      this.#look();
    });
  }

  command(line: string): Promise<Reply> {
    this.#socket.write(`${line}\r\n`, 'latin1');
    return this.reply();
  }

  /** The message itself, final dot included. */
  content(wire: Buffer): Promise<Reply> {
    this.#socket.write(wire);
    return this.reply();
  }

  /** Bytes as they come; resolves when there is room for more. */
  write(bytes: Buffer): Promise<void> {
    if (this.#socket.write(bytes) || this.#gone !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const go = (): void => {
        this.#socket.off('drain', go).off('close', go);
        resolve();
      };
      this.#socket.on('drain', go).on('close', go);
    });
  }

  async quit(): Promise<void> {
    await this.command('QUIT').catch(() => undefined);
    this.#socket.destroy();
  }

  drop(): void {
    this.#socket.destroy();
  }
}
