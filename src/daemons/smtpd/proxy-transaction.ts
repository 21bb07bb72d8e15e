/**
 * One mail transaction on its way to a before-queue filter, in place of cleanup: smtpd_proxy_filter.
 *
 * MAIL, RCPT and DATA go to the filter as the client said them, once we would have taken them ourselves. Its refusals reach the client as they
 * are; anything else that goes wrong is a temporary failure of ours, and stays one until the transaction is over. Nothing but a 2xx reply to
 * the end of data makes the message accepted. With a spool (speed_adjust) the filter hears all of it in one go, when the message is complete.
 */
import { quote822Local } from '../../message/address.ts';
import type { Reply as ClientReply } from '../../protocol/smtp-client/reply.ts';
import { ProxyLines } from '../../protocol/smtp-proxy/lines.ts';
import { RequireTlsHeader } from '../../protocol/smtp-proxy/require-tls-header.ts';
import { passedOn } from '../../protocol/smtp-proxy/passed-on.ts';
import { forwardCommands, offeredAttributes, type Forwarded } from '../../protocol/smtp-proxy/xforward.ts';
import { forwardedClient } from '../../protocol/smtp-server/client-attributes.ts';
import { reply } from '../../protocol/smtp-server/reply.ts';
import type { Reply, Verdict } from '../../protocol/smtp-server/steps.ts';
import type { ProxyConnection } from './proxy-connection.ts';
import type { ProxyFilter } from './proxy-filter.ts';
import type { ProxySpool } from './proxy-spool.ts';
import { headLines, receivedLines, type OwnName, type TransactionFacts } from './transaction.ts';

export interface ProxyTransactionOptions {
  readonly filter: ProxyFilter;
  readonly facts: TransactionFacts;
  /** MAIL, as the client said it. */
  readonly command: string;
  /** The transaction stands: the filter has taken MAIL, or will be asked later. */
  opened(): void;
  readonly spool: ProxySpool | undefined;
}

/** What the client hears of trouble that is none of its business. */
const trouble = reply(451, '4.3.0', 'Error: queue file write error');
const troubleText = '451 4.3.0 Error: queue file write error';

export class ProxyTransaction {
  /** The queue is behind the filter. */
  readonly queueId = undefined;
  readonly facts: TransactionFacts;
  readonly #options: ProxyTransactionOptions;
  #connection: ProxyConnection | undefined;
  readonly #lines = new ProxyLines();
  /** Says that the client asked for REQUIRETLS, which the filter is not asked for. */
  readonly #mark: RequireTlsHeader | undefined;
  /** Commands for later (speed_adjust). */
  readonly #later: string[] = [];
  /** The first, and how many were taken. */
  #recipient: string | undefined;
  #recipients = 0;
  /** Something has gone wrong that no later command mends. */
  #hasFailed = false;
  #inContent = false;
  /** The client has sent all of it: what is under way is finished, whether the client still waits or not. */
  #isEnding = false;
  #isOver = false;
  /** What the filter, or we in its place, said last. */
  #last = troubleText;

  constructor(options: ProxyTransactionOptions) {
    this.facts = options.facts;
    this.#options = options;
    this.#mark = options.facts.parameters.requireTls && options.filter.marksRequireTls ? new RequireTlsHeader() : undefined;
    if (options.spool !== undefined) options.opened();
  }

  /** Reach the filter, unless that was done or has to wait. A refusal: nothing has begun, and the next command tries anew. */
  async greet(): Promise<Reply | undefined> {
    if (this.#options.spool !== undefined || this.#connection !== undefined) return undefined;
    const refusal = await this.#open();
    if (refusal === undefined) this.#options.opened();
    return refusal;
  }

  /** `command` as the client said it. A refusal is the filter's, or tells of trouble. */
  async recipient(address: string, _notify: number, _orcpt: string, command: string): Promise<Reply | undefined> {
    if (this.#options.spool !== undefined) this.#later.push(singleLine(command));
    else {
      const refusal = await this.greet() ?? await this.#command(singleLine(command), '2');
      if (refusal !== undefined) return refusal;
    }
    this.#recipient ??= address;
    this.#recipients++;
    return undefined;
  }

  /** Content follows, with our own header in front. */
  async begin(own: OwnName): Promise<Reply | undefined> {
    if (this.#options.spool === undefined) {
      const refusal = await this.#command('DATA', '3');
      if (refusal !== undefined) return refusal;
    }
    this.#inContent = true;
    // Who speaks for another client has written the header for that one's connection.
    const received = this.facts.state.forwarded !== undefined ? [] : receivedLines(this.facts, own, '', this.#recipients === 1 ? this.#recipient : undefined);
    this.#pass(headLines(this.facts, received));
    return undefined;
  }

  /** False: wait for drained(). */
  content(chunk: Buffer): boolean {
    if (this.#mark === undefined) return this.#pass(chunk);
    let isDrained = true;
    for (const piece of this.#mark.take(chunk)) isDrained = this.#pass(piece);
    return isDrained;
  }

  #pass(chunk: Buffer): boolean {
    if (this.#hasFailed) return true;
    const { spool } = this.#options;
    if (spool === undefined) return this.#connection!.send(this.#lines.convert(chunk));
    try {
      spool.write(chunk);
    } catch (error) {
      this.#spoolTrouble(error);
    }
    return true;
  }

  drained(): Promise<void> {
    return this.#connection?.drained() ?? Promise.resolve();
  }

  /** Accepted only when the filter says so. */
  async end(): Promise<{ readonly verdict: Verdict }> {
    this.#isEnding = true;
    for (const piece of this.#mark?.end() ?? []) this.#pass(piece);
    const said = this.#hasFailed ? undefined : this.#options.spool === undefined ? await this.#endOfData() : await this.#replay();
    const accepted = said === undefined || said.code >= 300 ? undefined : said;
    this.#log(accepted === undefined ? 'reject' : 'accept');
    this.#close();
    return { verdict: accepted === undefined ? { accept: false, reply: said ?? trouble } : { accept: true, reply: accepted } };
  }

  /** We refuse the content ourselves: for its size, for its line ends. */
  refused(): void {
    if (this.#inContent && !this.#isEnding) this.#log('reject');
  }

  abort(): void {
    if (!this.#isEnding) this.#close();
  }

  #close(): void {
    this.#isOver = true;
    this.#options.spool?.close();
    // What is in the middle of its content must not look finished.
    if (this.#inContent) this.#connection?.destroy();
    else this.#connection?.quit();
    this.#connection = undefined;
    this.#hasFailed = true;
  }

  async #open(): Promise<Reply | undefined> {
    const { filter, command } = this.#options;
    const warn = (text: string): void => this.facts.state.log.warning(text);
    const connection = await filter.connect(warn);
    if (connection === undefined) return this.#generic();
    if (this.#isOver) return (connection.destroy(), this.#generic());
    this.#connection = connection;
    const refusal = await this.#introduce(filter.ehlo, warn) ?? await this.#command(this.#mailCommand(command), '2');
    if (refusal === undefined) return undefined;
    this.#connection?.quit();
    this.#connection = undefined;
    this.#hasFailed = this.#isOver;
    return refusal;
  }

  /** MAIL without REQUIRETLS, which is not the filter's concern. */
  #mailCommand(command: string): string {
    const { requireTls } = this.facts.parameters;
    return singleLine(requireTls ? command.replace(/ +requiretls(?= |$)/gi, '') : command);
  }

  /** A filter has no reason to refuse any of this: the client hears of trouble. */
  async #introduce(ehlo: string, warn: (text: string) => void): Promise<Reply | undefined> {
    if (await this.#command(undefined, '2') !== undefined) return this.#generic();
    const hello = `EHLO ${ehlo}`;
    const answer = await this.#connection?.ask(hello);
    if (this.#refusal(answer, hello, '2') !== undefined) return this.#generic();
    for (const line of forwardCommands(offeredAttributes(answer!.text), this.#forwarded(), warn)) {
      if (await this.#command(line, '2') !== undefined) return this.#generic();
    }
    return undefined;
  }

  async #command(line: string | undefined, expected: string): Promise<Reply | undefined> {
    if (this.#hasFailed || this.#connection === undefined) return this.#generic();
    return this.#refusal(await this.#connection.ask(line), line ?? 'connection request', expected);
  }

  /** Undefined: the filter said what was waited for. */
  #refusal(answer: ClientReply | undefined, request: string, expected: string): Reply | undefined {
    if (answer === undefined) return this.#failed();
    this.#last = answer.text.replaceAll('\n', '\r\n');
    if (passedOn(answer.text, expected) !== undefined) return undefined;
    this.facts.state.log.warning(`proxy ${this.#options.filter.name} rejected "${request}": "${this.#last}"`);
    return passedOn(answer.text, '45') ?? this.#failed();
  }

  #failed(): Reply {
    this.#hasFailed = true;
    return this.#generic();
  }

  #generic(): Reply {
    this.#last = troubleText;
    return trouble;
  }

  /** The filter's word about the message, if it is one. */
  async #endOfData(): Promise<Reply | undefined> {
    const answer = await this.#connection?.ask(this.#lines.end());
    if (answer === undefined) return void this.#failed();
    this.#inContent = false;
    this.#last = answer.text.replaceAll('\n', '\r\n');
    return passedOn(answer.text, '2') ?? passedOn(answer.text, '45') ?? void this.#failed();
  }

  /** The whole transaction at once; the first refusal stands for all of it. */
  async #replay(): Promise<Reply | undefined> {
    this.#inContent = false;
    let refusal = await this.#open();
    for (const line of this.#later) refusal ??= await this.#command(line, '2');
    refusal ??= await this.#command('DATA', '3');
    if (refusal !== undefined) return refusal === trouble ? undefined : refusal;
    this.#inContent = true;
    const connection = this.#connection!;
    try {
      for (const piece of this.#options.spool!.read()) {
        if (!connection.send(this.#lines.convert(piece))) await connection.drained();
        if (connection.isBroken) return void this.#failed();
      }
    } catch (error) {
      return void this.#spoolTrouble(error);
    }
    return this.#endOfData();
  }

  #spoolTrouble(error: unknown): void {
    this.facts.state.log.warning(`proxy speed-adjust log I/O error: ${(error as Error).message}`);
    this.#failed();
  }

  #forwarded(): Forwarded {
    const { state, isLocalRewriting } = this.facts;
    const { client, helo, protocol, forwarded } = state;
    const origin = forwardedClient(forwarded) ?? { ...client, helo, protocol };
    const known = (value: string): string | undefined => (value === 'unknown' ? undefined : value);
    return {
      NAME: known(origin.name), ADDR: known(origin.literal), PORT: known(origin.port), HELO: origin.helo, IDENT: forwarded?.ident?.id,
      PROTO: known(origin.protocol), SOURCE: (forwarded?.source ?? (isLocalRewriting ? 'local' : 'remote')).toUpperCase(),
    };
  }

  /** Word for word as log readers know it. */
  #log(word: 'accept' | 'reject'): void {
    const { state, sender } = this.facts;
    const address = (text: string): string => (text === '' ? '' : quote822Local(text));
    let line = `proxy-${word}: END-OF-MESSAGE: ${this.#last}; from=<${address(sender)}>`;
    if (this.#recipient !== undefined) line += ` to=<${address(this.#recipient)}>`;
    line += ` proto=${state.protocol}`;
    if (state.helo !== undefined) line += ` helo=<${state.helo}>`;
    if (state.sasl !== undefined) line += ` sasl_username=<${state.sasl.username}>`;
    state.log.info(line);
  }
}

/** A line end within a command would be another command for the filter. */
function singleLine(command: string): string {
  return command.replace(/[\r\n\0]/g, ' ');
}
