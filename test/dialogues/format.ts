/**
 * Reads dialogue files (README.md tells the format) and compares what was said with what was to be said.
 *
 * A mistake in a file is an error that names file and line.
 */
import { readFileSync, readdirSync } from 'node:fs';

/** One thing that happens. Packets are what is written at once. */
export type Move =
  | { readonly kind: 'say'; readonly packets: readonly Buffer[] }
  | { readonly kind: 'hear'; readonly lines: readonly string[]; readonly postfix: readonly string[] | undefined; readonly line: number }
  | { readonly kind: 'content'; readonly text: string; readonly line: number }
  | { readonly kind: 'hangup' }
  | { readonly kind: 'tls' }
  | { readonly kind: 'tls fails' }
  | { readonly kind: 'wait' };

export interface Dialogue {
  readonly title: string;
  readonly file: string;
  readonly line: number;
  /** main.cf settings beyond those of the stage. */
  readonly settings: ReadonlyMap<string, string>;
  /** Played on the machine only: with other peers the outcome is luck. */
  readonly alone: boolean;
  /** Not for the machine alone: it does not know what is asked here. */
  readonly served: boolean;
  /** The client's address, one of 127.0.0.0/8; undefined: 127.0.0.1. */
  readonly from: string | undefined;
  /** Which Postfix says something else: any, one before 3.8, `recent`: later ones; or `new`: only later ones can play this at all. */
  readonly differs: 'any' | 'old' | 'recent' | 'new' | undefined;
  readonly moves: readonly Move[];
}

export const closed = '<closed>';

export function readDialogues(folder: URL): Dialogue[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.txt')).sort();
  return files.flatMap((name) => parseDialogues(name, readFileSync(new URL(name, folder), 'latin1')));
}

interface Draft {
  title: string; line: number; settings: Map<string, string>; alone: boolean; served: boolean; from: string | undefined; differs: Dialogue['differs'];
  moves: Move[]; packets: Buffer[]; packet: string; heard: string[]; postfix: string[] | undefined; heardAt: number;
}

export function parseDialogues(file: string, text: string): Dialogue[] {
  const dialogues: Dialogue[] = [];
  const common: Common = { settings: new Map(), served: false, from: undefined };
  let draft: Draft | undefined;
  const finish = (): void => {
    if (draft === undefined) return;
    endSay(draft);
    endHear(draft);
    const { title, line, settings, alone, served, from, differs, moves } = draft;
    dialogues.push({ title, file, line, settings, alone, served, from, differs, moves });
  };
  text.split('\n').forEach((source, index) => {
    const line = index + 1;
    if (source === '' || source.startsWith('#')) return;
    const title = /^= (.+)$/.exec(source)?.[1];
    if (title !== undefined) {
      finish();
      draft = newDraft(title, line, common);
      return;
    }
    const setting = /^set: *([A-Za-z0-9_]+) *= *(.*)$/.exec(source);
    const fact = /^(served|from): *(.*)$/.exec(source);
    if (setting) (draft?.settings ?? common.settings).set(setting[1]!, setting[2]!);
    else if (fact) takeFact(draft ?? common, fact[1]!, fact[2]!);
    else if (draft === undefined || !takeLine(draft, source, line)) {
      throw new Error(`${file}:${line}: not a line of a dialogue: ${source}`);
    }
  });
  finish();
  return dialogues;
}

/** What stands before the first title holds for the whole file. */
type Common = Pick<Draft, 'settings' | 'served' | 'from'>;

function takeFact(facts: Common, name: string, text: string): void {
  if (name === 'served') facts.served = true;
  else facts.from = text;
}

function newDraft(title: string, line: number, { settings, served, from }: Common): Draft {
  return {
    title, line, settings: new Map(settings), served, from, alone: false, differs: undefined,
    moves: [], packets: [], packet: '', heard: [], postfix: undefined, heardAt: 0,
  };
}

function takeLine(draft: Draft, source: string, line: number): boolean {
  const [, mark, text] = /^(S:|P:|C:|C8:|C<|M:|differs:|differs 3\.7:|differs 3\.9:|since 3\.9:|alone:) ?(.*)$/.exec(source) ?? [undefined, source, ''];
  switch (mark) {
    case 'S:': case 'P:': takeHeard(draft, mark, text!, line); return true;
    case 'C:': takeSaid(draft, `${text}\r\n`); return true;
    case 'C8:': takeSaid(draft, `${unescape(text!)}\r\n`); return true;
    case 'C<': takeSaid(draft, unescape(text!)); return true;
    case '...': endPacket(draft); return true;
    case 'differs:': draft.differs = 'any'; return true;
    case 'differs 3.7:': draft.differs = 'old'; return true;
    case 'differs 3.9:': draft.differs = 'recent'; return true;
    case 'alone:': draft.alone = true; return true;
    case 'since 3.9:': draft.differs = 'new'; return true;
    case 'M:': endSay(draft); endHear(draft); draft.moves.push({ kind: 'content', text: unescape(text!), line }); return true;
    case 'hangup': case 'wait': case 'tls': case 'tls fails': endSay(draft); endHear(draft); draft.moves.push({ kind: mark }); return true;
    default: return false;
  }
}

function takeHeard(draft: Draft, mark: 'S:' | 'P:', text: string, line: number): void {
  endSay(draft);
  if (mark === 'S:' && draft.postfix !== undefined) endHear(draft);
  if (draft.heardAt === 0) draft.heardAt = line;
  const lines = mark === 'S:' ? draft.heard : (draft.postfix ??= []);
  if (text !== '<nothing>') lines.push(text);
}

function takeSaid(draft: Draft, text: string): void {
  endHear(draft);
  draft.packet += text;
}

function endPacket(draft: Draft): void {
  if (draft.packet !== '') draft.packets.push(Buffer.from(draft.packet, 'latin1'));
  draft.packet = '';
}

function endSay(draft: Draft): void {
  endPacket(draft);
  if (draft.packets.length > 0) draft.moves.push({ kind: 'say', packets: draft.packets });
  draft.packets = [];
}

function endHear(draft: Draft): void {
  if (draft.heardAt === 0) return;
  draft.moves.push({ kind: 'hear', lines: draft.heard, postfix: draft.postfix, line: draft.heardAt });
  draft.heard = [];
  draft.postfix = undefined;
  draft.heardAt = 0;
}

const escapes: ReadonlyMap<string, string> = new Map([['r', '\r'], ['n', '\n'], ['t', '\t'], ['\\', '\\'], ['0', '\0']]);

export function unescape(text: string): string {
  return text.replace(/\\(?:x([0-9a-fA-F]{2})|\{(.*?)\*([0-9]+)\}|(.))/g, (_, hex, repeated, count, char) => {
    if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
    if (repeated !== undefined) return unescape(repeated).repeat(Number(count));
    return escapes.get(char) ?? char;
  });
}

/** Does this reply line say what the pattern says? */
export function matches(pattern: string, line: string): boolean {
  const expression = pattern.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&')).join('.*');
  return new RegExp(`^${expression}$`, 's').test(line);
}

/**
 * Checks reply lines against patterns as they come. `complete` once every pattern has its line; a line that does not fit
 * is a `mistake`.
 */
export class Listener {
  readonly #patterns: readonly string[];
  #next = 0;
  mistake: string | undefined;

  constructor(patterns: readonly string[]) {
    this.#patterns = patterns;
  }

  get complete(): boolean {
    return this.#next === this.#patterns.length;
  }

  get expected(): string {
    return this.#patterns[this.#next] ?? '<nothing>';
  }

  hear(line: string): void {
    const pattern = this.expected;
    const whole = /^([0-9]{3})\+$/.exec(pattern)?.[1];
    if (whole !== undefined && line.startsWith(`${whole}-`)) return;
    const good = whole === undefined ? !this.complete && matches(pattern, line) : line.startsWith(`${whole} `);
    if (good) this.#next++;
    else this.mistake ??= `expected "${pattern}", heard "${line}"`;
  }
}
