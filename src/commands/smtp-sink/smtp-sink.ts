/**
 * smtp-sink(1): takes messages by SMTP or LMTP and throws them away, or refuses, delays, aborts and captures them as it was asked to.
 *
 * Reads no main.cf. Runs until it is ended, or until it has had as many sessions or messages as were to come: then it ends with 0.
 */
import { becomeUser, getpwnam, isRoot } from '../../host/identity.ts';
import { errorText } from '../../host/libc.ts';
import { localTimeText } from '../../host/local-time.ts';
import { changeRoot } from '../../host/process.ts';
import { listenStream, StreamLoop } from '../../host/stream-loop.ts';
import { SyslogSocket } from '../../host/syslog.ts';
import { Counter } from '../counter.ts';
import { openListener } from '../stream-listener.ts';
import { byteStrings, runCommand, Voice, type Output } from '../voice.ts';
import { parseSink, type SinkOptions } from './options.ts';
import { SinkServer } from './server.ts';

export async function main(argv: string[], _environment: NodeJS.ProcessEnv, streams: { readonly stderr: Output }): Promise<number> {
  const voice = new Voice('smtp-sink', streams.stderr);
  return runCommand(voice, async () => {
    const options = parseSink(byteStrings(argv), { complain: (text) => voice.complain(text), error: (text) => voice.error(text), fatal: (text) => voice.fatal(text) }, isRoot());
    const listener = await openListener(options.destination, options.family, (address) => listenStream(address, options.backlog, options.window), voice);
    return run(options, listener, voice);
  });
}

function run(options: SinkOptions, listener: number, voice: Voice): number {
  localTimeText('%Y', Date.now()); // the zone file must be read before it is out of reach
  const log = openLog(options);
  if (options.user !== undefined) giveUpRights(options.user, options.root, voice);
  const loop = new StreamLoop();
  const counter = options.count ? new Counter() : undefined;
  const server = new SinkServer(options, listener, loop, counter, voice, log);
  server.listen();
  loop.run(() => counter?.flush());
  return 0;
}

function giveUpRights(name: string, root: string | undefined, voice: Voice): void {
  const user = getpwnam(name);
  if (user === undefined) voice.fatal(`unknown user: ${name}`);
  try {
    if (root !== undefined) changeRoot(root);
  } catch (error) {
    voice.fatal(`chroot(${root}): ${errorText(error)}`);
  }
  try {
    becomeUser({ uid: user.uid, gid: user.gid, name });
  } catch (error) {
    voice.fatal(`setuid(${user.uid}): ${errorText(error)}`);
  }
}

/** mail.info */
const priority = 22;

function openLog(options: SinkOptions): (text: string) => void {
  const { commands } = options;
  if (!commands.some(({ logged }) => logged)) return () => {};
  const socket = new SyslogSocket({ schedule: () => {} });
  socket.open();
  return (text) => {
    socket.flush();
    socket.send(Buffer.from(`<${priority}>${localTimeText('%b %e %H:%M:%S', Date.now())} smtp-sink[${process.pid}]: ${text}`, 'latin1'));
  };
}
