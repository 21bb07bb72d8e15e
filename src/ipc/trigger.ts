/**
 * Waking a service up with a few bytes, for those who must know whether it was there: commands.
 *
 * Rejects with Node's error (ECONNREFUSED, ENOENT, EACCES, ...) when nobody listens. Daemons use Directory.trigger.
 */
import net from 'node:net';

/** qmgr(8): forget dead destinations, whatever the time stamps, scan deferred and incoming. */
export const flushQueue = 'FADI';
/** qmgr(8): there is something in incoming. */
export const scanIncoming = 'I';
/** Any service: look what there is to do. */
export const wakeUp = 'W';

/** Resolves when the request is on its way. */
export function sendTrigger(path: string, request: string, milliseconds: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path });
    socket.setTimeout(milliseconds, () => socket.destroy(new Error('not taken in time')));
    socket.on('error', reject);
    socket.on('data', () => socket.destroy());
    socket.on('connect', () => socket.end(request + '\0', 'latin1', () => resolve()));
    socket.on('close', () => reject(new Error('closed')));
  });
}
