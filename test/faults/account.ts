/**
 * The account of every message of a fault run: what was sent, what was acknowledged, which copies arrived, and whether each copy is
 * the message that was sent.
 *
 * A message says in its body who it is, how long its text is and what its checksum is, so that a copy that was cut off, mixed up with
 * another or changed is told from a good one wherever it is found.
 */
import { createHash, randomBytes } from 'node:crypto';

/** How the attempt to hand a message over ended: by 2xx, by another reply, or without any (then both outcomes are right). */
export type Receipt = 'acknowledged' | 'refused' | 'unanswered';

export interface Sent {
  readonly id: string;
  /** What follows DATA, dot-stuffed, with its final dot. */
  readonly wire: Buffer;
}

export interface Verdict {
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly refused: number;
  /** Acknowledged, and no good copy is found anywhere. */
  readonly lost: readonly string[];
  /** Copies that are not what was sent, with the place where they are. */
  readonly corrupt: readonly string[];
  /** Good copies beyond the first of each message. */
  readonly extra: number;
  /** The same by the kind of place (the first word of its name) where the last copy was found. */
  readonly extraBy: Readonly<Record<string, number>>;
}

const mark = /^begin (\S+) ([0-9]+)\n/gm;

export class Account {
  readonly #run = randomBytes(4).toString('hex');
  readonly #receipts = new Map<string, Receipt>();
  #count = 0;

  /** A new message of about `size` bytes for this recipient. */
  message(sender: string, recipient: string, size = 2000): Sent {
    const id = `${this.#run}-${++this.#count}`;
    const text = filler(size);
    const sum = createHash('sha256').update(text).digest('hex');
    const lines = [
      `From: <${sender}>`, `To: <${recipient}>`, `Subject: ${id}`, `Message-ID: <${id}@faults.example.test>`, '',
      `begin ${id} ${text.length}`, `${text}end ${id} ${sum}`, '',
    ].join('\n');
    const wire = `${lines.replace(/^\./gm, '..')}.\n`.replaceAll('\n', '\r\n');
    return { id, wire: Buffer.from(wire, 'latin1') };
  }

  settle(id: string, receipt: Receipt): void {
    this.#receipts.set(id, receipt);
  }

  get acknowledged(): number {
    return this.#of('acknowledged').length;
  }

  /** Judges all copies that there are now. `places`: texts in which copies may stand, by the name of the place. */
  verdict(places: Iterable<readonly [place: string, text: string]>): Verdict {
    const copies = new Map<string, number>();
    const corrupt: string[] = [];
    const extraBy = new Map<string, number>();
    for (const [place, text] of places) {
      for (const { id, trouble } of this.#copies(text)) {
        if (trouble === undefined) {
          const kind = place.split(' ', 1)[0]!;
          if (copies.has(id)) extraBy.set(kind, (extraBy.get(kind) ?? 0) + 1);
          copies.set(id, (copies.get(id) ?? 0) + 1);
        } else corrupt.push(`${id} in ${place}: ${trouble}`);
      }
    }
    return {
      acknowledged: this.acknowledged, unanswered: this.#of('unanswered').length, refused: this.#of('refused').length,
      lost: this.#of('acknowledged').filter((id) => !copies.has(id)),
      corrupt,
      extra: [...copies.values()].reduce((sum, count) => sum + count - 1, 0),
      extraBy: Object.fromEntries(extraBy),
    };
  }

  #of(wanted: Receipt): string[] {
    return [...this.#receipts].filter(([, receipt]) => receipt === wanted).map(([id]) => id);
  }

  *#copies(text: string): Generator<{ id: string; trouble: string | undefined }> {
    const found = text.replaceAll('\r\n', '\n');
    for (const { 0: head, 1: id = '', 2: length, index } of found.matchAll(mark)) {
      if (!id.startsWith(`${this.#run}-`)) continue;
      const start = index + head.length;
      const body = found.slice(start, start + Number(length));
      yield { id, trouble: troubleOf(id, body, Number(length), found.slice(start + Number(length), start + Number(length) + 200)) };
    }
  }
}

/** Lines of many kinds: some begin with a dot, some are nothing but one. */
function filler(size: number): string {
  let text = '';
  for (let line = 0; text.length < size; line++) text += `${line % 7 === 3 ? '.' : ''}${line % 11 === 5 ? '' : randomBytes(24).toString('hex')}\n`;
  return text;
}

function troubleOf(id: string, body: string, length: number, tail: string): string | undefined {
  if (body.length < length) return `ends after ${body.length} of ${length} bytes`;
  const [word, name, sum] = tail.split('\n', 1)[0]!.split(' ');
  if (word !== 'end' || name !== id) return 'the end is not its own';
  return createHash('sha256').update(body).digest('hex') === sum ? undefined : 'the checksum differs';
}
