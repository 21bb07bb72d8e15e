/**
 * The SMTP server at the other end of a relay: takes every message and hands its text over before it acknowledges. A message that
 * is cut off before its final dot was not taken.
 */
import net from 'node:net';

export interface Sink {
  readonly port: number;
  close(): Promise<void>;
}

const replies: Readonly<Record<string, string>> = {
  EHLO: '250-sink.example.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n', QUIT: '221 2.0.0 bye\r\n', DATA: '354 go\r\n',
};

export interface SinkPlace {
  readonly host?: string;
  readonly port?: number;
  /** Milliseconds that it takes for each message. */
  readonly pause?: number;
  /** Milliseconds before it takes one: what is cut off meanwhile was not taken. */
  readonly wait?: number;
}

/** `taken` gets the text as it came, without the final dot and with dots unstuffed. */
export async function openSink(taken: (text: string) => void, { host = '127.0.0.1', port = 0, pause = 0, wait = 0 }: SinkPlace = {}): Promise<Sink> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, taken, pause, wait);
  });
  server.listen(port, host);
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    close: () => new Promise((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    }),
  };
}

const thanks = '250 2.0.0 taken\r\n';
const endOfData = '\r\n.\r\n';

function serve(socket: net.Socket, taken: (text: string) => void, pause: number, wait: number): void {
  let input = '';
  let parts: string[] | undefined;
  // Replies come in the order of what they answer: while one takes its time, nothing else is looked at.
  let isBusy = false;
  const later = (time: number, then: () => void): void => {
    if (time === 0) return then();
    isBusy = true;
    setTimeout(() => {
      isBusy = false;
      if (!socket.destroyed) then();
      if (!isBusy) work();
    }, time);
  };
  const take = (text: string): void => later(wait, () => {
    taken(text);
    later(pause, () => socket.write(thanks));
  });
  const work = (): void => {
    while (!isBusy) {
      const inData = parts !== undefined;
      const end = input.indexOf(inData ? endOfData : '\r\n');
      if (end < 0) break;
      const part = input.slice(0, end);
      input = input.slice(end + (inData ? endOfData.length : 2));
      if (parts === undefined) {
        if (answer(socket, part)) parts = [];
        continue;
      }
      const text = [...parts, part].join('').replace(/^\./gm, '');
      parts = undefined;
      take(text);
    }
    // Of a large message only the end is looked at again.
    if (!isBusy && parts !== undefined && input.length > endOfData.length) {
      parts.push(input.slice(0, -endOfData.length));
      input = input.slice(-endOfData.length);
    }
  };
  socket.on('error', () => undefined);
  socket.write('220 sink.example.test ESMTP\r\n');
  socket.on('data', (chunk: Buffer) => {
    input += chunk.toString('latin1');
    work();
  });
}

/** True when a message follows. */
function answer(socket: net.Socket, line: string): boolean {
  const verb = line.slice(0, 4).toUpperCase();
  socket.write(replies[verb] ?? '250 2.0.0 ok\r\n');
  if (verb === 'QUIT') socket.end();
  return verb === 'DATA';
}
