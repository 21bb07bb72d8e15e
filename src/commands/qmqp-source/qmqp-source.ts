/**
 * qmqp-source(1): sends test messages by QMQP, over one or many connections at once.
 *
 * Reads no main.cf. Ends with 0 when all messages were taken, with 1 at the first that was not.
 */
import { hostname } from 'node:os';
import { errnoText } from '../../host/libc.ts';
import { StreamLoop, type StreamAddress } from '../../host/stream-loop.ts';
import { zoneAt } from '../../host/zone.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import { ConnectQueue } from '../connect-queue.ts';
import { Counter } from '../counter.ts';
import { findEndpoint } from '../stream-endpoint.ts';
import { byteStrings, runCommand, Voice, type Output } from '../voice.ts';
import { parseQmqpSource, type QmqpSourceOptions } from './options.ts';
import { qmqpRequest } from './request.ts';
import { QmqpSession } from './session.ts';

/** How long a server may take to answer, in milliseconds. */
const patience = 300_000;
const sweepInterval = 1000;

interface Streams { readonly stdout: Output; readonly stderr: Output }

export async function main(argv: string[], _environment: NodeJS.ProcessEnv, streams: Streams): Promise<number> {
  const voice = new Voice('qmqp-source', streams.stderr);
  return runCommand(voice, async () => {
    const options = parseQmqpSource(byteStrings(argv), (text) => voice.complain(text), (text) => voice.fatal(text));
    const address = await findEndpoint({ text: options.destination, service: '628', family: options.family }).catch((error: Error) => voice.fatal(error.message));
    return run(options, address, voice, streams.stdout);
  });
}

function run(options: QmqpSourceOptions, address: StreamAddress, voice: Voice, out: Output): number {
  const loop = new StreamLoop();
  const counter = options.count ? new Counter() : undefined;
  const queue = new ConnectQueue(loop, voice);
  const delay = (): number => (options.randomDelay > 0 ? Math.floor(Math.random() * (options.randomDelay + 1)) : options.fixedDelay);
  let [left, delivered, running] = [options.messages, 0, Math.min(options.sessions, options.messages)];
  const course = {
    loop, address, request: requestOf(options),
    takeMessage: () => left > 0 && left-- > 0,
    enqueue: (session: QmqpSession) => queue.add(session),
    connected: () => queue.done(),
    pause: (go: () => void) => {
      const seconds = delay();
      if (seconds > 0) loop.after(seconds * 1000, go);
      else go();
    },
    delivered: (reply: string) => {
      if (options.verbose) out.write(Buffer.from(`<< ${reply}\n`, 'latin1'));
      counter?.show(String(++delivered));
    },
    fatal: (text: string) => voice.fatal(text),
    connectFailed: (errno: number, again: () => void, attempts: number) => queue.failed(errnoText(errno), again, attempts),
    finished: () => { if (--running === 0) loop.end(); },
  };
  const sessions = Array.from({ length: running }, () => new QmqpSession(course, options.connectCount));
  for (const session of sessions) session.next();
  watchPatience(sessions, loop);
  try {
    loop.run(() => counter?.flush());
  } finally {
    counter?.flush();
  }
  counter?.finish();
  return 0;
}

function requestOf(options: QmqpSourceOptions): Buffer {
  const name = options.hostname ?? hostname();
  const now = Date.now();
  return qmqpRequest({
    sender: options.sender ?? `foo@${name}`, recipient: options.recipient ?? `foo@${name}`, recipients: options.recipients, length: options.length,
    date: mailDate(now / 1000, zoneAt(now)), pid: process.pid, hostname: name,
  });
}

function watchPatience(sessions: readonly QmqpSession[], loop: StreamLoop): void {
  loop.after(sweepInterval, () => {
    for (const session of sessions) if (session.waits && loop.now - session.heard > patience) session.timeout();
    watchPatience(sessions, loop);
  });
}
