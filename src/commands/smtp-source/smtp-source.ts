/**
 * smtp-source(1): sends test messages by SMTP or LMTP, over one or many sessions at once.
 *
 * Reads no main.cf. Ends with 0 when all messages were sent, with 1 at the first refusal or lost connection.
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
import { contentOf, Message } from './message.ts';
import { parseSource, type SourceOptions } from './options.ts';
import { Session, type Course } from './session.ts';

/** How long a server may take to answer, in milliseconds. */
const patience = 300_000;
const sweepInterval = 1000;

export async function main(argv: string[], _environment: NodeJS.ProcessEnv, streams: { readonly stderr: Output }): Promise<number> {
  const voice = new Voice('smtp-source', streams.stderr);
  return runCommand(voice, async () => {
    const options = parseSource(byteStrings(argv), (text) => voice.complain(text), (text) => voice.fatal(text));
    const address = await findEndpoint({ text: options.destination, service: 'smtp', family: options.family }).catch((error: Error) => voice.fatal(error.message));
    return run(options, address, voice);
  });
}

function run(options: SourceOptions, address: StreamAddress, voice: Voice): number {
  const loop = new StreamLoop();
  const counter = options.count ? new Counter() : undefined;
  const queue = new ConnectQueue(loop, voice);
  const progress = { left: options.messages, sent: 0, running: options.sessions };
  const course = courseOf(options, address, loop, queue, progress, counter, voice);
  const sessions = Array.from({ length: Math.min(options.sessions, options.messages) }, () => new Session(course, options.connectCount));
  progress.running = sessions.length;
  const enqueue = (session: Session): void => queue.add(session);
  for (const session of sessions) session.next(enqueue);
  watchPatience(sessions, loop);
  try {
    loop.run(() => counter?.flush());
  } finally {
    counter?.flush();
  }
  counter?.finish();
  return 0;
}

interface Progress { left: number; sent: number; running: number }

function courseOf(options: SourceOptions, address: StreamAddress, loop: StreamLoop, queue: ConnectQueue, progress: Progress, counter: Counter | undefined, voice: Voice): Course {
  const name = options.hostname ?? hostname();
  const sender = options.sender ?? `foo@${name}`;
  const [local, domain] = splitAddress(options.recipient ?? `foo@${name}`);
  const message = messageOf(options, sender, name, local.length + domain.length + 10, voice);
  let number = 0;
  const delay = (): number => (options.randomDelay > 0 ? Math.floor(Math.random() * (options.randomDelay + 1)) : options.fixedDelay);
  return {
    loop, address, window: options.window, allowReject: options.allowReject, disconnect: options.disconnect, lmtp: options.lmtp, old: options.old,
    recipients: options.recipients, hello: `${options.lmtp ? 'LHLO' : 'HELO'} ${name}`, mail: `MAIL FROM:<${sender}>`, verbose: options.verbose,
    nextRecipient: () => `${local}${options.numberRecipients ? String(number++) : ''}${domain}`,
    message: (recipient, stream) => message.for(recipient, `${hex(process.pid)}.${hex(stream)}.${hex(progress.left)}`),
    left: () => progress.left,
    takeMessage: () => progress.left > 0 && progress.left-- > 0,
    connected: () => queue.done(),
    pause: (run) => {
      const seconds = delay();
      if (seconds > 0) loop.after(seconds * 1000, run);
      else run();
    },
    messageSent: () => counter?.show(String(++progress.sent)),
    info: (text) => voice.complain(text),
    warning: (text) => voice.warning(text),
    fatal: (text) => voice.fatal(text),
    connectFailed: (errno, again, left) => queue.failed(errnoText(errno), again, left),
    finished: () => { if (--progress.running === 0) loop.end(); },
  };
}

function splitAddress(address: string): readonly [local: string, domain: string] {
  const at = address.lastIndexOf('@');
  return at < 0 ? [address, ''] : [address.slice(0, at), address.slice(at)];
}

function messageOf(options: SourceOptions, sender: string, name: string, recipientRoom: number, voice: Voice): Message {
  const now = Date.now();
  try {
    const bare = options.old || options.file !== undefined;
    const headers = { sender, hostname: name, subject: options.subject, recipientRoom, date: mailDate(now / 1000, zoneAt(now)) };
    return new Message(contentOf(options.file, options.length), bare ? undefined : headers);
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    return errno === undefined ? voice.fatal((error as Error).message) : voice.fatal(`open ${options.file}: ${errnoText(errno)}`);
  }
}

function hex(number: number): string {
  return number.toString(16).padStart(4, '0');
}

function watchPatience(sessions: readonly Session[], loop: StreamLoop): void {
  loop.after(sweepInterval, () => {
    for (const session of sessions) if (session.waits && loop.now - session.heard > patience) session.timeout();
    watchPatience(sessions, loop);
  });
}
