/**
 * The headers of a message as they pass: counted, rewritten where they hold addresses, dropped where they must not leave; at the
 * end the ones that every message needs are added. cleanup(8), RFC 5322 section 3.6.
 *
 * Rewriting may have to wait for the rewriting service: who hands in headers waits with the next one.
 */
import { cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import { zoneAt } from '../../host/zone.ts';
import { quote822Local } from '../../message/address.ts';
import { attributeName, bodyEncoding, sendOption } from '../../message/envelope-names.ts';
import { charsetTrouble, fromText } from '../../message/full-name.ts';
import { rewriteAddressField, type AddressStep } from '../../message/header-addresses.ts';
import { foldHeader, headerLines, headerNameLength, type HeaderClass } from '../../message/header.ts';
import { messageId } from '../../message/received.ts';
import { recordType } from '../../message/record.ts';
import { isAscii, lowerAscii, printable, sameIgnoringCase, trimLeft } from '../../text/ascii.ts';
import { chain, type MaybePromise } from '../../text/maybe.ts';
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
  readonly #dropsOthers: boolean;

  constructor(context: CleanupContext, state: MessageState, rewriting: string) {
    this.#context = context;
    this.#state = state;
    this.#rewriting = rewriting;
    this.#dropped = context.content.dropped;
    this.#dropsOthers = context.content.dropsOthers;
  }

  /** The next header of the message itself; a promise when an address has to be waited for. Nothing else may come before it is there. */
  add(field: string, known: HeaderClass | undefined): MaybePromise<void> {
    if (known === undefined) return this.#dropsOthers && this.#dropped.has(lowerAscii(field.slice(0, headerNameLength(field)))) ? undefined : this.#write(field);
    return this.#take(field, known);
  }

  /** A header about MIME, or one of a part: as it is. */
  part(field: string, known: HeaderClass | undefined): void {
    if (known?.name === 'Content-Transfer-Encoding') noteEncoding(this.#context, this.#state, trimLeft(bodyOf(field)));
    this.#write(field);
  }

  /** No more headers of the message come. */
  finish(): void {
    this.#addMissing();
  }

  #take(field: string, known: HeaderClass): MaybePromise<void> {
    this.#note(known, field);
    if (known.name === 'Received' && this.#state.hopCount === 1) this.#state.ownReceived ??= field;
    if (!this.#state.isWhole) return;
    if (known.resent) this.#state.resent = true;
    if (this.#dropped.has(known.key)) return;
    const hasAddresses = known.sender || known.recipient;
    if (!hasAddresses || this.#rewriting === '') return this.#write(field);
    return this.#rewrite(known, field);
  }

  /** What a header tells about the message. */
  #note(known: HeaderClass, field: string): void {
    const state = this.#state;
    state.sawHeader(known.key);
    notes.get(known.key)?.(this.#context, state, trimLeft(bodyOf(field)), field);
  }

  #rewrite(known: HeaderClass, field: string): MaybePromise<void> {
    const mapped = this.#mappedSteps(known.sender);
    // Rewriting depends on main.cf alone; what tables have part in is not remembered.
    const question = mapped === undefined ? `${this.#rewriting}\0${field}` : undefined;
    const before = question === undefined ? undefined : this.#context.rewrittenHeaders.get(question);
    return before === undefined ? this.#rewriteAnew(field, mapped, question) : this.#write(before);
  }

  #rewriteAnew(field: string, mapped: readonly AddressStep[] | undefined, question: string | undefined): MaybePromise<void> {
    let isOdd = false;
    const warn = (text: string): void => {
      isOdd = true;
      this.#context.log.warning(text);
    };
    const steps = mapped === undefined ? [this.#full] : [this.#full, ...mapped];
    const name = field.slice(0, headerNameLength(field));
    const { header_address_token_limit: tokenLimit } = this.#context.view;
    return chain(rewriteAddressField(field, name, bodyOf(field), { steps, tokenLimit, warn }), (after) => {
      this.#write(after);
      if (question !== undefined && !isOdd) this.#context.rewrittenHeaders.keep(question, after);
    });
  }

  /** The first step of every address: complete it. */
  readonly #full: AddressStep = (address) =>
    chain(this.#context.rewrite.rewrite({ rule: this.#rewriting, address }), (reply) => (reply.address === address ? undefined : reply.address));

  #mappedSteps(isSender: boolean): readonly AddressStep[] | undefined {
    const { addressMaps } = this.#context;
    return addressMaps === undefined || (this.#state.flags & cleanupFlag.mapOk) === 0 ? undefined : headerSteps(addressMaps, isSender, this.#state);
  }

  /** A header without a look at what it says. */
  write(field: string): void {
    this.#write(field);
  }

  #write(field: string): void {
    if (!isAscii(field)) this.#state.noteUtf8(sendOption.smtputf8Header);
    const { header_size_limit: limit, line_length_limit: lineLimit } = this.#context.view;
    if (field.length <= limit && field.length <= lineLimit && !field.includes('\n')) return this.#state.putContent(recordType.normal, field);
    for (const line of headerLines(field, limit)) this.#putLine(line, lineLimit);
  }

  #putLine(line: string, limit: number): void {
    let at = 0;
    for (; line.length - at > limit; at += limit) this.#state.putContent(recordType.partial, line.slice(at, at + limit));
    this.#state.putContent(recordType.normal, at === 0 ? line : line.slice(at));
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
    const isMissing = (name: string): boolean => adds && !state.headersSeen.includes(lowerAscii(prefix + name));
    if (isMissing('Message-Id')) this.#addMessageId(prefix);
    if (!state.headersSeen.includes('message-id')) log.info(`${state.queueId}: message-id=<>`);
    if (isMissing('Date')) this.#write(`${prefix}Date: ${mailDate(state.arrival.seconds, zoneAt(state.arrival.seconds * 1000))}`);
    if (isMissing('From')) this.#write(foldHeader(`${prefix}From: ${this.#from()}`));
    if (adds && view.undisclosed_recipients_header !== '' && !visible.some((name) => state.headersSeen.includes(name))) this.#addUndisclosed(view.undisclosed_recipients_header);
    if (view.requiretls_enable && view.requiretls_esmtp_header && state.sendOptions & sendOption.requireTlsEsmtp && !state.requireTlsSeen) this.#write('Require-TLS-ESMTP: yes');
  }

  #addUndisclosed(field: string): void {
    if (headerNameLength(field) > 0) this.#write(field);
    else this.#context.log.warning(`bad undisclosed_recipients_header header text "${field}" -- need "headername: headervalue"`);
  }

  #addMessageId(prefix: string): void {
    const { view, log, clock } = this.#context;
    const state = this.#state;
    const id = messageId(state.queueId, view.myhostname, Math.floor(clock.now() / 1000), view.enable_long_queue_ids);
    this.#write(`${prefix}Message-Id: ${id}`);
    log.info(`${state.queueId}: ${lowerAscii(prefix)}message-id=${id}`);
    state.sawHeader(lowerAscii(`${prefix}message-id`));
    if (prefix === '') state.messageId ??= id;
  }

  #from(): string {
    const { view } = this.#context;
    const sender = this.#state.sender ?? '';
    const { fullName } = this.#state;
    const trouble = sender === '' || fullName === undefined || isAscii(fullName) ? undefined : charsetTrouble(view.full_name_encoding_charset);
    if (trouble !== undefined) this.#context.log.warning(`rfc2047_encode: ${trouble}`);
    const format = view.header_from_format === 'obsolete' ? 'obsolete' : 'standard';
    return fromText(quote822Local(sender === '' ? 'MAILER-DAEMON' : sender), sender === '' ? undefined : fullName, { format, charset: view.full_name_encoding_charset });
  }
}

type Note = (context: CleanupContext, state: MessageState, text: string, field: string) => void;

function bodyOf(field: string): string {
  return field.slice(field.indexOf(':') + 1);
}

const notes: ReadonlyMap<string, Note> = new Map<string, Note>([
  ['message-id', ({ log }, state, text) => {
    log.info(`${state.queueId}: message-id=${text}`);
    const id = balanced(text);
    if (id !== '') state.messageId ??= printable(id, ' ');
  }],
  ['resent-message-id', ({ log }, state, text) => log.info(`${state.queueId}: resent-message-id=${text}`)],
  ['received', ({ log, view }, state) => {
    if (state.hopCount < view.hopcount_limit || state.status & cleanupStatus.hops) return;
    log.warning(`${state.queueId}: message rejected: hopcount exceeded`);
    state.refuse(cleanupStatus.hops);
  }],
  // RFC 8689 section 5.
  ['tls-required', ({ log, view }, state, text, field) => {
    if (!view.tls_required_enable) return;
    if (sameIgnoringCase(text, 'no')) state.sendOptions |= sendOption.requireTlsHeader;
    else log.warning(`ignoring malformed header: '${field.slice(0, 100)}'`);
  }],
  ['require-tls-esmtp', ({ view }, state, text) => {
    if (!view.requiretls_enable || !view.requiretls_esmtp_header || !sameIgnoringCase(text, 'yes')) return;
    state.sendOptions |= sendOption.requireTlsEsmtp;
    state.requireTlsSeen = true;
  }],
  ['content-transfer-encoding', noteEncoding],
]);

function noteEncoding({ view }: CleanupContext, state: MessageState, text: string): void {
  const isEightBit = sameIgnoringCase(text, '8bit') || sameIgnoringCase(text, 'binary');
  if (isEightBit && view.detect_8bit_encoding_header) state.attributes.set(attributeName.encoding, bodyEncoding.eightBit);
}

/** A text in angle brackets, which may have others in it; '' when there is none. */
function balanced(text: string): string {
  let level = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '<') level++;
    else if (level === 0) return '';
    else if (text[at] === '>' && --level === 0) return text.slice(0, at + 1);
  }
  return '';
}
