/**
 * One filter as the MTA sees it: the Milter protocol as a pure machine. Bytes of the filter go in with `receive`, bytes for it come out
 * with `take`; edits pile up in `edits` and are taken from there.
 *
 * Each step of the session is told with one call. Afterwards either `waits` is true - the verdict is there when it is false again -
 * or there is nothing to wait for. The verdict is in `verdict` (reply.ts). Nothing that a filter sends makes it throw; whatever is not the
 * protocol, and a connection that is lost, is worth the default action, for the rest of the session (standing.ts). `progress` grows with
 * each whole packet, so that a driver can tell a filter that works from one that drips.
 */
import { answer, answerName, bodyChunk, command, commandName, step, type Command, type MacroStage } from './codes.ts';
import type { FilterTrouble } from './default-action.ts';
import { editOf, type Edit } from './edit.ts';
import { agreementOf, offerOf, offerPacket, type Agreement, type Offer } from './negotiation.ts';
import { number16, packet, PacketReader, textField, type Packet } from './packet.ts';
import { chosenReply } from './reply.ts';
import { decisions, FilterStanding } from './standing.ts';

/** Macros of a step: names and values in turn. */
export type Macros = readonly string[];

interface StepRow { readonly unwanted: number; readonly silent: number }

const rows: Readonly<Record<string, StepRow>> = {
  [command.connect]: { unwanted: step.noConnect, silent: step.silentConnect },
  [command.hello]: { unwanted: step.noHello, silent: step.silentHello },
  [command.mail]: { unwanted: step.noMail, silent: step.silentMail },
  [command.rcpt]: { unwanted: step.noRcpt, silent: step.silentRcpt },
  [command.data]: { unwanted: step.noData, silent: step.silentData },
  [command.unknown]: { unwanted: step.noUnknown, silent: step.silentUnknown },
  [command.header]: { unwanted: step.noHeaders, silent: step.silentHeader },
  [command.endOfHeaders]: { unwanted: step.noEndOfHeaders, silent: step.silentEndOfHeaders },
  [command.body]: { unwanted: step.noBody, silent: step.silentBody },
  [command.endOfBody]: { unwanted: 0, silent: 0 },
};

export class Milter extends FilterStanding {
  progress = 0;
  edits: Edit[] = [];
  #reader = new PacketReader();
  #out: Buffer[] = [];
  #outLength = 0;
  #offer: Offer | undefined;
  #agreement: Agreement | undefined;
  #body: 'none' | 'open' | 'done' = 'none';

  // ---- what its driver looks at

  get wantsRejectedRecipients(): boolean {
    return this.#has(step.rejectedRcpt);
  }

  get wantsHeaders(): boolean {
    return !this.#has(step.noHeaders);
  }

  get wantsEndOfHeaders(): boolean {
    return !this.#has(step.noEndOfHeaders);
  }

  get wantsBody(): boolean {
    return !this.#has(step.noBody) && this.skipped !== command.body;
  }

  /** The filter's own list of macros for a stage; undefined: the one of main.cf. */
  macroList(stage: MacroStage): string | undefined {
    return this.#agreement?.macros.get(stage) || undefined;
  }

  /** Bytes that wait to be sent. */
  get pending(): number {
    return this.#outLength;
  }

  take(): Buffer[] {
    const out = this.#out;
    this.#out = [];
    this.#outLength = 0;
    return out;
  }

  // ---- the session

  /** Begin to agree. False: what we are told of it makes no sense, and the verdict is there. */
  open(): boolean {
    const offer = offerOf(this.options.protocol);
    if (typeof offer === 'string') {
      this.warn(offer);
      this.#fail('setup');
      return false;
    }
    this.#offer = offer;
    this.#agreement = undefined;
    this.#reader = new PacketReader();
    this.lasting = this.verdict = undefined;
    this.skipped = undefined;
    this.state = 'negotiating';
    this.event = command.negotiate;
    this.#put(offerPacket(offer));
    this.waits = true;
    return true;
  }

  /** `name` is unknown: only the address is. */
  connect(name: string, address: string, port: number, family: 'inet' | 'inet6' | 'unix' | 'unknown', macros: Macros): void {
    if (this.state !== 'ready') return this.settle(this.lasting);
    this.state = 'envelope';
    const said = name !== 'unknown' || address === 'unknown' ? name : `[${address}]`;
    const letter = { inet: '4', inet6: '6', unix: 'L', unknown: 'U' }[family];
    const rest = family === 'unknown' ? [] : [number16(family === 'unix' ? 0 : port), textField(address)];
    this.#tell(command.connect, macros, [textField(said), letter, ...rest]);
  }

  hello(name: string, macros: Macros): void {
    if (this.state === 'envelope' || this.state === 'accepts-message') this.#tell(command.hello, macros, [textField(name)]);
    else this.settle(this.lasting);
  }

  /** MAIL and RCPT: address and parameters, as the client wrote them. */
  mail(words: readonly string[], macros: Macros): void {
    this.#inEnvelope(command.mail, macros, words.map(textField));
  }

  rcpt(words: readonly string[], macros: Macros): void {
    this.#inEnvelope(command.rcpt, macros, words.map(textField));
  }

  data(macros: Macros): void {
    this.#inEnvelope(command.data, macros, []);
  }

  unknown(line: string, macros: Macros): void {
    this.#inEnvelope(command.unknown, macros, [textField(line)]);
  }

  #inEnvelope(event: Command, macros: Macros, fields: readonly string[]): void {
    if (this.state === 'envelope') this.#tell(event, macros, fields);
    else this.settle(this.lasting);
  }

  /** The message begins; what was said of it as a whole before is done with. */
  beginContent(): void {
    this.lasting = undefined;
    this.state = 'message';
    this.#body = 'none';
  }

  /** `value`: what stands behind the colon. A filter gets it without its first space unless it wants that. */
  header(name: string, value: string, macros: Macros): void {
    const said = !this.#has(step.leadingSpace) && value.startsWith(' ') ? value.slice(1) : value;
    this.#inMessage(command.header, macros, [textField(name), textField(said)]);
  }

  endOfHeaders(macros: Macros): void {
    this.#inMessage(command.endOfHeaders, macros, []);
  }

  /** At most `bodyChunk` bytes. */
  body(chunk: Buffer, macros: Macros): void {
    if (chunk.length > bodyChunk) throw new RangeError('body chunk too large');
    this.#inMessage(command.body, macros, [chunk]);
  }

  endOfMessage(macros: Macros): void {
    this.#inMessage(command.endOfBody, macros, []);
  }

  #inMessage(event: Command, macros: Macros, fields: readonly (string | Buffer)[]): void {
    if (this.state === 'message') this.#tell(event, macros, fields);
  }

  /** It has seen the message, or nobody shows it more of it. */
  endContent(): void {
    if (this.state !== 'message' && this.state !== 'accepts-message') return;
    this.state = 'envelope';
    // A hold was meant for this message.
    this.lasting = undefined;
  }

  /** The transaction comes to nothing, or is done with. */
  abort(): void {
    if (this.state !== 'envelope' && this.state !== 'message' && this.state !== 'accepts-message') return;
    this.#put(packet(command.abort));
    this.state = 'envelope';
    this.lasting = undefined;
  }

  /** The session is over. A filter that knows how takes another one on the same connection (`keeps`). */
  quit(keeps = false): void {
    if (!this.isOver && this.state !== 'ready' && this.state !== 'negotiating') this.#put(packet(keeps ? command.quitKeep : command.quit));
    this.state = keeps ? 'ready' : 'closed';
    this.lasting = this.verdict = undefined;
    this.waits = false;
  }

  // ---- the filter speaks

  receive(chunk: Buffer): void {
    if (this.isOver) return;
    this.#reader.feed(chunk);
    for (let next = this.#reader.next(); next !== undefined; next = this.isOver ? undefined : this.#reader.next()) {
      if (next.kind !== 'body' || next.last) this.progress++;
      this.#packet(next);
    }
  }

  /** The connection is lost, or the filter is silent for too long; `why` in the words of the C library. */
  lost(why: string): void {
    if (this.isOver) return;
    const what = this.#reader.isBegun ? 'reply packet data' : 'reply packet header';
    this.warn(`can't read ${commandName(this.event)} ${what}: ${why}`);
    if (this.event === command.negotiate) this.warn('read error in initial handshake');
    this.#fail('talk');
  }

  /** It cannot be reached, or what main.cf says of it makes no sense. */
  unreachable(trouble: FilterTrouble): void {
    this.#fail(trouble);
  }

  #packet(next: Packet): void {
    if (next.kind === 'bad') {
      this.warn(next.trouble);
      if (this.event === command.negotiate) this.warn('read error in initial handshake');
      return this.#fail('talk');
    }
    // What comes when nothing was asked does not belong to anything; only that it is still there a filter may say at any time.
    if (!this.waits && next.kind === 'packet' && next.code === answer.progress && next.bytes.length === 0) return;
    if (!this.waits) return this.#protocolError('unexpected data');
    if (next.kind === 'body') return this.#replaceBody(next);
    if (this.event === command.negotiate) return this.#negotiated(next.code, next.bytes);
    this.#endBody();
    this.#answered(next.code, next.bytes);
  }

  #negotiated(code: string, bytes: Buffer): void {
    if (code !== command.negotiate) return this.#protocolError(`unexpected reply "${code}" in initial handshake`);
    const agreement = agreementOf(this.#offer!, bytes);
    if (typeof agreement === 'string') return this.#protocolError(agreement);
    for (const warning of agreement.warnings) this.warn(warning);
    this.#agreement = agreement;
    this.state = 'ready';
    this.settle(undefined);
  }

  #answered(code: string, bytes: Buffer): void {
    const decide = decisions.get(code);
    if (decide !== undefined) {
      if (bytes.length > 0) return this.#protocolError(`reply ${answerName(code)} was followed by ${bytes.length} data bytes`);
      return decide(this);
    }
    if (code === answer.replyCode) return this.#chosen(bytes);
    if (code === answer.quarantine) return this.hold(bytes.toString('latin1').split('\0')[0]!);
    const edit = this.event === command.endOfBody ? editOf(code, bytes, this.#has(step.leadingSpace) ? '' : ' ') : undefined;
    if (edit === undefined) return this.#protocolError(`unexpected filter response ${answerName(code)} after event ${commandName(this.event)}`);
    if ('kind' in edit) return void this.edits.push(edit);
    this.warn(edit.trouble);
    this.#fail(edit.of);
  }

  #chosen(bytes: Buffer): void {
    const text = chosenReply(bytes, this.options.softBounce);
    if (text !== undefined) return this.refuse(text);
    this.warn(`malformed reply: ${bytes.toString('latin1').replace(/\0$/, '').slice(0, 200)}`);
    this.#fail('setup');
  }

  #replaceBody({ bytes }: { readonly bytes: Buffer }): void {
    if (this.event !== command.endOfBody) return this.#protocolError(`unexpected filter response ${answerName(answer.replaceBody)} after event ${commandName(this.event)}`);
    if (this.#body === 'done') {
      this.warn("body replacement requests can't currently be mixed with other requests");
      return this.#fail('setup');
    }
    this.#body = 'open';
    this.edits.push({ kind: 'body', bytes });
  }

  #endBody(): void {
    if (this.#body !== 'open') return;
    this.#body = 'done';
    this.edits.push({ kind: 'end-of-body' });
  }

  // ---- telling

  #tell(event: Command, macros: Macros, fields: readonly (string | Buffer)[]): void {
    const { unwanted, silent } = rows[event]!;
    this.event = event;
    this.verdict = this.lasting;
    if (this.lasting !== undefined && this.lasting[0] !== 'H') return;
    if ((unwanted & this.#agreement!.unknownSteps) !== 0) return;
    if (this.skipped === event) return;
    this.skipped = undefined;
    this.#put(packet(command.macro, event, ...macros.map(textField)));
    if (this.#has(unwanted)) return;
    this.#put(packet(event, ...fields));
    this.waits = !this.#has(silent);
  }

  #has(flag: number): boolean {
    return ((this.#agreement?.steps ?? 0) & flag) !== 0;
  }

  #put(bytes: Buffer): void {
    this.#out.push(bytes);
    this.#outLength += bytes.length;
  }

  #protocolError(trouble: string): void {
    this.warn(trouble);
    this.#fail('talk');
  }

  #fail(trouble: FilterTrouble): void {
    this.#out = [];
    this.#outLength = 0;
    const isTorn = this.#body === 'open';
    this.#body = 'none';
    this.breakDown(trouble, isTorn);
  }
}
