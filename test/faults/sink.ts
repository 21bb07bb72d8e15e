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

/** `taken` gets the text as it came, without the final dot and with dots unstuffed. */
export async function openSink(taken: (text: string) => void): Promise<Sink> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, taken);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    close: () => new Promise((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    }),
  };
}

const endOfData = '\r\n.\r\n';

function serve(socket: net.Socket, taken: (text: string) => void): void {
  let input = '';
  let parts: string[] | undefined;
  socket.on('error', () => undefined);
  socket.write('220 sink.example.test ESMTP\r\n');
  socket.on('data', (chunk: Buffer) => {
    input += chunk.toString('latin1');
    for (;;) {
      const inData = parts !== undefined;
      const end = input.indexOf(inData ? endOfData : '\r\n');
      if (end < 0) break;
      const part = input.slice(0, end);
      input = input.slice(end + (inData ? endOfData.length : 2));
      if (parts === undefined) {
        if (answer(socket, part)) parts = [];
        continue;
      }
      taken([...parts, part].join('').replace(/^\./gm, ''));
      parts = undefined;
      socket.write('250 2.0.0 taken\r\n');
    }
    // Of a large message only the end is looked at again.
    if (parts !== undefined && input.length > endOfData.length) {
      parts.push(input.slice(0, -endOfData.length));
      input = input.slice(-endOfData.length);
    }
  });
}

/** True when a message follows. */
function answer(socket: net.Socket, line: string): boolean {
  const verb = line.slice(0, 4).toUpperCase();
  socket.write(replies[verb] ?? '250 2.0.0 ok\r\n');
  if (verb === 'QUIT') socket.end();
  return verb === 'DATA';
}
