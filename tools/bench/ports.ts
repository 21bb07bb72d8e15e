/**
 * What listens on loopback.
 */
import net from 'node:net';

const patience = 2000;

/** Does it take a connection? */
export function opens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    const answer = (is: boolean): void => {
      socket.destroy();
      resolve(is);
    };
    socket.setTimeout(patience, () => answer(false)).on('error', () => answer(false)).on('connect', () => answer(true));
  });
}

/** The keywords of an SMTP server's answer to EHLO, in capitals. */
export function ehloKeywords(port: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    socket.setTimeout(patience, () => socket.destroy(new Error('no answer to EHLO')));
    socket.on('error', reject).on('data', (chunk) => {
      const greeted = text.includes('\n');
      text += chunk.toString('latin1');
      if (!greeted && text.includes('\n')) socket.write('EHLO bench.test\r\n');
      if (!/^250 [^\n]*\n/m.test(text)) return;
      socket.end('QUIT\r\n');
      resolve([...text.matchAll(/^250[- ](\S+)/gm)].map(([, word]) => word!.toUpperCase()));
    });
  });
}
