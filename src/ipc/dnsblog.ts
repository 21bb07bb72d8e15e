/**
 * What dnsblog(8) is asked: does this DNS list have an entry for this client? One question per connection, in Postfix's own form, which
 * has no greeting and no name of a request.
 */
import net from 'node:net';
import type { Log } from '../log/log.ts';
import { isPending } from '../text/maybe.ts';
import type { ConnectionLimits } from './connection.ts';
import { serveConversation } from './serve.ts';
import { declareService, ServiceTrouble, type Calls } from './service.ts';
import { decode, encode, ShapeTrouble, type ShapeValue } from './shape.ts';

const request = { rbl_domain: 'text', client_address: 'text', label: 'number' } as const;
/** `rbl_addr`: the addresses that the list gave, with blanks between them; '' when it has no entry. `ttl` in seconds, -1: unknown. */
const reply = { ...request, rbl_addr: 'text', ttl: 'number' } as const;

export const dnsblogService = declareService({
  name: 'dnsblog',
  area: 'private',
  protocol: 'dnsblog',
  requests: { query: { request, reply } },
});

export type DnsblogCalls = Calls<typeof dnsblogService>;

/** Bytes of a question or an answer: a hundred addresses fit. */
const messageLimit = 16 << 10;

/** The calls over a socket: a connection for each. */
export function remoteDnsblog(path: string, { timeout }: ConnectionLimits): DnsblogCalls {
  return { query: (value) => ask(path, value, timeout) };
}

function ask(path: string, value: ShapeValue<typeof request>, timeout: number): Promise<ShapeValue<typeof reply>> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path });
    let text = '';
    const fail = (why: string): void => {
      reject(new ServiceTrouble(path, why));
      socket.destroy();
    };
    socket.setTimeout(timeout, () => fail('no answer in time'));
    socket.on('connect', () => socket.write(encode(request, value), 'latin1'));
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('connection closed'));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const answer = decoded(reply, text);
      if (answer === 'bad') return fail('does not speak the protocol');
      if (answer === undefined) return;
      resolve(answer);
      socket.destroy();
    });
  });
}

function decoded<S extends typeof request | typeof reply>(shape: S, text: string): ShapeValue<S> | undefined | 'bad' {
  if (text.length > messageLimit) return 'bad';
  try {
    return decode(shape, text)?.value;
  } catch (error) {
    if (error instanceof ShapeTrouble) return 'bad';
    throw error;
  }
}

/** Serve one connection: its question, then the end. */
export function serveDnsblog(socket: net.Socket, calls: DnsblogCalls, log: Log): Promise<void> {
  let text = '';
  let isAsked = false;
  const finish = (answer: ShapeValue<typeof reply>): void => void socket.end(encode(reply, answer), 'latin1');
  return serveConversation(socket, {
    greet: () => undefined,
    receive: (chunk) => {
      if (isAsked) return;
      text += chunk.toString('latin1');
      const question = decoded(request, text);
      if (question === 'bad') throw new Error('does not speak the protocol');
      if (question === undefined) return;
      isAsked = true;
      const answer = calls.query(question);
      if (isPending(answer)) answer.then(finish, (error: Error) => socket.destroy(error));
      else finish(answer);
    },
    end: () => { if (!isAsked) socket.end(); },
  }, dnsblogService.name, log);
}
