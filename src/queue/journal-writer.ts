/**
 * A message on its way into the queue that has not yet to be a file: it is gathered in memory and goes into the journal with
 * `commit`. When it gets too large, is to be held, or the journal has no room, it becomes a file like any other.
 */
import { giveBack, spareBuffer } from '../host/spare-buffers.ts';
import type { TimeValue } from '../text/time.ts';
import type { MessageFacts, MessageWriter, QueueTrouble, Reserved } from './store.ts';

/** What the writer needs of the store. */
export interface JournalDoor {
  /** Largest message for the journal, bytes. */
  readonly sizeLimit: number;
  /**
   * Durable when it resolves with true; false: no room, make it a file. Rejects with QueueTrouble: nothing was kept. Nobody changes the
   * pieces until then.
   */
  keep(name: Reserved, pieces: readonly Buffer[], length: number, facts: MessageFacts): Promise<boolean>;
  /** The same name as a file. Throws QueueTrouble. */
  file(name: Reserved): MessageWriter;
}

/** A part of the message, in memory that is used again. */
interface Piece { readonly memory: Buffer; used: number }

export class JournalWriter implements MessageWriter {
  readonly queueId: string;
  readonly arrival: TimeValue;
  readonly #door: JournalDoor;
  readonly #name: Reserved;
  #pieces: Piece[] = [];
  #length = 0;
  #file: MessageWriter | undefined;
  #over = false;
  /** The journal may be writing them: their memory is not for others. */
  #isLent = false;

  constructor(door: JournalDoor, name: Reserved) {
    this.#door = door;
    this.#name = name;
    this.queueId = name.queueId;
    this.arrival = name.arrival;
  }

  get offset(): number {
    return this.#file?.offset ?? this.#length;
  }

  get full(): boolean {
    return this.#file?.full ?? false;
  }

  get trouble(): QueueTrouble | undefined {
    return this.#file?.trouble;
  }

  write(bytes: Buffer): void {
    if (this.#over) return;
    if (this.#file !== undefined) return this.#file.write(bytes);
    const piece = this.#room(bytes.length);
    piece.used += bytes.copy(piece.memory, piece.used);
    this.#length += bytes.length;
    if (this.#length > this.#door.sizeLimit) this.#becomeFile();
  }

  /** Where so many bytes go. */
  #room(length: number): Piece {
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.used + length <= last.memory.length) return last;
    const piece: Piece = { memory: spareBuffer(length), used: 0 };
    this.#pieces.push(piece);
    return piece;
  }

  /** The bytes are where they belong, or nowhere. */
  #forgetPieces(): void {
    if (!this.#isLent) for (const { memory } of this.#pieces) giveBack(memory);
    this.#pieces = [];
  }

  patch(offset: number, bytes: Buffer): void {
    if (this.#file !== undefined) return this.#file.patch(offset, bytes);
    if (offset < 0 || offset + bytes.length > this.#length) throw new Error(`patch at ${offset} is outside of what was written`);
    let start = 0;
    for (const piece of this.#bytes()) {
      if (offset < start + piece.length && offset + bytes.length > start) bytes.copy(piece, Math.max(offset - start, 0), Math.max(start - offset, 0));
      start += piece.length;
    }
  }

  drained(): Promise<void> {
    return this.#file?.drained() ?? Promise.resolve();
  }

  settle(): Promise<void> {
    return this.#becomeFile().settle();
  }

  async commit(queue: 'incoming' | 'hold', facts?: MessageFacts): Promise<boolean> {
    if (this.#file === undefined && queue === 'incoming' && facts !== undefined) {
      // From here on the name belongs to the journal, or to nobody.
      this.#isLent = true;
      if (await this.#door.keep(this.#name, this.#bytes(), this.#length, facts)) {
        this.#over = true;
        this.#isLent = false;
        this.#forgetPieces();
        return true;
      }
      this.#isLent = false;
    }
    this.#becomeFile();
    return this.#file!.commit(queue, facts);
  }

  discard(): void {
    if (this.#over) return;
    this.#over = true;
    this.#forgetPieces();
    if (this.#file !== undefined) this.#file.discard();
    else this.#name.reservation.release();
  }

  #bytes(): Buffer[] {
    return this.#pieces.map(({ memory, used }) => memory.subarray(0, used));
  }

  #becomeFile(): MessageWriter {
    if (this.#file !== undefined) return this.#file;
    const file = this.#door.file(this.#name);
    this.#file = file;
    for (const piece of this.#bytes()) file.write(piece);
    this.#forgetPieces();
    return file;
  }
}
