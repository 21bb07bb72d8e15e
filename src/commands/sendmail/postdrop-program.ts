/**
 * A set-gid postdrop(1) that is already there (Postfix's own), for users who may not write to the maildrop themselves.
 *
 * We install no such program; where Postfix has left one, mail of ordinary users gets into the maildrop through it as it always
 * did. Speaks the protocol of all releases since 2.x: attributes, the last group of which has the outcome.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { constants, statSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { cleanupStatus } from '../../ipc/cleanup.ts';
import { untilDrained, type SubmissionOutcome } from '../../ipc/submission.ts';
import { RecordWriter } from '../../message/record-writer.ts';
import type { Outlet } from '../../submission/outlet.ts';

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** Bytes that wait for the program. */
const enough = 256 << 10;
/** An answer is two short attributes and a line of text. */
const answerLimit = 64 << 10;

/** Is there a program that gives its user rights which we do not have? */
export function hasPostdrop(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && found.isFile() && (found.mode & constants.S_IXOTH) !== 0 && (found.mode & 0o2000) !== 0;
}

export class ProgramOutlet implements Outlet {
  readonly queueId: string;
  readonly #child: Child;
  readonly #ended: Promise<string>;
  readonly #writer = new RecordWriter();
  #handed = 0;

  private constructor(child: Child, queueId: string, ended: Promise<string>) {
    this.#child = child;
    this.queueId = queueId;
    this.#ended = ended;
  }

  /** Resolves when the program has told its queue id, or has ended instead: then it has said why on standard error. */
  static async start(path: string, configDirectory: string): Promise<ProgramOutlet> {
    const child = spawn(path, ['-r', '-c', configDirectory], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.on('error', () => undefined); // its outcome will be missing
    let first = '';
    const told = new Promise<void>((resolve) => child.stdout.on('data', (chunk: Buffer) => {
      if (first.length < answerLimit) first += chunk.toString('latin1');
      if (valueIn(first, 'queue_id') !== undefined) resolve();
    }));
    const ended = new Promise<string>((resolve) => {
      child.on('error', () => resolve(''));
      child.on('close', () => resolve(first));
    });
    await Promise.race([told, ended]);
    return new ProgramOutlet(child, valueIn(first, 'queue_id') ?? '', ended);
  }

  put(type: number, payload: string | Buffer = ''): void {
    this.#writer.put(type, payload);
    if (this.#writer.offset - this.#handed > enough) this.#hand();
  }

  drained(): Promise<void> {
    return untilDrained(this.#child.stdin);
  }

  async finish(): Promise<SubmissionOutcome> {
    this.#hand();
    return outcomeIn(await this.#ended);
  }

  /** Input that ends before the end record cancels the message. */
  abort(): void {
    this.#child.stdin.destroy();
  }

  #hand(): void {
    this.#handed = this.#writer.offset;
    for (const piece of this.#writer.take()) if (this.#child.stdin.writable) this.#child.stdin.write(piece);
  }
}

/** Names and values end with NUL, groups with an empty name. */
export function valueIn(answer: string, name: string): string | undefined {
  const words = answer.split('\0');
  let value: string | undefined;
  // What stands behind the last NUL is not complete.
  for (let at = 0; at + 2 < words.length; at += words[at] === '' ? 1 : 2) if (words[at] === name) value = words[at + 1];
  return value;
}

export function outcomeIn(answer: string): SubmissionOutcome {
  const status = valueIn(answer, 'status');
  if (status === undefined || !/^[0-9]{1,9}$/.test(status)) return { status: cleanupStatus.write, reason: '' };
  return { status: Number(status), reason: valueIn(answer, 'reason') ?? '' };
}
