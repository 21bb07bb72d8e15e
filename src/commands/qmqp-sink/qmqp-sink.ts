/**
 * qmqp-sink(1): takes messages by QMQP and throws them away.
 *
 * Reads no main.cf. Runs until it is ended; with `-x` for so many seconds, and then ends with 0.
 */
import { acceptStream, listenStream, peer, receive, received, send, StreamLoop, wouldBlock } from '../../host/stream-loop.ts';
import { netstring, NetstringReader, qmqpStatus } from '../../protocol/qmqp/netstring.ts';
import { getopt } from '../../text/getopt.ts';
import { Counter } from '../counter.ts';
import { numberIn, positive } from '../option-values.ts';
import { openListener } from '../stream-listener.ts';
import { byteStrings, runCommand, Voice, type Output } from '../voice.ts';

const usage = 'usage: qmqp-sink [-cv] [-x time] [host]:port backlog';
/** A message's bytes are only counted, so this bounds nothing but the number. */
const lengthLimit = 2 ** 31 - 2;
const reply = netstring(`${qmqpStatus.ok}Ok`);
const kinds = { unix: 'AF_UNIX', inet: 'AF_INET', inet6: 'AF_INET6' } as const;

interface QmqpSinkOptions {
  family: 0 | 4 | 6;
  count: boolean;
  verbose: boolean;
  /** Seconds; 0: for ever. */
  lifetime: number;
  destination: string;
  backlog: number;
}

export async function main(argv: string[], _environment: NodeJS.ProcessEnv, streams: { readonly stderr: Output }): Promise<number> {
  const voice = new Voice('qmqp-sink', streams.stderr);
  return runCommand(voice, async () => {
    const options = parse(byteStrings(argv), voice);
    const listener = await openListener(options.destination, options.family, (address) => listenStream(address, options.backlog), voice);
    return run(options, listener, voice);
  });
}

function parse(argv: readonly string[], voice: Voice): QmqpSinkOptions {
  const { found, operands, trouble } = getopt(argv, '46cvx:');
  const options: QmqpSinkOptions = { family: 0, count: false, verbose: false, lifetime: 0, destination: operands[0] ?? '', backlog: numberIn(operands[1] ?? '') };
  for (const [letter, value] of found) {
    if (letter === '4' || letter === '6') options.family = letter === '4' ? 4 : 6;
    else if (letter === 'c') options.count = true;
    else if (letter === 'v') options.verbose = true;
    else options.lifetime = positive(value, usage, (text) => voice.fatal(text));
  }
  if (trouble !== undefined) voice.complain(trouble);
  if (trouble !== undefined || operands.length !== 2 || options.backlog <= 0) voice.fatal(usage);
  return options;
}

function run(options: QmqpSinkOptions, listener: number, voice: Voice): number {
  const loop = new StreamLoop();
  const counter = options.count ? new Counter() : undefined;
  let deliveries = 0;
  const delivered = (): void => counter?.show(String(++deliveries));
  loop.watch(listener, 'read', {
    ready: () => {
      const fd = acceptStream(listener);
      if (fd < 0) return;
      if (options.verbose) voice.complain(`connect (${kinds[peer().family]})`);
      loop.watch(fd, 'read', new Client(fd, loop, voice, delivered));
    },
  });
  if (options.lifetime > 0) loop.after(options.lifetime * 1000, () => loop.end());
  loop.run(() => counter?.flush());
  return 0;
}

class Client {
  readonly #fd: number;
  readonly #loop: StreamLoop;
  readonly #voice: Voice;
  readonly #delivered: () => void;
  readonly #message = new NetstringReader(lengthLimit, false);

  constructor(fd: number, loop: StreamLoop, voice: Voice, delivered: () => void) {
    this.#fd = fd;
    this.#loop = loop;
    this.#voice = voice;
    this.#delivered = delivered;
  }

  ready(): void {
    const length = receive(this.#fd);
    if (length < 0 && wouldBlock()) return;
    if (length <= 0) return this.#end('lost connection');
    if (!this.#message.receive(received.subarray(0, length))) return;
    if (this.#message.trouble !== undefined) return this.#end(`netstring ${this.#message.trouble} error`);
    // Six bytes to a client that has been sent nothing yet: the kernel has room for them.
    send(this.#fd, reply);
    this.#delivered();
    this.#loop.close(this.#fd);
  }

  #end(trouble: string): void {
    this.#voice.warning(trouble);
    this.#loop.close(this.#fd);
  }
}
