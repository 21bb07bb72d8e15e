/**
 * Certificates of a test's own, made with openssl(1), and a client that speaks SMTP with and without TLS, line by line.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';

export const noOpenssl: string | false = spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not installed';

export interface Pair { readonly key: string; readonly certificate: string }

const openssl = (...args: string[]): Buffer => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
const kinds = { rsa: ['rsa:2048'], ec: ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'] } as const;

/** A self-signed certificate; with `authority` one of that. Anybody on the machine may read them. */
export function makePair(folder: string, name: string, kind: keyof typeof kinds, authority?: Pair): Pair {
  mkdirSync(folder, { recursive: true });
  const pair = { key: `${folder}/${name}.key`, certificate: `${folder}/${name}.pem` };
  const subject = ['-subj', `/O=Postern test/CN=${name}`];
  if (authority === undefined) openssl('req', '-x509', '-newkey', ...kinds[kind], '-nodes', ...subject, '-days', '30', '-keyout', pair.key, '-out', pair.certificate);
  else {
    openssl('req', '-new', '-newkey', ...kinds[kind], '-nodes', ...subject, '-keyout', pair.key, '-out', `${pair.key}.csr`);
    writeFileSync(`${pair.key}.ext`, `subjectAltName=DNS:${name}\n`);
    openssl('x509', '-req', '-in', `${pair.key}.csr`, '-CA', authority.certificate, '-CAkey', authority.key, '-CAcreateserial', '-days', '30', '-extfile', `${pair.key}.ext`, '-out', pair.certificate);
  }
  for (const file of Object.values(pair)) chmodSync(file, 0o644);
  return pair;
}

/** `AA:BB:...` of a certificate, as Postfix writes it. */
export function fingerprintOf({ certificate }: Pair, digest = 'sha256'): string {
  return openssl('x509', '-in', certificate, '-noout', '-fingerprint', `-${digest}`).toString('latin1').trim().replace(/^.*=/, '');
}

/** Milliseconds of silence after which a server is taken for dead. */
const longestSilence = 15_000;

/** An SMTP client: `hear` gives one whole reply. */
export class Talk {
  #socket: net.Socket;
  #text = '';
  #ended = false;
  #wake: () => void = () => {};

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#listen();
  }

  static async open(port: number): Promise<Talk> {
    return new Talk(net.connect({ port, host: '127.0.0.1' }));
  }

  /** For wrapper mode. */
  static async encrypted(port: number, options: tls.ConnectionOptions = {}): Promise<Talk> {
    return Talk.#over(tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }));
  }

  static #over(socket: tls.TLSSocket): Promise<Talk> {
    return new Promise((resolve, reject) => {
      const talk = new Talk(socket);
      socket.once('secureConnect', () => resolve(talk)).once('error', reject).once('close', () => reject(new Error('closed in the handshake')));
    });
  }

  /** The TLS socket, for what it knows. */
  get tls(): tls.TLSSocket {
    return this.#socket as tls.TLSSocket;
  }

  say(...lines: string[]): this {
    this.#socket.write(lines.map((line) => `${line}\r\n`).join(''), 'latin1');
    return this;
  }

  /** One reply, all its lines; `<closed>` when the server has hung up. */
  async hear(): Promise<string> {
    for (;;) {
      const found = /^(?:[0-9]{3}-.*\r\n)*[0-9]{3}(?: .*)?\r\n/.exec(this.#text)?.[0];
      if (found !== undefined) {
        this.#text = this.#text.slice(found.length);
        return found.trimEnd();
      }
      if (this.#ended) return '<closed>';
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('the server is silent')), longestSilence);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async ask(...lines: string[]): Promise<string> {
    return this.say(...lines).hear();
  }

  /** STARTTLS and the handshake; the hello after it is the caller's. */
  async secure(options: tls.ConnectionOptions = {}): Promise<Talk> {
    const reply = await this.ask('STARTTLS');
    if (!reply.startsWith('220')) throw new Error(reply);
    this.#socket.removeAllListeners();
    return Talk.#over(tls.connect({ socket: this.#socket, rejectUnauthorized: false, ...options }));
  }

  /** Everything up to an encrypted session that has said hello. */
  static async hello(port: number, options: tls.ConnectionOptions = {}): Promise<Talk> {
    const talk = await Talk.open(port);
    await talk.hear();
    await talk.ask('EHLO client.test');
    const secured = await talk.secure(options);
    await secured.ask('EHLO client.test');
    return secured;
  }

  async quit(): Promise<void> {
    await this.ask('QUIT');
    this.#socket.destroy();
  }

  close(): void {
    this.#socket.destroy();
  }

  #listen(): void {
    const over = (): void => {
      this.#ended = true;
      this.#wake();
    };
    this.#socket.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString('latin1');
      this.#wake();
    });
    this.#socket.on('end', over).on('close', over).on('error', over);
  }
}
