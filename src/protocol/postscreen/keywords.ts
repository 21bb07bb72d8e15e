/** The reply to EHLO: fewer keywords than the SMTP server's. PIPELINING is missing on purpose: who pipelines all the same shows what it is. */
import { lowerAscii, splitList } from '../../text/ascii.ts';
import type { ScreenSettings } from './settings.ts';

const keywords: readonly (readonly [name: string, line: (settings: ScreenSettings) => string | undefined])[] = [
  ['size', ({ messageSizeLimit }) => (messageSizeLimit > 0 ? `SIZE ${messageSizeLimit}` : 'SIZE')],
  ['vrfy', ({ hidesVrfy }) => (hidesVrfy ? undefined : 'VRFY')],
  ['etrn', () => 'ETRN'],
  ['starttls', ({ tls }) => (tls.isUsed && tls.isReady() ? 'STARTTLS' : undefined)],
  ['enhancedstatuscodes', () => 'ENHANCEDSTATUSCODES'],
  ['8bitmime', () => '8BITMIME'],
  ['dsn', () => 'DSN'],
  ['smtputf8', ({ smtputf8 }) => (smtputf8 ? 'SMTPUTF8' : undefined)],
  ['chunking', () => 'CHUNKING'],
];

/** All names that may be discarded, in the order of Postfix's log. */
const discardable = [
  '8bitmime', 'auth', 'etrn', 'pipelining', 'size', 'verp', 'vrfy', 'xclient', 'xforward', 'starttls', 'enhancedstatuscodes', 'dsn',
  'smtputf8', 'chunking', 'requiretls',
] as const;

const known: ReadonlySet<string> = new Set([...discardable, 'silent-discard']);

/** Names nobody knows are left out, so that a list fits several releases. */
export function discardSet(text: string): ReadonlySet<string> {
  return new Set(splitList(lowerAscii(text)).filter((name) => known.has(name)));
}

export function ehloReply(settings: ScreenSettings, discarded: ReadonlySet<string>): string {
  const lines = [settings.myhostname];
  for (const [name, line] of keywords) {
    const text = discarded.has(name) ? undefined : line(settings);
    if (text !== undefined) lines.push(text);
  }
  return lines.map((line, at) => `250${at < lines.length - 1 ? '-' : ' '}${line}`).join('\r\n');
}

/** What the log says is discarded; '' when it is to say nothing. */
export function discardedNames(discarded: ReadonlySet<string>): string {
  if (discarded.has('silent-discard')) return '';
  return discardable.filter((name) => discarded.has(name)).map((name) => name.toUpperCase()).join(', ');
}

export function sameSet(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((name) => other.has(name));
}
