/**
 * SMTP servers with certificates of every quality, good and bad: for tests of what a client makes of them. Keys and certificates are made
 * with openssl(1). All of them take mail, from whoever still wants to send it.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';

const openssl = (...args: readonly string[]): Buffer => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });

interface Wish {
  readonly subject: string;
  /** Whose key signs it; itself where nobody is named. */
  readonly by?: string;
  readonly kind?: 'rsa' | 'ec';
  readonly extensions: string;
  /** Validity, where it is not now. */
  readonly dates?: readonly [from: string, to: string];
}

const past = ['20200101000000Z', '20210101000000Z'] as const;
const future = ['20900101000000Z', '20910101000000Z'] as const;
/** What `openssl ca` wants; it alone knows other days than today. */
const office = (folder: string): string => `[ca]
default_ca = office
[office]
database = ${folder}/office.index
new_certs_dir = ${folder}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
organizationName = optional
`;
const authority = 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n';
const named = 'subjectAltName=DNS:mail.peer.test,DNS:*.wild.peer.test,IP:127.1.0.1\n';

/** In the order in which they can be made. */
const wishes: Readonly<Record<string, Wish>> = {
  ca: { subject: '/O=Test Org/CN=Test CA', extensions: authority },
  otherca: { subject: '/O=Other Org/CN=Other CA', extensions: authority },
  middle: { subject: '/CN=Middle CA', by: 'ca', extensions: authority },
  good: { subject: '/O=Mail/CN=mail.peer.test', by: 'ca', extensions: named },
  ecgood: { subject: '/O=Mail/CN=mail.peer.test', by: 'ca', kind: 'ec', extensions: named },
  below: { subject: '/CN=mail.peer.test', by: 'middle', extensions: named },
  self: { subject: '/CN=mail.peer.test', kind: 'ec', extensions: named },
  stranger: { subject: '/CN=mail.peer.test', by: 'otherca', extensions: named },
  wrong: { subject: '/CN=other.peer.test', by: 'ca', extensions: 'subjectAltName=DNS:other.peer.test\n' },
  expired: { subject: '/CN=mail.peer.test', by: 'ca', extensions: named, dates: past },
  future: { subject: '/CN=mail.peer.test', by: 'ca', extensions: named, dates: future },
  purpose: { subject: '/CN=mail.peer.test', by: 'ca', extensions: `${named}extendedKeyUsage=clientAuth\n` },
  nameless: { subject: '/CN=mail.peer.test', by: 'ca', extensions: '' },
  anchored: { subject: '/CN=mail.peer.test', by: 'ca', extensions: 'subjectAltName=DNS:anchor.signed.test,DNS:names-nexthop.signed.test,DNS:mx.names-dot.signed.test\n' },
  client: { subject: '/CN=client.peer.test', by: 'ca', kind: 'ec', extensions: 'extendedKeyUsage=clientAuth\n' },
};

/** NAME.key, NAME.pem in the folder, and NAME.chain with what a server sends. */
export function makeCertificates(folder: string): void {
  const file = (name: string): string => `${folder}/${name}`;
  writeFileSync(file('office.cnf'), office(folder));
  writeFileSync(file('office.index'), '');
  for (const [name, { subject, by, kind = 'rsa', extensions, dates }] of Object.entries(wishes)) {
    openssl('genpkey', ...(kind === 'rsa' ? ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'] : ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']), '-out', file(`${name}.key`));
    openssl('req', '-new', '-key', file(`${name}.key`), '-subj', subject, '-out', file(`${name}.csr`));
    writeFileSync(file(`${name}.ext`), extensions);
    const signer = by === undefined ? ['-signkey', file(`${name}.key`)] : ['-CA', file(`${by}.pem`), '-CAkey', file(`${by}.key`), '-CAcreateserial'];
    if (dates === undefined) openssl('x509', '-req', '-in', file(`${name}.csr`), ...signer, '-days', '30', '-extfile', file(`${name}.ext`), '-out', file(`${name}.pem`));
    else openssl('ca', '-batch', '-notext', '-config', file('office.cnf'), '-cert', file(`${by}.pem`), '-keyfile', file(`${by}.key`), '-in', file(`${name}.csr`), '-startdate', dates[0], '-enddate', dates[1], '-extfile', file(`${name}.ext`), '-out', file(`${name}.pem`));
    const above = by === undefined ? '' : readFileSync(file(`${by}.pem`), 'latin1');
    writeFileSync(file(`${name}.chain`), readFileSync(file(`${name}.pem`), 'latin1') + above);
    for (const ending of ['key', 'pem', 'chain']) chmodSync(file(`${name}.${ending}`), 0o644);
  }
}

/** Hexadecimal digest of a certificate or of its key, with colons. */
export function digestOf(folder: string, name: string, what: 'certificate' | 'key', algorithm = 'sha256'): string {
  const der = what === 'certificate' ? openssl('x509', '-in', `${folder}/${name}.pem`, '-outform', 'DER') : openssl('pkey', '-in', `${folder}/${name}.key`, '-pubout', '-outform', 'DER');
  return execFileSync('openssl', ['dgst', `-${algorithm}`, '-r'], { input: der }).toString('latin1').split(' ')[0]!.toUpperCase().replace(/..(?=.)/g, '$&:');
}

export interface PeerOptions extends tls.TlsOptions {
  /** Name of the certificate. */
  readonly certificate?: string;
  /** TLS before the greeting. */
  readonly wrapped?: boolean;
  /** STARTTLS is not offered. */
  readonly plain?: boolean;
  /** The reply to STARTTLS. */
  readonly startTls?: string;
  /** Instead of a handshake: hang up, say something else, or nothing. */
  readonly handshake?: 'close' | 'garbage' | 'silence';
  /** Said in plain text, in one packet with the reply to STARTTLS. */
  readonly injected?: string;
  /** Hang up at this command once TLS stands. */
  readonly closeAt?: string;
  /** Offered behind TLS. */
  readonly extensions?: readonly string[];
}

/** A server, and what it heard. */
export class Peer {
  readonly #server: net.Server;
  readonly #secure: tls.Server;
  readonly #options: PeerOptions;
  readonly #open = new Set<net.Socket>();
  /** Commands, each with `tls ` or `plain ` in front. */
  readonly heard: string[] = [];
  connections = 0;

  private constructor(folder: string, options: PeerOptions) {
    const name = options.certificate ?? 'good';
    this.#options = options;
    this.#secure = tls.createServer({ cert: readFileSync(`${folder}/${name}.chain`), key: readFileSync(`${folder}/${name}.key`), ...options });
    this.#secure.on('secureConnection', (socket) => this.#talk(socket, true, options.wrapped === true)).on('tlsClientError', () => {});
    this.#server = options.wrapped ? this.#secure : net.createServer((socket) => this.#talk(socket, false, true));
    this.#server.on('connection', (socket: net.Socket) => {
      this.connections++;
      this.#open.add(socket.on('error', () => {}));
    });
  }

  static async listen(folder: string, options: PeerOptions = {}, host = '0.0.0.0', port = 0): Promise<Peer> {
    const peer = new Peer(folder, options);
    await new Promise<void>((resolve, reject) => { peer.#server.once('error', reject).listen(port, host, resolve); });
    return peer;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => { this.#server.close(resolve); });
    this.#secure.close();
  }

  #talk(socket: net.Socket, isSecure: boolean, greets: boolean): void {
    const { extensions = [], plain, startTls = '220 2.0.0 Ready', wrapped, closeAt } = this.#options;
    let text = '';
    let content = false;
    const say = (line: string): void => void socket.write(`${line}\r\n`, 'latin1');
    const offers = ['PIPELINING', '8BITMIME', ...(plain || isSecure || wrapped ? [] : ['STARTTLS']), ...(isSecure ? extensions : [])];
    const command = (line: string): void => {
      this.heard.push(`${isSecure ? 'tls' : 'plain'} ${line}`);
      const word = line.split(/[ :]/)[0]!.toUpperCase();
      if (isSecure && word === closeAt) return void socket.destroy();
      if (word === 'EHLO' || word === 'LHLO') return say(['mail.peer.test', ...offers].map((each, at) => `250${at === offers.length ? ' ' : '-'}${each}`).join('\r\n'));
      if (word === 'STARTTLS' && startTls.startsWith('2')) return this.#upgrade(socket, hear, startTls);
      if (word === 'DATA') content = true;
      say(word === 'STARTTLS' ? startTls : word === 'DATA' ? '354 go on' : word === 'QUIT' ? '221 2.0.0 Bye' : '250 2.0.0 Ok');
      if (word === 'QUIT') socket.end();
    };
    const hear = (bytes: Buffer): void => {
      text += bytes.toString('latin1');
      for (;;) {
        const end = content ? `\r\n${text}`.indexOf('\r\n.\r\n') : text.indexOf('\r\n');
        if (end < 0) return;
        const line = text.slice(0, end);
        text = text.slice(end + (content ? 3 : 2));
        if (!content) command(line);
        else {
          content = false;
          say('250 2.0.0 Ok: queued as PEER');
        }
      }
    };
    socket.on('error', () => {}).on('data', hear);
    if (greets) say('220 mail.peer.test ESMTP');
  }

  #upgrade(socket: net.Socket, hear: (bytes: Buffer) => void, reply: string): void {
    const { handshake, injected } = this.#options;
    socket.off('data', hear);
    socket.write(`${reply}\r\n${injected === undefined ? '' : `${injected}\r\n`}`, 'latin1');
    if (handshake === undefined) this.#secure.emit('connection', socket);
    else if (handshake === 'close') socket.destroy();
    else if (handshake === 'garbage') socket.once('data', () => socket.end('this is no TLS\r\n'));
  }
}
