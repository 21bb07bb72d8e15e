/**
 * What a session has said, for the postmaster: sent when something went wrong that notify_classes names, else forgotten.
 *
 * Commands and replies are kept, not the content of messages, and never what a client says to log in. Memory is bounded by
 * smtpd_history_flush_threshold lines of line_length_limit bytes.
 */
import { isWhite, printable, trimRight } from '../../text/ascii.ts';
import type { Reply } from '../../protocol/smtp-server/steps.ts';

export const errorClasses = ['bounce', '2bounce', 'data', 'delay', 'policy', 'protocol', 'resource', 'software'] as const;
export type ErrorClass = (typeof errorClasses)[number];

/** A session that ended badly, or has gone on for long after something bad. */
export interface Notice {
  readonly lines: readonly string[];
  /** Why the session was ended: `timeout`, `lost connection`, `too many errors`. */
  readonly reason: string | undefined;
  /** A message was refused that would have bounced: who hears of bounces hears of this. */
  readonly isBounce: boolean;
}

export interface TranscriptRules {
  readonly classes: ReadonlySet<ErrorClass>;
  /** Lines. */
  readonly threshold: number;
  /** @param label the client, as it is called at that moment */
  send(label: string, notice: Notice): void;
}

/** What the machine tells of all that is said. */
export interface Listener {
  heard(line: string): void;
  said(reply: Reply, bytes: string): void;
}

/** The dialogue in the log, for clients of debug_peer_list. @param label the client */
export function spokenAloud(info: (text: string) => void, label: () => string, utf8: boolean): Listener {
  return {
    heard: (line) => info(`< ${label()}: ${printable(withoutSecret(line), '?', utf8)}`),
    said(_reply, bytes) {
      for (const line of bytes.split('\r\n')) if (line !== '') info(`> ${label()}: ${line}`);
    },
  };
}

export function both(one: Listener, other: Listener): Listener {
  return {
    heard(line) {
      one.heard(line);
      other.heard(line);
    },
    said(reply, bytes) {
      one.said(reply, bytes);
      other.said(reply, bytes);
    },
  };
}

const heardMark = 'In:  ';
const saidMark = 'Out: ';

export class Transcript implements Listener {
  readonly #rules: TranscriptRules;
  readonly #about: { readonly client: { readonly label: string } };
  /** Commands, and the bytes of replies: these end with a line end. */
  #turns: string[] = [];
  #count = 0;
  /** Most sessions have no errors: it is made for the first. */
  #found: Set<ErrorClass> | undefined;

  /** `about`: the session, whose client may become another one. */
  constructor(rules: TranscriptRules, about: { readonly client: { readonly label: string } }) {
    this.#rules = rules;
    this.#about = about;
  }

  /** A command, as it came. */
  heard(line: string): void {
    if (this.#count > this.#rules.threshold) this.flush();
    this.#turns.push(line);
    this.#count++;
  }

  /** A reply, and its bytes. */
  said(reply: Reply, bytes: string): void {
    this.#turns.push(bytes);
    this.#count += typeof reply.text === 'string' ? 1 : reply.text.length;
    // A message well received makes up for earlier errors.
    if (this.#found !== undefined && reply.code === 250 && typeof reply.text === 'string' && /^Ok: .*queued as /.test(reply.text)) this.#found = undefined;
    if (reply.code < 400) return;
    const found = classOf(reply);
    if (found !== undefined) (this.#found ??= new Set()).add(found);
  }

  /** Send what there is, where something was bad; begin anew. */
  flush(reason?: string): void {
    const [turns, found] = [this.#turns, this.#found];
    this.#turns = [];
    this.#count = 0;
    this.#found = undefined;
    const isWanted = found !== undefined && [...found].some((each) => this.#rules.classes.has(each));
    if (isWanted && turns.length > 0) this.#rules.send(this.#about.client.label, { lines: turns.flatMap(linesOfTurn), reason, isBounce: found.has('bounce') });
  }
}

function linesOfTurn(text: string): string[] {
  if (!text.endsWith('\r\n')) return [heardMark + withoutSecret(text)];
  return text.split('\r\n').filter((line) => line !== '').map((line) => saidMark + line);
}

function withoutSecret(line: string): string {
  const words = /^[ \t]*(AUTH[ \t]+[^ \t]+)[ \t]+[^ \t]/i.exec(line);
  return words === null ? line : `${words[1]} ...`;
}

const about = ({ text }: Reply): string => (typeof text === 'string' ? text : text.join(' '));

/** Whose doing a refusal is. Undefined: nobody's, or the session's end says it. */
export function classOf(reply: Reply): ErrorClass | undefined {
  const { code, status = '' } = reply;
  if (code < 400 || status === '4.4.2') return undefined;
  if (status === '4.3.0') return about(reply).includes('data error') ? 'data' : 'resource';
  if (status === '4.3.1' || status === '4.3.2' && code === 421) return 'resource';
  if (status === '4.3.5' || (code === 454 && about(reply).startsWith('TLS not available'))) return 'software';
  if (/^(?:VRFY command is disabled|Error: send HELO)/.test(about(reply))) return 'policy';
  if (/ address rejected: User unknown/.test(about(reply))) return 'bounce';
  const isSyntax = (code >= 500 && code <= 504) || code === 521 || code === 555 || /^[45]\.5\.[0-24-9]/.test(status);
  return isSyntax ? 'protocol' : 'policy';
}

const width = 78;
const indent = 4;

/** Lines of the report: broken at blanks where they are long, and all of them safe to read. */
export function transcriptText(lines: readonly string[], utf8: boolean): string {
  return lines.flatMap((line) => wrapped(printable(line, '?', utf8))).map((line) => ` ${line}\n`).join('');
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let start = 0;
  for (let word = 0; word <= text.length;) {
    const end = wordEnd(text, word);
    const room = lines.length > 0 ? width - indent : width;
    if (word > start && end - start > room) {
      lines.push((lines.length > 0 ? ' '.repeat(indent) : '') + trimRight(text.slice(start, word)));
      start = word;
      while (start < text.length && isWhite(text.charCodeAt(start))) start++;
    }
    word = end + 1;
  }
  lines.push((lines.length > 0 ? ' '.repeat(indent) : '') + trimRight(text.slice(start)));
  return lines;
}

function wordEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== ' ' && text[at] !== '\t') at++;
  return at;
}
