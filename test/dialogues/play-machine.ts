/** Plays a dialogue on the machine alone: no socket, no clock; thousands in a second. A disagreement is an Error with the place. */
import { SmtpServerSession } from '../../src/protocol/smtp-server/session.ts';
import { closed, Listener } from './format.ts';
import type { Dialogue, Move } from './format.ts';
import { machineSettings, VerdictGiver } from './verdicts.ts';

/** Drives a session and remembers what came of it. */
export class MachineTheatre {
  readonly session: SmtpServerSession;
  readonly #verdicts: VerdictGiver;
  /** Lines said by the server and not yet listened to; `<closed>` when it hung up. */
  readonly heard: string[] = [];
  /** The server waits for a handshake. */
  isSecuring = false;
  content = '';
  /** The content of the last message that was accepted. */
  accepted = '';

  constructor(settings: ReadonlyMap<string, string>) {
    this.session = new SmtpServerSession(machineSettings(settings));
    this.#verdicts = new VerdictGiver(settings);
  }

  say(packet: Buffer): void {
    this.session.receive(packet);
    this.drain();
  }

  drain(): void {
    for (let step = this.session.next(); step !== undefined; step = this.session.next()) {
      switch (step.kind) {
        case 'send': this.#hear(step.bytes); break;
        case 'content': this.content += step.chunk.toString('latin1'); break;
        case 'abort': this.content = ''; break;
        case 'close': this.heard.push(closed); break;
        case 'start-tls': this.isSecuring = true; break;
        case 'ask': {
          const verdict = this.#verdicts.verdict(step.question);
          if (step.question.verb === 'END') {
            if (verdict.accept) this.accepted = this.content;
            this.content = '';
          }
          this.session.answer(verdict);
        }
      }
    }
  }

  secure(): string | undefined {
    if (!this.isSecuring) return 'the server waits for no handshake';
    this.isSecuring = false;
    this.session.secured();
    this.drain();
    return undefined;
  }

  #hear(text: string): void {
    if (!text.endsWith('\r\n')) throw new Error(`a reply without its end: ${JSON.stringify(text)}`);
    this.heard.push(...text.slice(0, -2).split('\r\n'));
  }
}

export function playOnMachine(dialogue: Dialogue): void {
  const theatre = new MachineTheatre(dialogue.settings);
  for (const move of dialogue.moves) {
    // A client that speaks first is heard before we greet.
    if (move.kind !== 'say') theatre.drain();
    const mistake = perform(theatre, move);
    if (mistake !== undefined) throw new Error(`${dialogue.file}:${'line' in move ? move.line : dialogue.line}: ${mistake}`);
  }
  const rest = theatre.heard.filter((line) => line !== closed);
  if (rest.length > 0) throw new Error(`${dialogue.file}:${dialogue.line}: nobody listened to "${rest[0]}"`);
}

function perform(theatre: MachineTheatre, move: Move): string | undefined {
  switch (move.kind) {
    case 'say': for (const packet of move.packets) theatre.say(packet); return undefined;
    case 'hear': return listen(theatre.heard, move.lines);
    case 'content': return theatre.accepted === move.text ? undefined
      : `expected the message ${JSON.stringify(move.text)}, it was ${JSON.stringify(theatre.accepted)}`;
    case 'tls': return theatre.secure();
    case 'tls fails': return 'the machine alone knows no handshake';
    case 'hangup':
      theatre.session.end();
      theatre.drain();
      return undefined;
    case 'wait': {
      const deadline = theatre.session.deadline();
      if (deadline === undefined) return 'the server would wait for ever';
      theatre.session.expire(deadline);
      theatre.drain();
      return undefined;
    }
  }
}

function listen(heard: string[], patterns: readonly string[]): string | undefined {
  const listener = new Listener(patterns);
  while (!listener.complete) {
    const line = heard.shift();
    if (line === undefined) return `expected "${listener.expected}", heard nothing`;
    listener.hear(line);
    if (listener.mistake !== undefined) return listener.mistake;
  }
  return undefined;
}
