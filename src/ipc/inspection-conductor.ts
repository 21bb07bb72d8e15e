/**
 * The client's end of an inspection over the message's connection (inspection-wire.ts): what cleanup shows goes to the filters, one thing after
 * the other; their edits and verdicts go back. While a filter thinks, cleanup is not read beyond a bound.
 */
import type net from 'node:net';
import type { Edit } from '../protocol/milter/edit.ts';
import type { ContentInspection, ContentPass } from '../protocol/milter/inspection.ts';
import { isPending, type MaybePromise } from '../text/maybe.ts';
import { frame, inspectionFrameLimit, said, shown, wants } from './inspection-wire.ts';

/** Bytes that may wait to be shown. */
const enough = 256 << 10;

interface Shown { readonly kind: number; readonly fields: Buffer }

export class InspectionConductor {
  readonly #socket: net.Socket;
  readonly #inspection: ContentInspection;
  readonly #finished: (rest: Buffer) => void;
  #waiting: Shown[] = [];
  #length = 0;
  #isBusy = false;
  #isOver = false;
  #pass: ContentPass | undefined;
  #hasDecided = false;
  /** Cleanup shows nothing more; what it says then is for others. */
  #sawDone = false;
  #after: Buffer[] = [];
  /** Bytes of a frame that is not complete. */
  #begun: Buffer = Buffer.alloc(0);

  /** `finished`: cleanup has shown everything, or is lost; with what it said afterwards. */
  constructor(socket: net.Socket, inspection: ContentInspection, finished: (rest: Buffer) => void) {
    this.#socket = socket;
    this.#inspection = inspection;
    this.#finished = finished;
  }

  receive(chunk: Buffer): void {
    // Frames end with `done`; what follows is the answer in words.
    let rest = chunk;
    while (rest.length > 0 && !this.#sawDone) rest = this.#cut(rest);
    if (rest.length > 0) this.#after.push(Buffer.from(rest));
    this.#work();
  }

  #cut(chunk: Buffer): Buffer {
    const bytes = this.#begun.length === 0 ? chunk : Buffer.concat([this.#begun, chunk]);
    this.#begun = Buffer.alloc(0);
    const length = bytes.length < 5 ? -1 : bytes.readUInt32BE();
    if (length > inspectionFrameLimit || length === 0) {
      this.#socket.destroy(new Error(`frame of ${length} bytes`));
      return Buffer.alloc(0);
    }
    if (length < 0 || bytes.length < 4 + length) {
      this.#begun = Buffer.from(bytes);
      return Buffer.alloc(0);
    }
    const kind = bytes[4]!;
    if (kind === shown.done) this.#sawDone = true;
    this.#waiting.push({ kind, fields: Buffer.from(bytes.subarray(5, 4 + length)) });
    this.#length += length;
    return bytes.subarray(4 + length);
  }

  lost(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting = [];
    this.#inspection.close();
    this.#finished(Buffer.alloc(0));
  }

  #work(): void {
    while (!this.#isBusy && !this.#isOver) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#length -= next.fields.length + 1;
      const pending = this.#perform(next);
      if (!isPending(pending)) continue;
      this.#isBusy = true;
      if (this.#length > enough) this.#socket.pause();
      pending.then(() => {
        this.#isBusy = false;
        this.#socket.resume();
        this.#work();
      }, (error: Error) => this.#socket.destroy(error));
    }
    if (this.#isBusy && this.#length > enough) this.#socket.pause();
  }

  #perform({ kind, fields }: Shown): MaybePromise<void> {
    switch (kind) {
      case shown.next: return this.#next();
      case shown.header: return this.#show((pass) => pass.header(fields.toString('latin1', 2, 2 + fields.readUInt16BE()), fields.toString('latin1', 2 + fields.readUInt16BE())));
      case shown.endOfHeaders: return this.#show((pass) => pass.endOfHeaders());
      case shown.body: return this.#show((pass) => pass.body(fields));
      case shown.end: return this.#end();
      default: return this.#done();
    }
  }

  #next(): MaybePromise<void> {
    const found = this.#inspection.next();
    return isPending(found) ? found.then((late) => this.#begin(late)) : this.#begin(found);
  }

  #begin(pass: ContentPass | undefined): void {
    this.#pass = pass;
    this.#hasDecided = false;
    if (pass === undefined) return this.#say(frame(said.none));
    this.#say(frame(said.pass, String.fromCharCode((pass.wantsHeaders ? wants.headers : 0) | (pass.wantsBody ? wants.body : 0))));
  }

  #show(what: (pass: ContentPass) => MaybePromise<boolean>): MaybePromise<void> {
    if (this.#pass === undefined || this.#hasDecided) return undefined;
    const goesOn = what(this.#pass);
    return isPending(goesOn) ? goesOn.then((late) => this.#shown(late)) : this.#shown(goesOn);
  }

  #shown(goesOn: boolean): void {
    if (goesOn) return;
    this.#hasDecided = true;
    this.#say(frame(said.decided));
  }

  async #end(): Promise<void> {
    const verdict = await this.#pass?.end((edit) => this.#edit(edit));
    this.#say(frame(said.verdict, verdict ?? ''));
  }

  #edit(edit: Edit): MaybePromise<void> {
    this.#say(edit.kind === 'body' ? frame(said.body, edit.bytes) : frame(said.edit, JSON.stringify(edit)));
    const socket = this.#socket;
    if (!socket.writableNeedDrain || socket.destroyed) return undefined;
    return new Promise((resolve) => {
      const done = (): void => {
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }

  #done(): void {
    this.#isOver = true;
    this.#inspection.close();
    this.#finished(Buffer.concat(this.#after));
  }

  #say(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }
}
