/**
 * XFORWARD: what a before-queue filter is told of the client, so that the mail system behind it can log who it was. Pure.
 *
 * What is not known is said to be so: a filter then does not take the session of the message before for this one's.
 */
import { encodeXtext } from '../../text/xtext.ts';

/** In the order in which they are sent. */
export const xforwardNames = ['NAME', 'ADDR', 'PORT', 'HELO', 'IDENT', 'PROTO', 'SOURCE'] as const;

export type ForwardName = (typeof xforwardNames)[number];
export type Forwarded = Readonly<Record<ForwardName, string | undefined>>;

const unavailable = '[UNAVAILABLE]';
/** RFC 5321 section 4.5.3.1.4: 512 bytes for a command line; the "250 " of an answer that repeats it is counted too. */
const payloadLimit = 512 - '250 XFORWARD\r\n'.length;

/** The attributes that this reply to EHLO (lines joined by LF) says the server takes. */
export function offeredAttributes(text: string): Set<string> {
  const offered = new Set<string>();
  for (const line of text.split('\n')) {
    const [keyword, ...names] = line.slice(4).split(/[ \t]+/);
    if (keyword?.toUpperCase() === 'XFORWARD') for (const name of names) offered.add(name.toUpperCase());
  }
  return offered;
}

/** The commands: as few as fit into lines of 512 bytes. `warn` hears of a value that does not fit into any. */
export function forwardCommands(offered: ReadonlySet<string>, values: Forwarded, warn: (text: string) => void): string[] {
  const commands: string[] = [];
  let payload = '';
  for (const name of xforwardNames) {
    if (!offered.has(name)) continue;
    const word = ` ${name}=${encodeXtext(values[name] ?? unavailable)}`;
    if (word.length > payloadLimit) warn(`XFORWARD command payload ${name}=${(values[name] ?? '').slice(0, 10)}... exceeds SMTP protocol limit`);
    if (payload !== '' && payload.length + word.length > payloadLimit) {
      commands.push(`XFORWARD${payload}`);
      payload = '';
    }
    payload += word;
  }
  if (payload !== '') commands.push(`XFORWARD${payload}`);
  return commands;
}
