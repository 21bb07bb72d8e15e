/**
 * Ports for servers that a test starts: free now, all different, and outside of the range from which the kernel takes the ports
 * of outgoing connections, so that they stay free until the server has them.
 */
import net from 'node:net';

const first = 20_000;
const blockSize = 200;
const blocks = 60;
/** What this process may give; the rest of the range belongs to tests that run beside it. */
const mine: number[] = [];

function listens(options: net.ListenOptions): Promise<net.Server | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer().on('error', () => resolve(undefined));
    server.listen(options, () => resolve(server));
  });
}

/** Take a block that no other process has: an abstract socket with its number, which ends with this process. */
async function takeBlock(): Promise<void> {
  const start = Math.floor(Math.random() * blocks);
  for (let tries = 0; tries < blocks; tries++) {
    const block = (start + tries) % blocks;
    const claim = await listens({ path: `\0postern-test-ports-${block}` });
    if (claim === undefined) continue;
    claim.unref();
    for (let port = 0; port < blockSize; port++) mine.push(first + block * blockSize + port);
    return;
  }
  throw new Error(`all ${blocks} blocks of ports are taken by other tests`);
}

async function isFree(port: number): Promise<boolean> {
  const server = await listens({ port, host: '127.0.0.1' });
  if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  return server !== undefined;
}

/** A port for TCP and UDP on loopback; never the same twice, nor one that another test process was given. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    if (mine.length === 0) await takeBlock();
    const port = mine.shift()!;
    if (await isFree(port)) return port;
  }
  throw new Error('no free port on 127.0.0.1');
}

/** Does somebody listen there? */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false)).on('connect', () => socket.destroy());
  });
}
