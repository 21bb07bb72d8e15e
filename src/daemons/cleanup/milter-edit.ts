/**
 * What filters may do to a message, done to the held form of it as cleanup_milter(3) does it to a queue file: headers by their place among those
 * that the filter saw, insertions by their place among all, recipients with everything that cleanup does to one.
 *
 * The first edit that fails is the last: `trouble` of the state's status says why, and later ones are passed over.
 */
import { cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import { internalAddress, parseAddresses } from '../../message/address-tokens.ts';
import { parseDsnNotify, parseDsnRet } from '../../message/dsn.ts';
import { attributeName, splitAttribute } from '../../message/envelope-names.ts';
import { headerLines } from '../../message/header.ts';
import { recordType, segmentTypes, typeIn } from '../../message/record.ts';
import type { Edit } from '../../protocol/milter/edit.ts';
import { ContentRecords } from '../../queue/content-records.ts';
import { QueueTrouble } from '../../queue/store.ts';
import { allDigits, allPrintableOrTab, startsIgnoringCase } from '../../text/ascii.ts';
import { chain, isPending, type MaybePromise } from '../../text/maybe.ts';
import { decodeUxtext, decodeXtext } from '../../text/xtext.ts';
import type { CleanupContext } from './context.ts';
import { putSender } from './envelope.ts';
import { headerChecks } from './milter-header-checks.ts';
import { HeldMessage, headerOf, type HeldHeader, type HeldRecord } from './milter-message.ts';
import { Spool } from './milter-spool.ts';
import { addBcc } from './recipients.ts';
import type { MessageState } from './state.ts';

/** What is to become of a header that a filter adds or changes (milter_header_checks): its text, or undefined: nothing of it. */
export type HeaderCheck = (header: string) => MaybePromise<string | undefined>;

export interface EditorOptions {
  readonly context: CleanupContext;
  readonly state: MessageState;
  readonly message: HeldMessage;
  /** The message as it came. */
  readonly original: Spool;
  /** Where a new body is kept. */
  readonly directory: string;
  /** For the log: what milter_header_checks did about a header. */
  log(action: string, header: string, text: string): void;
}

type Of<K extends Edit['kind']> = Extract<Edit, { readonly kind: K }>;

export class Editor {
  readonly #options: EditorOptions;
  #newBody: { readonly spool: Spool; readonly records: ContentRecords } | undefined;
  #bodies = 0;
  /** Bytes of headers, and of the new body. */
  #added = 0;
  #replaced = 0;

  /** Undefined: headers of filters are taken as they are. */
  readonly #checkHeader: HeaderCheck | undefined;

  constructor(options: EditorOptions) {
    const { context, state, log } = options;
    this.#options = options;
    this.#checkHeader = headerChecks({
      context, state, log, extract: (type, text) => this.#extract(type, text),
      addRecipient: (address) => this.#addRecipient({ kind: 'add-recipient', address, parameters: '' }),
    });
  }

  /** Never rejects. */
  apply(edit: Edit): MaybePromise<void> {
    // Refused or discarded: nobody will see what comes now.
    const { state } = this.#options;
    if (state.status !== 0 || (state.flags & cleanupFlag.discard) !== 0) return undefined;
    try {
      const pending = this.#apply(edit);
      return isPending(pending) ? pending.catch((error: Error) => this.#fail(error)) : undefined;
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    const { context, state } = this.#options;
    context.log.warning(`${state.queueId}: ${error.message}`);
    state.refuse(error instanceof QueueTrouble && error.code === 'EFBIG' ? cleanupStatus.size : cleanupStatus.write);
  }

  #apply(edit: Edit): MaybePromise<void> {
    const { message } = this.#options;
    switch (edit.kind) {
      case 'add-header': return this.#withHeader(edit, (header) => message.headers.push(header));
      case 'insert-header': return this.#withHeader(edit, (header) => message.headers.splice(edit.index - 1, 0, header));
      case 'change-header': return this.#changeHeader(edit);
      case 'delete-header': return this.#deleteHeader(edit);
      case 'change-sender': return this.#changeSender(edit);
      case 'add-recipient': return this.#addRecipient(edit);
      case 'delete-recipient': return this.#deleteRecipient(edit);
      case 'body': return this.#body(edit.bytes);
      case 'end-of-body': return this.#endBody();
    }
  }

  /** The header as it goes into the queue file, unless a check drops it. */
  #withHeader({ name, space, value }: Of<'add-header' | 'insert-header' | 'change-header'>, place: (header: HeldHeader) => void): MaybePromise<void> {
    const { message } = this.#options;
    const checkHeader = this.#checkHeader;
    const text = `${name}:${space}${value}`;
    return chain(checkHeader === undefined ? text : checkHeader(text), (checked) => {
      if (checked === undefined) return;
      this.#limit((this.#added += checked.length));
      message.isChanged = true;
      place(this.#header(checked));
    });
  }

  #header(text: string): HeldHeader {
    const { header_size_limit: limit, line_length_limit: lineLimit } = this.#options.context.view;
    const records: HeldRecord[] = [];
    for (const line of headerLines(text, limit)) {
      let at = 0;
      for (; line.length - at > lineLimit; at += lineLimit) records.push({ type: recordType.partial, text: line.slice(at, at + lineLimit) });
      records.push({ type: recordType.normal, text: line.slice(at) });
    }
    return headerOf(records);
  }

  #changeHeader(edit: Of<'insert-header' | 'change-header'>): MaybePromise<void> {
    const { headers } = this.#options.message;
    const at = this.#options.message.find(edit.name, edit.index);
    return this.#withHeader(edit, (header) => (at < 0 ? headers.push(header) : void (headers[at] = header)));
  }

  #deleteHeader({ name, index }: Of<'delete-header'>): void {
    const { message } = this.#options;
    const at = message.find(name, index);
    if (at < 0) return;
    message.isChanged = true;
    message.headers.splice(at, 1);
  }

  /** Before the recipients that were extracted. */
  #extract(type: number, text: string): void {
    const { message } = this.#options;
    const at = message.extracted.findIndex((record) => typeIn(segmentTypes.extractedRecipients, record.type));
    message.extracted.splice(at, 0, { type, text });
    message.isChanged = true;
  }

  // ---- envelope

  /** The new sender stands where the old one did, behind what belongs to it (RET and ENVID). */
  #changeSender({ address, parameters }: Of<'change-sender' | 'add-recipient'>): MaybePromise<void> {
    const { context, state, message } = this.#options;
    const before: HeldRecord[] = [];
    const attribute = (name: string, value: string | number): void => void before.push({ type: recordType.attribute, text: `${name}=${value}` });
    const found = senderParameters(parameters, (text) => context.log.warning(text));
    if (found.envid !== undefined) attribute(attributeName.dsnEnvid, found.envid);
    if (found.ret !== 0) attribute(attributeName.dsnRet, found.ret);
    if (found.envid !== undefined) state.attributes.set(attributeName.dsnEnvid, found.envid);
    if (found.ret !== 0) state.attributes.set(attributeName.dsnRet, String(found.ret));
    const [sender = ''] = this.#addresses(address, 'Milter request to add multi-sender');
    return chain(state.capture((): MaybePromise<void> => putSender(context, state, sender)), (records) => {
      const at = message.envelope.findIndex(({ type }) => type === recordType.sender);
      message.isChanged = true;
      message.envelope.splice(at, 1, ...before, ...records);
    });
  }

  #addRecipient({ address, parameters }: Of<'change-sender' | 'add-recipient'>): MaybePromise<void> {
    const { context, state } = this.#options;
    const warn = (text: string): void => context.log.warning(`${state.queueId}: ${text}`);
    const wishes = recipientParameters(parameters, warn);
    const [recipient] = this.#addresses(address, 'Milter or header/body_checks request to add multi-recipient');
    if (recipient === undefined) return warn('ignoring attempt from Milter to add null recipient');
    const captured = state.capture((): MaybePromise<void> => addBcc(context, state, recipient, { originalAddress: undefined, dsnOrcpt: wishes.orcpt, dsnNotify: wishes.notify }));
    return chain(captured, (records) => this.#placeRecipients(records));
  }

  /** Behind the recipients of the envelope, or, where it has none, behind those that were extracted. */
  #placeRecipients(records: readonly HeldRecord[]): void {
    const { message } = this.#options;
    if (records.length === 0) return;
    message.isChanged = true;
    const hasRecipients = message.envelope.some(({ type }) => type === recordType.recipient || type === recordType.canceled);
    const segment = hasRecipients ? message.envelope : message.extracted;
    segment.splice(segment.length - 1, 0, ...records);
  }

  /** Every recipient that came of this address, aliases of it too, is marked as canceled; the address may be added again. */
  #deleteRecipient({ address }: Of<'delete-recipient'>): void {
    const { message } = this.#options;
    const [recipient] = this.#addresses(address, 'Milter request to drop multi-recipient');
    if (recipient === undefined) return;
    for (const segment of [message.envelope, message.extracted]) this.#cancel(segment, recipient);
  }

  #cancel(segment: HeldRecord[], recipient: string): void {
    const { state, context, message } = this.#options;
    let original = '';
    let orcpt = '';
    let notify = 0;
    for (const [at, { type, text }] of segment.entries()) {
      if (type === recordType.attribute) {
        const parsed = splitAttribute(text);
        if ('name' in parsed && parsed.name === attributeName.dsnOrcpt) orcpt = parsed.value;
        if ('name' in parsed && parsed.name === attributeName.dsnNotify) notify = allDigits(parsed.value) ? Number(parsed.value) : 0;
      } else if (type === recordType.originalRecipient) original = text;
      else if (type === recordType.recipient || type === recordType.canceled || type === recordType.done) {
        if (type === recordType.recipient && (original || text) === recipient) {
          segment[at] = { type: recordType.canceled, text };
          message.isChanged = true;
          state.duplicates.forget({ address: text, originalAddress: original, dsnOrcpt: orcpt, dsnNotify: notify }, context.view.enable_original_recipient);
        }
        original = orcpt = '';
        notify = 0;
      }
    }
  }

  /** A filter's address in our form; the first counts. */
  #addresses(text: string, request: string): string[] {
    const { context, state } = this.#options;
    const found = parseAddresses(text).filter((token) => token.type === 'address');
    if (found.length > 1) context.log.warning(`${state.queueId}: ${request}: "${text.slice(0, 200)}"`);
    return found.slice(0, 1).map((token) => internalAddress(token.tokens));
  }

  // ---- body

  /** A new body begins with the empty line that ends the header. */
  #body(bytes: Buffer): MaybePromise<void> {
    const { context, directory, state } = this.#options;
    if (this.#newBody === undefined) {
      const spool = new Spool({ directory, name: `${state.queueId}.body${++this.#bodies}` });
      const records = new ContentRecords({ lineEnd: 'crlf', lineLimit: context.view.line_length_limit });
      spool.append(records.records(Buffer.from('\n')));
      this.#newBody = { spool, records };
      this.#replaced = 0;
    }
    const { spool, records } = this.#newBody;
    spool.append(records.records(bytes));
    this.#limit((this.#replaced += bytes.length));
    return spool.full ? spool.drained() : undefined;
  }

  #limit(length: number): void {
    const { message_size_limit: limit } = this.#options.context.view;
    if (limit > 0 && length > limit) throw new QueueTrouble('EFBIG', 'queue file size limit exceeded');
  }

  async #endBody(): Promise<void> {
    const { message } = this.#options;
    if (this.#newBody === undefined) return;
    const { spool, records } = this.#newBody;
    this.#newBody = undefined;
    spool.append(records.end());
    await spool.drained();
    if (spool.trouble !== undefined) throw spool.trouble;
    if (message.body.spool !== this.#options.original) message.body.spool.close();
    message.body = { spool, from: 0, to: spool.length };
    message.isChanged = true;
  }

  /** A body that was begun and is not wanted. */
  close(): void {
    this.#newBody?.spool.close();
    const { spool } = this.#options.message.body;
    if (spool !== this.#options.original) spool.close();
  }
}

interface SenderParameters { readonly envid: string | undefined; readonly ret: number }

/** RFC 3461: what goes with a sender. Anything else is not for filters to change. */
function senderParameters(text: string, warn: (text: string) => void): SenderParameters {
  let envid: string | undefined;
  let ret = 0;
  for (const word of text.split(' ').filter((each) => each !== '')) {
    const found = startsIgnoringCase(word, 'RET=') ? parseDsnRet(word.slice(4)) ?? 0 : 0;
    const id = startsIgnoringCase(word, 'ENVID=') ? decodeXtext(word.slice(6)) : undefined;
    if (found !== 0) ret = found;
    else if (id !== undefined && allPrintableOrTab(id)) envid = id;
    else warn(`Ignoring bad ESMTP parameter "${word.slice(0, 100)}" in SMFI_CHGFROM request`);
  }
  return { envid, ret };
}

interface RecipientParameters { readonly notify: number; readonly orcpt: string }

function recipientParameters(text: string, warn: (text: string) => void): RecipientParameters {
  let notify = 0;
  let orcpt = '';
  for (const word of text.split(' ').filter((each) => each !== '')) {
    if (startsIgnoringCase(word, 'NOTIFY=')) {
      const mask = notify === 0 ? parseDsnNotify(word.slice(7)) ?? 0 : 0;
      if (mask === 0) warn(`Bad NOTIFY parameter from Milter or header/body_checks: "${word.slice(0, 100)}"`);
      else notify = mask;
    } else if (startsIgnoringCase(word, 'ORCPT=')) {
      const found = orcpt === '' ? orcptOf(word.slice(6)) : undefined;
      if (found === undefined) warn(`Bad ORCPT parameter from Milter or header/body_checks: "${word.slice(0, 100)}"`);
      else orcpt = found;
    } else warn(`ignoring ESMTP argument from Milter or header/body_checks: "${word.slice(0, 100)}"`);
  }
  return { notify, orcpt };
}

function orcptOf(text: string): string | undefined {
  const semicolon = text.indexOf(';');
  const decode = startsIgnoringCase(text, 'utf-8;') ? decodeUxtext : decodeXtext;
  const address = semicolon > 0 ? decode(text.slice(semicolon + 1)) : undefined;
  return address === undefined || address === '' || address.includes('\0') ? undefined : text.slice(0, semicolon + 1) + address;
}
