/** A mail server for tests: answers by a table, remembers what it heard. After a yes to STARTTLS it speaks TLS. */
import net from 'node:net';
import tls from 'node:tls';

export interface Script {
  readonly greeting?: string;
  /** Reply by the start of a command line: the longest that fits. '' says nothing; 'CLOSE' hangs up. */
  readonly replies?: Readonly<Record<string, string>>;
  /** Replies to the dot, one after another; the last again and again. */
  readonly dots?: readonly string[];
  /** How many replies per dot (LMTP). */
  readonly perRecipient?: boolean;
  /** Says yes to STARTTLS, and then speaks something else. */
  readonly brokenTls?: boolean;
  /** Hang up after so many bytes of content, with this said before. */
  readonly hangUp?: { readonly after: number; readonly say: string };
}

const usual: Readonly<Record<string, string>> = {
  EHLO: '250-server.example\r\n250-PIPELINING\r\n250-SIZE 0\r\n250-8BITMIME\r\n250 DSN', HELO: '250 server.example', LHLO: '250-server.example\r\n250 PIPELINING',
  MAIL: '250 2.1.0 Ok', RCPT: '250 2.1.5 Ok', DATA: '354 go ahead', RSET: '250 2.0.0 Ok', QUIT: '221 2.0.0 Bye', '': '502 5.5.2 what',
};

/** For tests only: nobody trusts it. */
const certificate = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwt35PSduMhdOSPP9
aKhroN3JXDDUud6zVCbudPfpkE2hRANCAASmnJS7SfvUflcyoWKAjEPPoGhRQMeJ
hnvBNBU1oqIhyZyNXvLzMYGQTzOQybA0bP63kDQwCC+HKPY/FHF1AsVn
-----END PRIVATE KEY-----
`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBiTCCAS+gAwIBAgIUTQzO6hVsZpd6aEE/QV24RWwq1nswCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOc2VydmVyLmV4YW1wbGUwIBcNMjYxMTIxMDM1MzM2WhgPMjEy
NjEwMjgwMzUzMzZaMBkxFzAVBgNVBAMMDnNlcnZlci5leGFtcGxlMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEppyUu0n71H5XMqFigIxDz6BoUUDHiYZ7wTQVNaKi
IcmcjV7y8zGBkE8zkMmwNGz+t5A0MAgvhyj2PxRxdQLFZ6NTMFEwHQYDVR0OBBYE
FLzrmv/x4cCRSwYIT5SPnMUP0kZ8MB8GA1UdIwQYMBaAFLzrmv/x4cCRSwYIT5SP
nMUP0kZ8MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAOk6YXDm
vXcedRzrHMYzzOD7tSleH27+pQ3f8fcmKIDvAiAGkMfKsG5yQiuZt1Irok8gA8Zm
JABcE+/8KWFDh5hF+g==
-----END CERTIFICATE-----
`,
};

export class FakeServer {
  readonly commands: string[] = [];
  readonly messages: string[] = [];
  connections = 0;
  script: Script;
  private readonly server: net.Server;
  private readonly open = new Set<net.Socket>();

  private constructor(script: Script) {
    this.script = script;
    this.server = net.createServer((socket) => this.serve(socket));
  }

  static async listen(script: Script = {}, where: { host: string; port: number } | { path: string } = { host: '127.0.0.1', port: 0 }): Promise<FakeServer> {
    const fake = new FakeServer(script);
    await new Promise<void>((resolve, reject) => {
      fake.server.once('error', reject);
      fake.server.listen(where, resolve);
    });
    return fake;
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  /** Clients that are connected now. */
  get guests(): number {
    return this.open.size;
  }

  /** Say something now, to everybody who is connected. */
  tell(reply: string): void {
    for (const socket of this.open) this.say(socket, reply);
  }

  async close(): Promise<void> {
    for (const socket of this.open) socket.destroy();
    await new Promise((resolve) => { this.server.close(resolve); });
  }

  private serve(socket: net.Socket): void {
    this.connections++;
    this.open.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => this.open.delete(socket));
    this.listenTo(socket);
    this.say(socket, this.script.greeting ?? '220 server.example ESMTP');
  }

  private listenTo(socket: net.Socket): void {
    const session = { text: '', content: undefined as string | undefined, recipients: 0 };
    const hear = (chunk: Buffer): void => {
      session.text += chunk.toString('latin1');
      const startTls = session.text === 'STARTTLS\r\n' && (this.script.replies?.['STARTTLS'] ?? '').startsWith('2');
      this.take(socket, session);
      if (startTls) {
        socket.off('data', hear);
        if (this.script.brokenTls) socket.once('data', () => socket.end('this is no TLS'));
        else this.secure(socket);
      }
    };
    socket.on('data', hear);
  }

  private secure(socket: net.Socket): void {
    const secured = new tls.TLSSocket(socket, { isServer: true, ...certificate });
    secured.on('error', () => {});
    this.listenTo(secured);
  }

  private take(socket: net.Socket, session: { text: string; content: string | undefined; recipients: number }): void {
    for (;;) {
      if (session.content !== undefined && this.script.hangUp && session.text.length >= this.script.hangUp.after) {
        this.say(socket, this.script.hangUp.say);
        socket.end();
        return;
      }
      const end = session.content === undefined ? session.text.indexOf('\r\n') : `\r\n${session.text}`.indexOf('\r\n.\r\n');
      if (end < 0) return;
      if (session.content === undefined) this.command(socket, session, end);
      else this.dot(socket, session, end);
    }
  }

  private command(socket: net.Socket, session: { text: string; content: string | undefined; recipients: number }, end: number): void {
    const line = session.text.slice(0, end);
    session.text = session.text.slice(end + 2);
    this.commands.push(line);
    const table = { ...usual, ...this.script.replies };
    const key = Object.keys(table).filter((start) => line.startsWith(start)).sort((one, other) => other.length - one.length)[0]!;
    const reply = table[key]!;
    if (line.startsWith('MAIL')) session.recipients = 0;
    // The last line is what counts.
    if (line.startsWith('RCPT') && reply.slice(reply.lastIndexOf('\n') + 1).startsWith('2')) session.recipients++;
    if (line === 'DATA' && reply.startsWith('3')) session.content = '';
    this.say(socket, reply);
    if (line === 'QUIT') socket.end();
  }

  private dot(socket: net.Socket, session: { text: string; content: string | undefined; recipients: number }, end: number): void {
    this.messages.push(session.text.slice(0, end));
    session.text = session.text.slice(end + 3);
    session.content = undefined;
    for (let count = this.script.perRecipient ? session.recipients : 1; count > 0; count--) {
      const dots = this.script.dots ?? ['250 2.0.0 Ok: queued as FAKE'];
      this.say(socket, dots[0]!);
      if (dots.length > 1) this.script = { ...this.script, dots: dots.slice(1) };
    }
  }

  private say(socket: net.Socket, reply: string): void {
    if (reply === 'CLOSE') socket.destroy();
    else if (reply !== '') socket.write(`${reply}\r\n`);
  }
}
