/**
 * One mail transaction on its way to cleanup: the envelope as records, then our Received: header and the content.
 *
 * Cleanup is asked for a session with the first good recipient (smtpd_delay_open_until_valid_rcpt). What goes wrong with it is
 * remembered: the client hears it as a temporary failure at the next command that depends on it.
 */
import { externalFlags, cleanupFlag, cleanupDetail, cleanupStatus, type Cleanup, type CleanupReply, type CleanupSession } from '../../ipc/cleanup.ts';
import { attributeName } from '../../message/envelope-names.ts';
import type { MailParameters } from '../../message/path-parameters.ts';
import { receivedFromClient } from '../../message/received.ts';
import { recordType } from '../../message/record.ts';
import type { Reply } from '../../protocol/smtp-server/steps.ts';
import { dsnValid, splitDsn } from '../../message/dsn.ts';
import type { AccessState } from './access/state.ts';

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
}

export interface OwnName {
  readonly hostname: string;
  readonly mailName: string;
  readonly hideClient: boolean;
  date(milliseconds: number): string;
}

export class Transaction {
  readonly facts: TransactionFacts;
  readonly #session: CleanupSession;
  readonly #recipients: string[] = [];

  constructor(facts: TransactionFacts, session: CleanupSession) {
    this.facts = facts;
    this.#session = session;
    this.#envelope();
  }

  /** Rejects with ServiceTrouble when cleanup is out of reach. */
  static async open(cleanup: Cleanup, facts: TransactionFacts): Promise<Transaction> {
    const utf8 = facts.parameters.smtputf8 ? cleanupFlag.smtputf8 : 0;
    const flags = ((externalFlags | cleanupFlag.smtpReply) & ~facts.withoutFlags) | utf8;
    return new Transaction(facts, await cleanup.open({ flags, lineEnd: 'crlf' }));
  }

  get queueId(): string {
    return this.#session.queueId;
  }

  recipient(address: string, notify: number, orcpt: string): void {
    if (notify !== 0) this.#attribute(attributeName.dsnNotify, notify);
    if (orcpt !== '') this.#attribute(attributeName.dsnOrcpt, orcpt);
    this.#session.record(recordType.recipient, address);
    if (this.#recipients.length < 2) this.#recipients.push(address);
  }

  /** The envelope is complete: content follows, with our own header in front. */
  begin(own: OwnName): void {
    const { effects } = this.facts.state;
    const extra = (effects.hold ? cleanupFlag.hold : 0) | (effects.discard ? cleanupFlag.discard : 0);
    if (extra !== 0) this.#session.record(recordType.flags, String(extra));
    this.#session.message();
    const lines = [...effects.prepend, ...this.#received(own)];
    this.#session.content(Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'latin1'));
  }

  content(chunk: Buffer): boolean {
    return this.#session.content(chunk);
  }

  drained(): Promise<void> {
    return this.#session.drained();
  }

  async end(): Promise<CleanupReply> {
    const { effects } = this.facts.state;
    this.#session.extracted();
    if (effects.filter !== undefined) this.#session.record(recordType.filter, effects.filter);
    if (effects.redirect !== undefined) this.#session.record(recordType.redirect, effects.redirect);
    for (const address of effects.bcc) this.#session.record(recordType.recipient, address);
    return this.#session.end();
  }

  abort(): void {
    this.#session.abort();
  }

  #attribute(name: string, value: string | number): void {
    this.#session.record(recordType.attribute, `${name}=${value}`);
  }

  #envelope(): void {
    const { sender, parameters, arrival, isLocalRewriting, contentFilter } = this.facts;
    const session = this.#session;
    session.record(recordType.time, `${Math.floor(arrival / 1000)} ${Math.floor((arrival % 1000) * 1000)}`);
    if (contentFilter !== '') session.record(recordType.filter, contentFilter);
    this.#attribute(attributeName.rewriteContext, isLocalRewriting ? 'local' : 'remote');
    if (parameters.dsnEnvid !== undefined) this.#attribute(attributeName.dsnEnvid, parameters.dsnEnvid);
    if (parameters.dsnRet !== 0) this.#attribute(attributeName.dsnRet, parameters.dsnRet);
    session.record(recordType.sender, sender);
    if (parameters.encoding !== undefined) this.#attribute(attributeName.encoding, parameters.encoding);
    for (const [name, value] of this.#clientAttributes()) this.#attribute(name, value);
    if (parameters.verp !== undefined) session.record(recordType.verp, parameters.verp);
  }

  /** Unknown values are recorded too: without any, the mail would pass for local submission. */
  #clientAttributes(): [name: string, value: string][] {
    const { client, helo, protocol } = this.facts.state;
    const name = attributeName;
    const hello = (key: string): [string, string][] => (helo === undefined ? [] : [[key, helo]]);
    return [
      [name.logClientName, client.name], [name.logClientAddress, client.literal], [name.logClientPort, client.port],
      [name.logMessageOrigin, client.label], ...hello(name.logHeloName), [name.logProtocolName, protocol],
      [name.clientName, client.name], [name.reverseClientName, client.reverseName], [name.clientAddress, client.address], [name.clientPort, client.port],
      [name.serverAddress, client.serverAddress], [name.serverPort, client.serverPort], ...hello(name.heloName), [name.protocolName, protocol],
      [name.clientAddressType, client.address.includes(':') ? '10' : '2'],
    ];
  }

  #received(own: OwnName): string[] {
    const { state, parameters, arrival } = this.facts;
    return receivedFromClient({
      hostname: own.hostname, mailName: own.mailName, queueId: this.queueId, date: own.date(arrival),
      helo: state.helo ?? state.client.name, clientName: state.client.name, clientAddress: state.client.literal,
      protocol: parameters.smtputf8 ? 'UTF8SMTP' : state.protocol,
      recipient: this.#recipients.length === 1 ? this.#recipients[0] : undefined,
      hideClient: own.hideClient,
    });
  }
}

/** What the client hears when cleanup did not keep the message. A reason may be a whole SMTP reply (smtpReply flag). */
export function refusedByCleanup({ status, reason }: CleanupReply): Reply {
  const whole = /^([45][0-9][0-9])[ -](?:([245]\.[0-9]{1,3}\.[0-9]{1,3}) )?(.*)$/s.exec(reason);
  if (whole !== null) return whole[2] === undefined ? { code: Number(whole[1]), text: whole[3]! } : { code: Number(whole[1]), status: whole[2], text: whole[3]! };
  const detail = cleanupDetail(status);
  const isContent = (status & (cleanupStatus.contents | cleanupStatus.defer)) !== 0;
  if (isContent && reason !== '') {
    const split = splitDsn(detail.dsn, reason);
    const code = dsnValid(reason) > 0 && reason.startsWith('4') ? 451 : detail.code;
    return { code, status: split.status, text: split.text };
  }
  return { code: detail.code, status: detail.dsn, text: `Error: ${detail.text}` };
}
