/**
 * `biff`: the comsat service of this machine is told where in a mailbox new mail begins, for users who asked to be told on their
 * terminal. A datagram that nobody waits for, and nobody need take: nothing here fails.
 */
import { createSocket, type Socket } from 'node:dgram';
import type { Log } from '../../log/log.ts';

/** `biff` in services(5). */
const usualPort = 512;

export class Biff {
  readonly #port: number;
  #socket: Socket | undefined;

  constructor(port = usualPort) {
    this.#port = port;
  }

  /** `user@offset` and a null byte. */
  tell(user: string, offset: number, log: Log): void {
    this.#socket ??= openSocket();
    this.#socket.send(Buffer.from(`${user}@${offset}\0`, 'latin1'), this.#port, '127.0.0.1', (error) => {
      if (error !== null && error !== undefined) log.warning(`biff_notify: ${error.message}`);
    });
  }

  close(): void {
    this.#socket?.close();
  }
}

function openSocket(): Socket {
  const socket = createSocket('udp4');
  socket.on('error', () => { /* nobody listens: that is as good */ });
  socket.unref();
  return socket;
}
