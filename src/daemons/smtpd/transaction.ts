/**
 * One mail transaction on its way to cleanup: the envelope as records, then our Received: header and the content.
 *
 * Cleanup is asked for a session with the first good recipient (smtpd_delay_open_until_valid_rcpt). What goes wrong with it is
 * remembered: the client hears it as a temporary failure at the next command that depends on it.
 */
import { externalFlags, cleanupFlag, cleanupDetail, cleanupStatus, type Cleanup, type CleanupReply, type CleanupSession } from '../../ipc/cleanup.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import { attributeName } from '../../message/envelope-names.ts';
import type { MailParameters } from '../../message/path-parameters.ts';
import { receivedFromClient, type TlsFacts } from '../../message/received.ts';
import { recordType } from '../../message/record.ts';
import type { Reply } from '../../protocol/smtp-server/steps.ts';
import { dsnNotify, dsnValid, splitDsn } from '../../message/dsn.ts';
import type { ContentInspection } from '../../protocol/milter/inspection.ts';
import { replyOf } from '../../protocol/milter/reply.ts';
import { isPending, type MaybePromise } from '../../text/maybe.ts';
import { forwardedClient } from '../../protocol/smtp-server/client-attributes.ts';
import type { AccessState } from './access/state.ts';
import { originLabel } from './log-lines.ts';

/** What a record of each attribute begins with: `name=`. */
const attribute = Object.fromEntries(Object.entries(attributeName).map(([key, name]) => [key, `${name}=`])) as Record<keyof typeof attributeName, string>;

export interface TransactionFacts {
  readonly state: AccessState;
  readonly sender: string;
  readonly parameters: MailParameters;
  /** Milliseconds since the epoch. */
  readonly arrival: number;
  /** Do addresses in headers get our domain (local_header_rewrite_clients)? */
  readonly isLocalRewriting: boolean;
  readonly contentFilter: string;
  /** receive_override_options */
  readonly withoutFlags: number;
  /** What Received: says of TLS (smtpd_tls_received_header). */
  readonly receivedTls: TlsFacts | undefined;
  /** smtpd_client_port_logging */
  readonly logsPort?: boolean | undefined;
  /** smtputf8_autodetect_classes */
  readonly detectsUtf8?: boolean | undefined;
}

export interface OwnName {
  readonly hostname: string;
  readonly mailName: string;
  readonly hideClient: boolean;
  /** smtpd_sasl_authenticated_header */
  readonly showsLogin?: boolean;
  date(milliseconds: number): string;
}

export class Transaction {
  readonly facts: TransactionFacts;
  readonly #session: CleanupSession;
  #recipients = 0;
  #lastRecipient: string | undefined;
  #flags = 0;

  constructor(facts: TransactionFacts, session: CleanupSession) {
    this.facts = facts;
    this.#session = session;
    this.#envelope();
  }

  /** Rejects with ServiceTrouble when cleanup is out of reach. `isFiltered`: milters may want to see the content. */
  static open(cleanup: Cleanup, facts: TransactionFacts, isFiltered = false): MaybePromise<Transaction> {
    const { smtputf8, requireTls } = facts.parameters;
    const utf8 = smtputf8 ? cleanupFlag.smtputf8 : facts.detectsUtf8 ? cleanupFlag.autoUtf8 : 0;
    // Milters for mail of other sources are never asked about ours.
    const wishes = (isFiltered ? cleanupFlag.inspect : 0) | (requireTls ? cleanupFlag.requireTls : 0);
    const flags = ((externalFlags | cleanupFlag.smtpReply) & ~facts.withoutFlags & ~cleanupFlag.milter) | utf8 | wishes;
    const session = cleanup.open({ flags, lineEnd: 'crlf' });
    return isPending(session) ? session.then((late) => new Transaction(facts, late)) : new Transaction(facts, session);
  }

  get queueId(): string {
    return this.#session.queueId;
  }

  recipient(address: string, notify: number, orcpt: string, _command?: string): undefined {
    if (notify !== 0) this.#attribute(attribute.dsnNotify, notify);
    if (orcpt !== '') this.#attribute(attribute.dsnOrcpt, orcpt);
    this.#session.record(recordType.recipient, address);
    this.#recipients++;
    this.#lastRecipient = address;
  }

  /** Milters want to see the message before it is kept. */
  inspect(inspection: ContentInspection): void {
    if (this.#session.inspect === undefined) throw new ServiceTrouble('cleanup', 'cannot show the message to milters');
    this.#session.inspect(inspection);
  }

  /** The envelope is complete: content follows, with our own header in front. */
  begin(own: OwnName): undefined {
    this.#flag();
    this.#session.message();
    this.#session.content(headLines(this.facts, receivedLines(this.facts, own, this.queueId, this.#recipients === 1 ? this.#lastRecipient : undefined)));
  }

  content(chunk: Buffer): boolean {
    return this.#session.content(chunk);
  }

  drained(): Promise<void> {
    return this.#session.drained();
  }

  end(): Promise<CleanupReply> {
    const { effects } = this.facts.state;
    this.#session.extracted();
    this.#flag();
    if (effects.filter !== undefined) this.#session.record(recordType.filter, effects.filter);
    if (effects.redirect !== undefined) this.#session.record(recordType.redirect, effects.redirect);
    for (const address of effects.bcc) {
      this.#attribute(attribute.dsnNotify, dsnNotify.never);
      this.#session.record(recordType.recipient, address);
    }
    return this.#session.end();
  }

  /** What lists want to have done to the message, up to now: those for the end of the message come after its content. */
  #flag(): void {
    const { hold, discard } = this.facts.state.effects;
    const flags = (hold ? cleanupFlag.hold : 0) | (discard ? cleanupFlag.discard : 0);
    if (flags !== this.#flags) this.#session.record(recordType.flags, String(flags));
    this.#flags = flags;
  }

  abort(): void {
    this.#session.abort();
  }

  #attribute(lead: string, value: string | number): void {
    this.#session.record(recordType.attribute, lead + value);
  }

  #envelope(): void {
    const { sender, parameters, arrival, isLocalRewriting, contentFilter } = this.facts;
    const session = this.#session;
    session.record(recordType.time, `${Math.floor(arrival / 1000)} ${Math.floor((arrival % 1000) * 1000)}`);
    if (contentFilter !== '') session.record(recordType.filter, contentFilter);
    const { forwarded } = this.facts.state;
    this.#attribute(attribute.logIdent, forwarded?.ident?.id ?? this.queueId);
    this.#attribute(attribute.rewriteContext, forwarded?.source ?? (isLocalRewriting ? 'local' : 'remote'));
    this.#loginAttributes();
    if (parameters.dsnEnvid !== undefined) this.#attribute(attribute.dsnEnvid, parameters.dsnEnvid);
    if (parameters.dsnRet !== 0) this.#attribute(attribute.dsnRet, parameters.dsnRet);
    session.record(recordType.sender, sender);
    if (parameters.encoding !== undefined) this.#attribute(attribute.encoding, parameters.encoding);
    this.#clientAttributes();
    if (parameters.verp !== undefined) session.record(recordType.verp, parameters.verp);
  }

  #loginAttributes(): void {
    const { state: { sasl }, parameters: { auth } } = this.facts;
    if (sasl !== undefined) {
      this.#attribute(attribute.saslMethod, sasl.method);
      this.#attribute(attribute.saslUsername, sasl.username);
    }
    if (auth !== undefined) this.#attribute(attribute.saslSender, auth);
  }

  /** Unknown values are recorded too: without any, the mail would pass for local submission. */
  #clientAttributes(): void {
    const { state, logsPort } = this.facts;
    const { client, helo, protocol } = state;
    const forwarded = forwardedClient(state.forwarded);
    const { name, literal, port } = forwarded ?? client;
    const originHelo = forwarded === undefined ? helo : forwarded.helo;
    this.#attribute(attribute.logClientName, name);
    this.#attribute(attribute.logClientAddress, literal);
    this.#attribute(attribute.logClientPort, port);
    this.#attribute(attribute.logMessageOrigin, forwarded === undefined ? client.label : originLabel(state, logsPort === true)!);
    if (originHelo !== undefined) this.#attribute(attribute.logHeloName, originHelo);
    this.#attribute(attribute.logProtocolName, forwarded?.protocol ?? protocol);
    this.#attribute(attribute.clientName, client.name);
    this.#attribute(attribute.reverseClientName, client.reverseName);
    this.#attribute(attribute.clientAddress, client.address);
    this.#attribute(attribute.clientPort, client.port);
    this.#attribute(attribute.serverAddress, client.serverAddress);
    this.#attribute(attribute.serverPort, client.serverPort);
    if (helo !== undefined) this.#attribute(attribute.heloName, helo);
    this.#attribute(attribute.protocolName, protocol);
    this.#attribute(attribute.clientAddressType, client.address.includes(':') ? '10' : '2');
  }
}

/** What stands above the client's own content: headers that lists prepend, and ours. */
export function headLines({ state }: TransactionFacts, lines: readonly string[]): Buffer {
  let text = '';
  for (const line of state.effects.prepend) text += `${line}\r\n`;
  for (const line of lines) text += `${line}\r\n`;
  return Buffer.from(text, 'latin1');
}

/** Our Received: header; `recipient` when there is only one. */
export function receivedLines({ state, parameters, arrival, receivedTls }: TransactionFacts, own: OwnName, queueId: string, recipient: string | undefined): string[] {
  return receivedFromClient({
    hostname: own.hostname, mailName: own.mailName, queueId, date: own.date(arrival),
    helo: state.helo ?? state.client.name, clientName: state.client.name, clientAddress: state.client.literal,
    protocol: parameters.smtputf8 ? 'UTF8SMTP' : state.protocol,
    encrypted: state.tls !== undefined, tls: receivedTls,
    authenticated: state.sasl !== undefined, authenticatedName: own.showsLogin ? state.sasl?.username : undefined,
    recipient, hideClient: own.hideClient,
  });
}

/** What the client hears when cleanup did not keep the message. A reason may be a whole SMTP reply (smtpReply flag). */
export function refusedByCleanup({ status, reason }: CleanupReply): Reply {
  const whole = replyOf(reason);
  if (whole !== undefined) return whole;
  const detail = cleanupDetail(status);
  const isContent = (status & (cleanupStatus.contents | cleanupStatus.defer)) !== 0;
  if (isContent && reason !== '') {
    const split = splitDsn(detail.dsn, reason);
    const code = dsnValid(reason) > 0 && reason.startsWith('4') ? 451 : detail.code;
    return { code, status: split.status, text: split.text };
  }
  return { code: detail.code, status: detail.dsn, text: `Error: ${detail.text}` };
}
