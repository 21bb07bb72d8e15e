/**
 * The headers of a message as they pass: counted, rewritten where they hold addresses, dropped where they must not leave; at the
 * end the ones that every message needs are added. cleanup(8), RFC 5322 section 3.6.
 *
 * Rewriting may have to wait for the rewriting service; then later headers wait in line, in order.
 */
import { cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import { zoneAt } from '../../host/zone.ts';
import { quote822Local } from '../../message/address.ts';
import { attributeName, bodyEncoding, sendOption } from '../../message/envelope-names.ts';
import { fromText } from '../../message/full-name.ts';
import { rewriteAddressField, type AddressStep } from '../../message/header-addresses.ts';
import { foldHeader, headerClass, headerLines, headerNames, headerText, splitHeader, type HeaderClass, type HeaderField } from '../../message/header.ts';
import { messageId } from '../../message/received.ts';
import { recordType } from '../../message/record.ts';
import { isAscii, lowerAscii, printable, sameIgnoringCase } from '../../text/ascii.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import { headerSteps } from './address-maps.ts';
import type { CleanupContext } from './context.ts';
import type { MessageState } from './state.ts';

/** Headers that name recipients to readers: one of them must be there, or an "undisclosed" one is added. */
const visible = ['to', 'cc', 'resent-to', 'resent-cc'];

export class Headers {
  readonly #context: CleanupContext;
  readonly #state: MessageState;
  /** 'local' | 'remote' | '': which rewriting addresses get; '' none. */
  readonly #rewriting: string;
  readonly #dropped: ReadonlySet<string>;
  #line: string[] = [];
  #then: (() => void) | undefined;
  #working: Promise<void> | undefined;

  constructor(context: CleanupContext, state: MessageState, rewriting: string) {
    this.#context = context;
    this.#state = state;
    this.#rewriting = rewriting;
    this.#dropped = headerNames(context.view.message_drop_headers);
  }

  add(field: string): void {
    this.#line.push(field);
  }

  /** No more headers come: add the missing ones, then go on with `then`. */
  finish(then: () => void): void {
    this.#then = then;
  }

  /** Work off what has come; a promise when that has to wait. */
  settle(): void | Promise<void> {
    if (this.#working !== undefined) return this.#working;
    for (let field = this.#line.shift(); field !== undefined; field = this.#line.shift()) {
      const pending = this.#take(field);
      if (isPending(pending)) return this.#later(pending);
    }
    this.#complete();
  }

  #later(pending: Promise<void>): Promise<void> {
    this.#working = pending.then(() => {
      this.#working = undefined;
      return this.settle();
    });
    return this.#working;
  }

  #complete(): void {
    const then = this.#then;
    if (then === undefined) return;
    this.#then = undefined;
    this.#addMissing();
    then();
  }

  #take(field: string): MaybePromise<void> {
    const parts = splitHeader(field);
    const known = parts && headerClass(parts.name);
    if (parts === undefined || known === undefined) return this.#write(field);
    this.#note(known, headerText(parts.body));
    if (this.#dropped.has(lowerAscii(known.name))) return;
    const hasAddresses = known.sender || known.recipient;
    if (!hasAddresses || this.#rewriting === '') return this.#write(field);
    return this.#rewrite(known, field, parts);
  }

  /** What a header tells about the message. */
  #note(known: HeaderClass, text: string): void {
    const state = this.#state;
    const name = lowerAscii(known.name);
    state.headersSeen.add(name);
    if (known.resent) state.resent = true;
    notes.get(name)?.(this.#context, state, text);
  }

  #rewrite(known: HeaderClass, field: string, { name, body }: HeaderField): MaybePromise<void> {
    const { rewrittenHeaders: memory, view } = this.#context;
    const mapped = this.#mappedSteps(known.sender);
    // Rewriting depends on main.cf alone; what tables have part in is not remembered.
    const question = mapped === undefined ? `${this.#rewriting}\0${field}` : undefined;
    const before = question === undefined ? undefined : memory.get(question);
    if (before !== undefined) return this.#write(before);
    let isOdd = false;
    const warn = (text: string): void => {
      isOdd = true;
      this.#context.log.warning(text);
    };
    const steps = mapped === undefined ? [this.#full] : [this.#full, ...mapped];
    return chain(rewriteAddressField(field, name, body, { steps, tokenLimit: view.header_address_token_limit, warn }), (after) => {
      this.#write(after);
      if (question !== undefined && !isOdd) memory.keep(question, after);
    });
  }

  /** The first step of every address: complete it. */
  readonly #full: AddressStep = (address) =>
    chain(this.#context.rewrite.rewrite({ rule: this.#rewriting, address }), (reply) => (reply.address === address ? undefined : reply.address));

  #mappedSteps(isSender: boolean): readonly AddressStep[] | undefined {
    const { addressMaps } = this.#context;
    return addressMaps === undefined || (this.#state.flags & cleanupFlag.mapOk) === 0 ? undefined : headerSteps(addressMaps, isSender, this.#state);
  }

  #write(field: string): void {
    if (!isAscii(field)) this.#state.noteUtf8(sendOption.smtputf8Header);
    const { header_size_limit: limit, line_length_limit: lineLimit } = this.#context.view;
    for (const line of headerLines(field, limit)) this.#putLine(line, lineLimit);
  }

  #putLine(line: string, limit: number): void {
    let at = 0;
    for (; line.length - at > limit; at += limit) this.#state.put(recordType.partial, line.slice(at, at + limit));
    this.#state.put(recordType.normal, at === 0 ? line : line.slice(at));
  }

  #addMissing(): void {
    const { view, log } = this.#context;
    const state = this.#state;
    if (!state.isWhole) return;
    if (state.hopCount < 1) {
      log.warning(`${state.queueId}: message rejected: no Received: header`);
      state.refuse(cleanupStatus.bad);
      return;
    }
    const adds = this.#rewriting !== '' || view.always_add_missing_headers;
    const prefix = state.resent ? 'Resent-' : '';
    const isMissing = (name: string): boolean => adds && !state.headersSeen.has(lowerAscii(prefix + name));
    if (isMissing('Message-Id')) this.#addMessageId(prefix);
    if (!state.headersSeen.has('message-id')) log.info(`${state.queueId}: message-id=<>`);
    if (isMissing('Date')) this.#write(`${prefix}Date: ${mailDate(state.arrival.seconds, zoneAt(state.arrival.seconds * 1000))}`);
    if (isMissing('From')) this.#write(foldHeader(`${prefix}From: ${this.#from()}`));
    if (adds && view.undisclosed_recipients_header !== '' && !visible.some((name) => state.headersSeen.has(name))) this.#write(view.undisclosed_recipients_header);
  }

  #addMessageId(prefix: string): void {
    const { view, log, clock } = this.#context;
    const state = this.#state;
    const id = messageId(state.queueId, view.myhostname, Math.floor(clock.now() / 1000), view.enable_long_queue_ids);
    this.#write(`${prefix}Message-Id: ${id}`);
    log.info(`${state.queueId}: ${lowerAscii(prefix)}message-id=${id}`);
    state.headersSeen.add(lowerAscii(`${prefix}message-id`));
    if (prefix === '') state.messageId ??= id;
  }

  #from(): string {
    const { view } = this.#context;
    const sender = this.#state.sender ?? '';
    const format = view.header_from_format === 'obsolete' ? 'obsolete' : 'standard';
    return fromText(quote822Local(sender === '' ? 'MAILER-DAEMON' : sender), sender === '' ? undefined : this.#state.fullName, { format });
  }
}

type Note = (context: CleanupContext, state: MessageState, text: string) => void;

const notes: ReadonlyMap<string, Note> = new Map<string, Note>([
  ['message-id', ({ log }, state, text) => {
    log.info(`${state.queueId}: message-id=${text}`);
    const id = /^<[^<>]*>/.exec(text)?.[0];
    if (id !== undefined) state.messageId ??= printable(id, ' ');
  }],
  ['resent-message-id', ({ log }, state, text) => log.info(`${state.queueId}: resent-message-id=${text}`)],
  ['received', ({ log, view }, state) => {
    state.hopCount++;
    if (state.hopCount < view.hopcount_limit || state.status & cleanupStatus.hops) return;
    log.warning(`${state.queueId}: message rejected: hopcount exceeded`);
    state.refuse(cleanupStatus.hops);
  }],
  // RFC 8689 section 5.
  ['tls-required', ({ log }, state, text) => {
    if (sameIgnoringCase(text, 'no')) state.sendOptions |= sendOption.requireTlsHeader;
    else log.warning(`ignoring malformed header: 'TLS-Required: ${text.slice(0, 100)}'`);
  }],
  ['content-transfer-encoding', ({ view }, state, text) => {
    const isEightBit = sameIgnoringCase(text, '8bit') || sameIgnoringCase(text, 'binary');
    if (isEightBit && view.detect_8bit_encoding_header) state.attributes.set(attributeName.encoding, bodyEncoding.eightBit);
  }],
]);
