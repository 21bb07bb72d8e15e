/**
 * Cleanup's end of an inspection over the message's connection (inspection-wire.ts): shows the message to the filters of its client.
 *
 * A client that is lost has no verdict: `end` then gives a temporary refusal, so that nothing is kept that filters have not seen.
 */
import type net from 'node:net';
import type { Edit } from '../protocol/milter/edit.ts';
import type { ContentInspection, ContentPass } from '../protocol/milter/inspection.ts';
import type { FilterVerdict } from '../protocol/milter/reply.ts';
import { isPending, type MaybePromise } from '../text/maybe.ts';
import { frame, inspectionFrameLimit, said, shown, wants } from './inspection-wire.ts';
import { FrameCutter } from './trunk-wire.ts';

const lostVerdict = '451 4.3.0 Error: queue file write error';

export class RemoteInspection implements ContentInspection {
  readonly #socket: net.Socket;
  readonly #cutter = new FrameCutter(inspectionFrameLimit);
  #isLost = false;
  #pass: Pass | undefined;
  #answer: ((pass: Pass | undefined) => void) | undefined;

  constructor(socket: net.Socket) {
    this.#socket = socket;
  }

  next(): MaybePromise<ContentPass | undefined> {
    if (this.#isLost) return undefined;
    this.say(frame(shown.next));
    return new Promise((resolve) => { this.#answer = resolve; });
  }

  close(): void {}

  /** The answer to the message follows. */
  finish(): void {
    this.say(frame(shown.done));
  }

  receive(chunk: Buffer): void {
    this.#cutter.feed(chunk, (bytes, at, end) => this.#frame(bytes[at]!, bytes.subarray(at + 1, end)));
  }

  lost(): void {
    this.#isLost = true;
    this.#answer?.(undefined);
    this.#pass?.take(said.verdict, Buffer.from(lostVerdict));
  }

  #frame(kind: number, fields: Buffer): void {
    if (kind === said.none) return this.#answer?.(undefined);
    if (kind !== said.pass) return this.#pass?.take(kind, fields);
    this.#pass = new Pass(this, fields[0] ?? 0);
    this.#answer?.(this.#pass);
  }

  say(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** Undefined: there is room for more. */
  get room(): Promise<void> | undefined {
    const socket = this.#socket;
    if (this.#isLost || !socket.writableNeedDrain) return undefined;
    return new Promise((resolve) => {
      const done = (): void => {
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  hold(isHeld: boolean): void {
    if (isHeld) this.#socket.pause();
    else this.#socket.resume();
  }
}

class Pass implements ContentPass {
  readonly wantsHeaders: boolean;
  readonly wantsBody: boolean;
  readonly #inspection: RemoteInspection;
  #hasDecided = false;
  #edit: ((edit: Edit) => MaybePromise<void>) | undefined;
  #settle: ((verdict: FilterVerdict) => void) | undefined;
  /** Said by the client and not yet worked off, because an edit takes its time. */
  #waiting: (() => MaybePromise<void>)[] = [];
  #isBusy = false;

  constructor(inspection: RemoteInspection, flags: number) {
    this.#inspection = inspection;
    this.wantsHeaders = (flags & wants.headers) !== 0;
    this.wantsBody = (flags & wants.body) !== 0;
  }

  header(name: string, value: string): MaybePromise<boolean> {
    return this.#show(frame(shown.header, String.fromCharCode((name.length >>> 8) & 0xff, name.length & 0xff), name, value));
  }

  endOfHeaders(): MaybePromise<boolean> {
    return this.#show(frame(shown.endOfHeaders));
  }

  body(chunk: Buffer): MaybePromise<boolean> {
    return this.#show(frame(shown.body, chunk));
  }

  end(edit: (edit: Edit) => MaybePromise<void>): Promise<FilterVerdict> {
    this.#edit = edit;
    this.#inspection.say(frame(shown.end));
    return new Promise((resolve) => {
      this.#settle = resolve;
      if (this.#inspection.isLost) resolve(lostVerdict);
      else this.#work();
    });
  }

  #show(bytes: Buffer): MaybePromise<boolean> {
    this.#inspection.say(bytes);
    const { room } = this.#inspection;
    return room === undefined ? this.#goesOn : room.then(() => this.#goesOn);
  }

  get #goesOn(): boolean {
    return !this.#hasDecided && !this.#inspection.isLost;
  }

  take(kind: number, fields: Buffer): void {
    if (kind === said.decided) this.#hasDecided = true;
    else if (kind === said.verdict) this.#put(() => this.#settle?.(fields.length === 0 ? undefined : fields.toString('latin1')));
    else if (kind === said.edit) this.#put(() => this.#edit?.(JSON.parse(fields.toString('latin1')) as Edit));
    else if (kind === said.body) this.#put(() => this.#edit?.({ kind: 'body', bytes: fields }));
  }

  #put(work: () => MaybePromise<void>): void {
    this.#waiting.push(work);
    if (this.#settle !== undefined) this.#work();
  }

  #work(): void {
    if (this.#isBusy) return;
    for (let work = this.#waiting.shift(); work !== undefined; work = this.#waiting.shift()) {
      const pending = work();
      if (!isPending(pending)) continue;
      this.#isBusy = true;
      this.#inspection.hold(true);
      pending.then(() => {
        this.#isBusy = false;
        this.#inspection.hold(false);
        this.#work();
      }, () => this.#settle?.(lostVerdict));
      return;
    }
  }
}
