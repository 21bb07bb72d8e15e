/** HELO and EHLO: RFC 5321 §4.1.1.1. The name is not checked here; that is for restrictions to do. */
import type { CommandWord } from '../../message/smtp-path.ts';
import type { Dialogue, Outcome, Verb } from './dialogue.ts';
import { ask, refuse } from './dialogue.ts';
import { reply, say } from './reply.ts';
import type { Question, Reply } from './steps.ts';

/** A line (or lines) of the answer to EHLO, or undefined when it is not offered. In Postfix's order. */
const keywords: readonly (readonly [name: string, line: (dialogue: Dialogue) => string | readonly string[] | undefined])[] = [
  ['pipelining', () => 'PIPELINING'],
  ['size', ({ settings }) => (settings.message_size_limit > 0 ? `SIZE ${settings.message_size_limit}` : 'SIZE')],
  ['vrfy', ({ settings }) => (settings.disable_vrfy_command ? undefined : 'VRFY')],
  ['etrn', () => 'ETRN'],
  ['starttls', ({ settings, encrypted }) => (settings.smtpd_use_tls && !encrypted ? 'STARTTLS' : undefined)],
  ['auth', ({ settings, mechanisms }) => (mechanisms === undefined ? undefined
    : settings.broken_sasl_auth_clients ? [`AUTH ${mechanisms}`, `AUTH=${mechanisms}`] : `AUTH ${mechanisms}`)],
  ['verp', ({ peer }) => (peer.verp === true ? 'XVERP' : undefined)],
  ['xclient', ({ peer }) => (peer.xclient === true ? 'XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT' : undefined)],
  ['xforward', ({ peer }) => (peer.xforward === true ? 'XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT' : undefined)],
  ['enhancedstatuscodes', () => 'ENHANCEDSTATUSCODES'],
  ['8bitmime', () => '8BITMIME'],
  ['dsn', () => 'DSN'],
  ['smtputf8', ({ settings }) => (settings.smtputf8_enable ? 'SMTPUTF8' : undefined)],
  ['chunking', () => 'CHUNKING'],
  ['requiretls', ({ settings, encrypted }) => (settings.requiretls_enable && encrypted ? 'REQUIRETLS' : undefined)],
];

/** Keywords for some clients only, and what they stand for. */
const rights = [['verp', 'XVERP'], ['xclient', 'XCLIENT'], ['xforward', 'XFORWARD']] as const;

/** What cannot be told about this client, because a list or table cannot be asked. */
function doubt(dialogue: Dialogue): string | undefined {
  if (dialogue.peer.discardedKeywords === undefined) return 'what EHLO features to announce to';
  const unclear = rights.find(([name]) => dialogue.peer[name] === 'trouble' && dialogue.offers(name));
  return unclear === undefined ? undefined : `if EHLO feature ${unclear[1]} should be announced to`;
}

function ehloReply(dialogue: Dialogue, bare: boolean): Reply {
  const unclear = doubt(dialogue);
  if (unclear !== undefined) return dialogue.unsure(unclear);
  const lines = [dialogue.settings.myhostname];
  for (const [name, line] of keywords) {
    if (bare && name !== 'enhancedstatuscodes') continue;
    const text = dialogue.offers(name) ? line(dialogue) : undefined;
    if (typeof text === 'string') lines.push(text);
    else if (text !== undefined) lines.push(...text);
  }
  return reply(250, undefined, lines);
}

/** The keywords that smtpd_discard_ehlo_keywords may name, in the order in which Postfix logs them. */
const discardable = [
  '8bitmime', 'auth', 'etrn', 'pipelining', 'size', 'verp', 'vrfy', 'xclient', 'xforward', 'starttls',
  'enhancedstatuscodes', 'dsn', 'smtputf8', 'chunking', 'requiretls',
] as const;

// Who discards "silent-discard" too wants no line about it. Postfix says nothing either when status codes are discarded.
function logDiscarded(dialogue: Dialogue): void {
  if (!dialogue.offers('silent-discard') || !dialogue.offers('enhancedstatuscodes')) return;
  const names = discardable.filter((name) => !dialogue.offers(name)).map((name) => name.toUpperCase());
  if (names.length > 0) dialogue.log({ event: 'discarded-keywords', keywords: names.join(', ') });
}

function checkHello(verb: 'HELO' | 'EHLO', syntax: Reply, words: readonly CommandWord[]): Outcome {
  if (words.length < 2) return refuse(syntax);
  return ask({ verb, name: words.length === 2 ? words[1]!.text : words.slice(1).map((word) => word.text).join(' ') });
}

function nameOf(question: Question): string {
  return question.verb === 'HELO' || question.verb === 'EHLO' ? question.name : '';
}

export const helo: Verb = {
  name: 'HELO',
  junk: true,
  plain: true,
  last: true,
  check: (_dialogue, words) => checkHello('HELO', say.heloSyntax, words),
  accepted(dialogue, question) {
    dialogue.greet('SMTP', nameOf(question));
    return reply(250, undefined, dialogue.settings.myhostname);
  },
};

export const ehlo: Verb = {
  name: 'EHLO',
  junk: true,
  plain: true,
  last: true,
  check: (_dialogue, words) => checkHello('EHLO', say.ehloSyntax, words),
  accepted(dialogue, question, verdict) {
    const bare = verdict.accept && verdict.bare === true;
    dialogue.greet('ESMTP', nameOf(question));
    dialogue.mechanisms = verdict.accept ? verdict.mechanisms : undefined;
    logDiscarded(dialogue);
    return ehloReply(dialogue, bare);
  },
};
