/**
 * A before-queue filter for the dialogues: takes everything, but for what the name says that smtpd greets it with (smtpd_proxy_ehlo).
 *
 * The name is made of `stage=reply` words with a semicolon between them; in a reply `_` is a blank and `|` the end of a line. Stages: ehlo, xforward, mail,
 * rcpt, data, end. Instead of a reply: `hangup`, `silence`; at the end `show` (what came as body, escaped), `received` (how many header fields called
 * Received), `xforward` (what was forwarded), `commands` (what was said before DATA).
 */
import { createServer, type Server, type Socket } from 'node:net';

const usual: Readonly<Record<string, string>> = {
  ehlo: '250-filter.test|250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE', xforward: '250 2.0.0 Ok', mail: '250 2.1.0 Ok', rcpt: '250 2.1.5 Ok', data: '354 go ahead',
  end: '250 2.0.0 Ok: filtered',
};

class Client {
  readonly #socket: Socket;
  #input = '';
  #script = new Map<string, string>();
  #said: string[] = [];
  #inData = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => this.#heard(bytes.toString('latin1')));
    socket.write('220 filter.test ESMTP\r\n');
  }

  #heard(text: string): void {
    this.#input += text;
    for (let found = this.#next(); found !== undefined; found = this.#next()) {
      if (this.#inData) this.#message(found);
      else this.#command(found);
    }
  }

  #next(): string | undefined {
    const mark = this.#inData ? '\r\n.\r\n' : '\r\n';
    const end = this.#input.indexOf(mark);
    if (end < 0) return undefined;
    const found = this.#input.slice(0, end);
    this.#input = this.#input.slice(end + mark.length);
    return found;
  }

  #command(line: string): void {
    const verb = line.split(' ')[0]!.toLowerCase();
    if (verb === 'quit') return void this.#socket.end('221 2.0.0 Bye\r\n');
    if (verb === 'ehlo') this.#script = new Map(line.slice(5).split(';').map((word): [string, string] => [word.split('=')[0]!, word.slice(word.indexOf('=') + 1)]));
    this.#said.push(line);
    this.#inData = verb === 'data' && !this.#script.has('data');
    this.#reply(verb);
  }

  #message(text: string): void {
    this.#inData = false;
    const content = text.replace(/(^|\r\n)\.\./g, '$1.');
    const how = this.#script.get('end') ?? '';
    const shown: Readonly<Record<string, string>> = {
      show: JSON.stringify(content.slice(content.indexOf('\r\n\r\n') + 4)),
      received: String(content.match(/^Received: /gm)?.length ?? 0),
      xforward: this.#said.filter((line) => line.startsWith('XFORWARD')).join(' ').replace(/PORT=[0-9]+/, 'PORT=n'),
      commands: this.#said.filter((line) => /^(?:MAIL|RCPT|DATA)/i.test(line)).join(' '),
      header: JSON.stringify(content.slice(0, content.indexOf('\r\n\r\n')).split('\r\n').filter((line) => !/^(?:Received:|\t)/.test(line)).join('\n')),
    };
    if (shown[how] === undefined) this.#reply('end');
    else this.#socket.write(`250 2.0.0 Ok: ${shown[how]}\r\n`, 'latin1');
  }

  #reply(stage: string): void {
    const reply = this.#script.get(stage) ?? usual[stage] ?? '500 5.5.2 What?';
    if (reply === 'silence') return;
    if (reply === 'hangup') this.#socket.destroy();
    else this.#socket.write(`${reply.replaceAll('_', ' ').replaceAll('|', '\r\n')}\r\n`, 'latin1');
  }
}

export async function startFilterServer(): Promise<Server> {
  const server = createServer((socket) => void new Client(socket));
  server.unref();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return server;
}
