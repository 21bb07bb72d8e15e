/**
 * postlogd(8): the door to the mail log for programs that have no right to the file: postlog(1) of users, and programs written for Postfix.
 *
 * One datagram is one line, and stays one: line breaks and control characters in it are replaced, and it is logged where all lines go, with
 * the time at which it came. Whoever reaches the socket may speak, under any name, as with syslog(3).
 */
import { parseLogLine } from '../../log/line.ts';
import type { Log } from '../../log/log.ts';
import type { Daemon } from '../../server/daemon.ts';

function write(log: Log, bytes: Buffer): void {
  const line = bytes.toString('latin1').replace(/[\0\r\n]+$/, '');
  const parsed = parseLogLine(line);
  if (parsed === undefined) log.info(line);
  else log.tagged(parsed.tag).numbered(parsed.number).info(parsed.text);
}

export const daemon: Daemon = {
  card: {
    name: 'postlogd',
    summary: 'takes log lines from programs without rights of their own',
    group: 'queue',
    calls: [],
    privileges: { user: 'mail_owner', network: false, writes: [] },
    row: 'postlog   unix-dgram n  -       n       -       1       postlogd',
    standards: [],
  },
  open: ({ row, log }) => {
    if (row.args[0] !== undefined) log.fatal(`unexpected command-line argument: ${row.args[0]}`);
    return { datagram: (bytes) => write(log, bytes) };
  },
};
