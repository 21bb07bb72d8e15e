/** Lean sockets (lean-socket.ts) to elsewhere. */
import { getSystemErrorName } from 'node:util';
import { LeanSocket } from './lean-socket.ts';
import { node } from './tcp-handle.ts';

export interface LeanConnect {
  /** Stop trying: neither function is called then. */
  cancel(): void;
}

/**
 * Connect to a numeric address. One of the two is called later, unless the attempt is cancelled. `failed` gets a positive error number and
 * its name ('ECONNREFUSED').
 */
export function connectLean(address: string, port: number, connected: (socket: LeanSocket) => void, failed: (errno: number, code: string) => void): LeanConnect {
  const handle = new node!.TCP(0);
  let isOver = false;
  const over = (then: () => void): void => {
    if (isOver) return;
    isOver = true;
    then();
  };
  const close = (): void => handle.close(() => {});
  const fail = (status: number): void => over(() => {
    close();
    failed(-status, getSystemErrorName(status));
  });
  const asked = new node!.TCPConnectWrap();
  asked.oncomplete = (status) => {
    if (status < 0) return fail(status);
    over(() => {
      handle.setNoDelay(true);
      connected(new LeanSocket(handle));
    });
  };
  const status = address.includes(':') ? handle.connect6(asked, address, port) : handle.connect(asked, address, port);
  if (status < 0) queueMicrotask(() => fail(status));
  return { cancel: () => over(close) };
}
