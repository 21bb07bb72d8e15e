/** Plays a dialogue over a connection: our daemon, or a real Postfix. A disagreement rejects with the place in the file. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { closed, Listener } from './format.ts';
import type { Dialogue, Move } from './format.ts';

export interface Stage {
  readonly host: string;
  readonly port: number;
  /** Whose replies are expected: ours, or those of a Postfix (`old`: before 3.8). */
  readonly role: 'ours' | 'postfix' | 'old postfix';
}

/** Longest silence of a server that has something to say, in milliseconds. */
const longestSilence = 15_000;

export async function playOverSocket(dialogue: Dialogue, stage: Stage): Promise<void> {
  const line = new Line(connect({ host: stage.host, port: stage.port, allowHalfOpen: true, ...(dialogue.from === undefined ? {} : { localAddress: dialogue.from }) }));
  try {
    for (const move of dialogue.moves) {
      const mistake = await perform(line, move, patternsFor(dialogue, stage));
      if (mistake !== undefined) throw new Error(`${dialogue.file}:${'line' in move ? move.line : dialogue.line}: ${mistake}`);
    }
    const rest = line.unheard();
    if (rest !== undefined) throw new Error(`${dialogue.file}:${dialogue.line}: nobody listened to "${rest}"`);
  } finally {
    line.close();
  }
}

type Patterns = (move: Move & { kind: 'hear' }) => readonly string[];

function patternsFor(dialogue: Dialogue, stage: Stage): Patterns {
  const { differs } = dialogue;
  const other = stage.role === 'old postfix' ? differs !== undefined && differs !== 'recent' : stage.role === 'postfix' && (differs === 'any' || differs === 'recent');
  return (move) => (other ? (move.postfix ?? move.lines) : move.lines);
}

async function perform(line: Line, move: Move, patterns: Patterns): Promise<string | undefined> {
  switch (move.kind) {
    case 'say': await line.say(move.packets); return undefined;
    case 'hear': return line.listen(patterns(move));
    case 'hangup': line.hangUp(); return undefined;
    case 'tls': return line.secure();
    case 'tls fails': return (await line.secure()) === undefined ? 'the TLS handshake was to fail' : undefined;
    default: return undefined;
  }
}

/** A connection as reply lines. */
class Line {
  #socket: Socket;
  #text = '';
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    this.#listen();
  }

  #listen(): void {
    this.#socket.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString('latin1');
      this.#wake?.();
    });
    const over = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    this.#socket.on('end', over).on('close', over).on('error', over);
  }

  /** TLS from here on; gives what went wrong. */
  secure(): Promise<string | undefined> {
    this.#socket.removeAllListeners();
    const secured = tls.connect({ socket: this.#socket, rejectUnauthorized: false });
    this.#socket = secured;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve('no TLS handshake in time'), longestSilence);
      secured.once('secureConnect', () => resolve(undefined)).once('error', (error) => resolve(`no TLS: ${error.message}`));
      this.#listen();
      secured.once('secureConnect', () => clearTimeout(timer)).once('error', () => clearTimeout(timer));
    });
  }

  async say(packets: readonly Buffer[]): Promise<void> {
    for (const packet of packets) {
      // Without a pause the kernel would make one packet of several.
      if (packet !== packets[0]) await new Promise((resolve) => setTimeout(resolve, 30));
      if (!this.#socket.destroyed) await new Promise((resolve) => this.#socket.write(packet, resolve));
    }
  }

  async listen(patterns: readonly string[]): Promise<string | undefined> {
    const listener = new Listener(patterns);
    while (!listener.complete) {
      const text = await this.#line();
      if (text === undefined) return `expected "${listener.expected}", heard nothing`;
      listener.hear(text);
      if (listener.mistake !== undefined) return listener.mistake;
    }
    return undefined;
  }

  async #line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\r\n');
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        return line;
      }
      if (this.#ended) return this.#text === '' ? closed : this.#text;
      if (!(await this.#news())) return undefined;
    }
  }

  #news(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), longestSilence);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  unheard(): string | undefined {
    return this.#text === '' ? undefined : this.#text.split('\r\n')[0];
  }

  hangUp(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Plays all, some at a time; gives the mistakes. */
export async function playAll(dialogues: readonly Dialogue[], stageOf: (dialogue: Dialogue) => Stage, atOnce = 8): Promise<Map<Dialogue, Error>> {
  const mistakes = new Map<Dialogue, Error>();
  const waiting = [...dialogues];
  const player = async (): Promise<void> => {
    for (let dialogue = waiting.shift(); dialogue !== undefined; dialogue = waiting.shift()) {
      await playOverSocket(dialogue, stageOf(dialogue)).catch((error: Error) => void mistakes.set(dialogue!, error));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, player));
  return mistakes;
}
