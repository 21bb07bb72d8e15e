/**
 * What sends the messages of a run. A driver ends when everything it sent was acknowledged; anything else is an error.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TestPrograms } from './debian-postfix.ts';
import type { MailSystem } from './mail-system.ts';
import { runProgram } from './processes.ts';

export interface Load {
  readonly messages: number;
  /** Bytes of content. */
  readonly size: number;
  readonly sessions: number;
  /** One connection for all messages of a session. */
  readonly keep?: boolean;
  readonly recipients?: number;
  /** Several: the load is shared out to one driver each. */
  readonly to?: readonly string[];
  /** A different number before each recipient. */
  readonly numbered?: boolean;
}

export const sender = 's@src.test';
export const sinkRecipient = 'rcpt@sink.test';

/** Send it all to the system. */
export type Driver = (system: MailSystem, load: Load, milliseconds: number) => Promise<void>;

function sourceWords({ size, keep, recipients = 1, numbered }: Load, messages: number, sessions: number, to: string): string[] {
  return [
    '-s', String(sessions), '-l', String(size), '-m', String(messages), '-f', sender, '-t', to, '-M', 'client.bench.test',
    ...(keep ? ['-d'] : []), ...(recipients > 1 ? ['-r', String(recipients)] : []), ...(numbered ? ['-N'] : []),
  ];
}

export function smtpSource({ commands, environment }: TestPrograms): Driver {
  return async (system, load, milliseconds) => {
    const to = load.to ?? [sinkRecipient];
    await Promise.all(to.map((recipient, index) => {
      const words = sourceWords(load, share(load.messages, to.length, index), share(load.sessions, to.length, index), recipient);
      return runProgram(`${commands}/smtp-source`, [...words, `127.0.0.1:${system.port}`], milliseconds, { env: environment });
    }));
  };
}

/** Part `index` of `parts` that differ by at most one. */
export function share(total: number, parts: number, index: number): number {
  return Math.floor(total * (index + 1) / parts) - Math.floor(total * index / parts);
}

/** Start a command again and again, with a file on its standard input; stop at the first failure. */
const loop = 'n=$1 file=$2; shift 2; while [ "$n" -gt 0 ]; do "$@" <"$file" || exit 1; n=$((n - 1)); done';

/** `sessions` loops at a time, each calling sendmail(1) once per message. The calls count as the mail system's CPU. */
export const sendmailDriver: Driver = async (system, { messages, size, sessions }, milliseconds) => {
  const file = `${system.directory}/message`;
  writeFileSync(file, messageText(size));
  const sendmail = [`${system.programs.commands}/sendmail`, '-C', system.etc, '-i', '-f', sender, sinkRecipient];
  await Promise.all(Array.from({ length: sessions }, (_, index) => {
    const [command, args] = system.counted('/bin/sh', ['-c', loop, 'sendmail-loop', String(share(messages, sessions, index)), file, ...sendmail]);
    return runProgram(command, args, milliseconds, { env: system.environment });
  }));
};

const line = 'The quick brown fox jumps over the lazy dog, and then it does so again.\n';

export function messageText(size: number): string {
  return `From: <${sender}>\nTo: <${sinkRecipient}>\nSubject: bench\n\n${line.repeat(Math.ceil(size / line.length)).slice(0, size - 1)}\n`;
}

const nodeSource = fileURLToPath(new URL('smtp-load.ts', import.meta.url));

/** The same over TLS: a driver of our own, because smtp-source has none. */
export const tlsDriver: Driver = async (system, { messages, size, sessions, keep = false }, milliseconds) => {
  const order = { port: system.port, messages, size, sessions, keep, tls: true, pause: 0, from: sender, to: sinkRecipient };
  await runProgram(process.execPath, [nodeSource, JSON.stringify(order)], milliseconds);
};
