/**
 * Filters for one message: what is written of it is held back until they have seen it, what they say is done (milter-edit.ts), and then the
 * queue file is written once, as if it had been so from the beginning.
 *
 * The connections belong to smtpd, for mail that comes by SMTP (`inspect`), else to cleanup (milter-emulation.ts). Whatever goes wrong refuses
 * the message for now; a verdict is told in the log with everything that is known of the client.
 */
import { cleanupFlag, cleanupStatus } from '../../ipc/cleanup.ts';
import { quote822Local } from '../../message/address.ts';
import { attributeName } from '../../message/envelope-names.ts';
import type { ContentInspection } from '../../protocol/milter/inspection.ts';
import type { FilterVerdict } from '../../protocol/milter/reply.ts';
import { isControl } from '../../text/ascii.ts';
import type { CleanupContext } from './context.ts';
import { clientOf } from './milter-client.ts';
import { Editor } from './milter-edit.ts';
import { Emulation } from './milter-emulation.ts';
import { HeldMessage } from './milter-message.ts';
import { HeldWriter } from './milter-writer.ts';
import type { MessageState } from './state.ts';

const shutDown = '421 4.7.0 Service unavailable';

export class MessageFilters {
  readonly #context: CleanupContext;
  readonly #state: MessageState;
  readonly #writer: HeldWriter;
  readonly #emulation: Emulation | undefined;
  #inspection: ContentInspection | undefined;
  #isAborted = false;

  /** Undefined: none for this message. */
  static of(context: CleanupContext, state: MessageState): MessageFilters | undefined {
    const isOther = (state.flags & cleanupFlag.milter) !== 0 && context.milters !== undefined;
    return isOther || (state.flags & cleanupFlag.inspect) !== 0 ? new MessageFilters(context, state, isOther) : undefined;
  }

  private constructor(context: CleanupContext, state: MessageState, isOther: boolean) {
    this.#context = context;
    this.#state = state;
    this.#writer = new HeldWriter(state.writer, context.holdDirectory);
    state.writer = this.#writer;
    if (!isOther) return;
    state.told = [];
    this.#emulation = new Emulation(context, state, (event, verdict, recipient) => this.#apply(event, verdict, recipient));
  }

  inspect(inspection: ContentInspection): void {
    this.#inspection = inspection;
  }

  abort(): void {
    this.#isAborted = true;
    this.#emulation?.close();
    this.#inspection?.close();
  }

  /** The message is complete. Afterwards it is in its writer as it is to be kept, or the state says why it is not. Never rejects. */
  async see(): Promise<void> {
    try {
      // PASS and REDIRECT of header_checks(5) spare the message all filters.
      const spared = (this.#state.flags & (cleanupFlag.milter | cleanupFlag.inspect)) === 0;
      if (this.#isOk && !spared && this.#emulation !== undefined) this.#inspection = await this.#emulation.perform();
      if (this.#isOk && !spared && this.#inspection !== undefined) await this.#show(this.#inspection);
    } catch (error) {
      this.#context.log.warning(`${this.#state.queueId}: ${(error as Error).message} -- message not accepted, try again later`);
      this.#state.refuse(cleanupStatus.write);
    } finally {
      this.#inspection?.close();
      this.#emulation?.close();
    }
    if (this.#isAborted) this.#state.refuse(cleanupStatus.bad);
  }

  get #isOk(): boolean {
    return this.#state.status === 0 && (this.#state.flags & cleanupFlag.discard) === 0 && !this.#isAborted;
  }

  async #show(inspection: ContentInspection): Promise<void> {
    const state = this.#state;
    let pass = await inspection.next();
    if (pass === undefined) return;
    state.hand();
    const message = await HeldMessage.read(this.#writer.spool, state);
    const editor = new Editor({ context: this.#context, state, message, directory: this.#context.holdDirectory, original: this.#writer.spool, log: (action, header, text) => this.#logHeader(action, header, text) });
    try {
      for (; pass !== undefined; pass = await inspection.next()) {
        await message.show(pass);
        const verdict = await pass.end((edit) => editor.apply(edit));
        if (verdict !== undefined) this.#apply('END-OF-MESSAGE', verdict, state.recipient);
        if (verdict !== undefined || !this.#isOk) break;
      }
      if (message.isChanged && this.#isOk) await message.write(state, this.#writer.real);
    } finally {
      editor.close();
      if (state.writer !== this.#writer) this.#writer.drop();
    }
  }

  /** True when the message is refused. */
  #apply(event: string, verdict: FilterVerdict, recipient: string | undefined): boolean {
    const state = this.#state;
    // What has gone wrong with an edit, or was decided before, was told already.
    if (verdict === undefined || !this.#isOk) return false;
    if (verdict.startsWith('H')) {
      if ((state.flags & cleanupFlag.hold) === 0) this.#log('milter-hold', event, verdict.slice(1) || 'milter triggers HOLD action', recipient);
      state.flags |= cleanupFlag.hold;
      return false;
    }
    if (verdict.startsWith('D')) {
      this.#log('milter-discard', event, 'milter triggers DISCARD action', recipient);
      state.flags |= cleanupFlag.discard;
      return false;
    }
    const reply = verdict.startsWith('S') ? shutDown : verdict;
    const text = reply.slice(4);
    this.#log('milter-reject', event, text, recipient);
    state.refuse(reply.startsWith('5') ? cleanupStatus.contents : cleanupStatus.defer, (state.flags & cleanupFlag.smtpReply) !== 0 ? reply : onOneLine(text));
    return true;
  }

  #logHeader(action: string, header: string, text: string): void {
    const { name, address } = clientOf(this.#state.attributes);
    const line = `${this.#state.queueId}: milter-header-${action}: header ${header.slice(0, 200)} from ${name}[${address}];${this.#whatsUp(this.#state.recipient)}`;
    this.#context.log.info(text === '' ? line : `${line}: ${text}`);
  }

  #log(action: string, event: string, text: string, recipient: string | undefined): void {
    const { name, address } = clientOf(this.#state.attributes);
    this.#context.log.info(`${this.#state.queueId}: ${action}: ${event} from ${name}[${address}]: ${text};${this.#whatsUp(recipient)}`);
  }

  #whatsUp(recipient: string | undefined): string {
    const { attributes, sender } = this.#state;
    let line = sender === undefined ? '' : ` from=<${quoted(sender)}>`;
    if (recipient !== undefined) line += ` to=<${quoted(recipient)}>`;
    const protocol = attributes.get(attributeName.logProtocolName);
    const helo = attributes.get(attributeName.logHeloName);
    if (protocol !== undefined) line += ` proto=${protocol}`;
    return helo === undefined ? line : `${line} helo=<${helo}>`;
  }
}

function quoted(address: string): string {
  return address === '' ? '' : quote822Local(address);
}

function onOneLine(text: string): string {
  return [...text].map((char) => (isControl(char.charCodeAt(0)) ? '_' : char)).join('');
}
