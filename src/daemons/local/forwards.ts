/**
 * Mail that is sent on: it enters the queue again as a new message, with our Received: and Delivered-To: in front.
 *
 * One new message per address it was delivered to and sender, with all recipients found for these; they are sent when the recipient's
 * expansion is complete, and not at all when some of it must be tried again.
 */
import { isTraceOnly } from '../../delivery/reports.ts';
import { zoneAt } from '../../host/zone.ts';
import { cleanupFlag, type CleanupSession } from '../../ipc/cleanup.ts';
import { internalMailFlags } from '../../ipc/internal-mail.ts';
import type { DeliveryRequest } from '../../ipc/deliver.ts';
import { quote822Local } from '../../message/address.ts';
import { attributeName } from '../../message/envelope-names.ts';
import { recordType } from '../../message/record.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import { timeValue } from '../../text/time.ts';
import { foldCase } from '../../text/utf8.ts';
import { withoutSuccess } from './alias.ts';
import { deliveredHeader, type LocalSettings } from './settings.ts';
import { failed, sent, type Position, type Work } from './work.ts';

interface Forward {
  readonly session: CleanupSession;
  readonly delivered: string;
  /** Milliseconds since the epoch. */
  readonly postedAt: number;
}

/** Put the position's address on the list of those the mail is sent on to. */
export async function deliverIndirect(work: Work, position: Position): Promise<boolean> {
  const { address } = position.recipient;
  if (work.seen.before(`indirect ${address}`)) return true;
  if (isTraceOnly(work.request.flags)) return sent(work, position, { text: `forwards to ${address}` });
  try {
    await work.forwards.add(position);
    return true;
  } catch (error) {
    work.log.warning(`${work.request.queueId}: ${(error as Error).message}`);
    return failed(work, position, { dsn: '4.3.0', text: 'unable to forward message' });
  }
}

export class Forwards {
  readonly #settings: LocalSettings;
  readonly #request: DeliveryRequest;
  readonly #forwards = new Map<string, Forward>();

  constructor(settings: LocalSettings, request: DeliveryRequest) {
    this.#settings = settings;
    this.#request = request;
  }

  /** Rejects when cleanup cannot be reached. */
  async add({ recipient, sender, delivered = '', dsnEnvid, dsnRet }: Position): Promise<void> {
    const key = `${delivered}\0${sender}`;
    let forward = this.#forwards.get(key);
    if (forward === undefined) {
      const session = await this.#open(sender, dsnEnvid, dsnRet);
      this.#forwards.set(key, (forward = { session, delivered, postedAt: this.#settings.now() }));
    }
    const { session } = forward;
    if (recipient.dsnOrcpt !== '') session.record(recordType.attribute, `${attributeName.dsnOrcpt}=${recipient.dsnOrcpt}`);
    if (recipient.dsnNotify !== 0) session.record(recordType.attribute, `${attributeName.dsnNotify}=${recipient.dsnNotify}`);
    if (recipient.originalAddress !== '') session.record(recordType.originalRecipient, recipient.originalAddress);
    session.record(recordType.recipient, recipient.address);
  }

  /** Send all that was gathered. False: some of it could not be sent, and the recipient must be tried again. */
  async send(work: Work, position: Position): Promise<boolean> {
    const left = [...this.#forwards.values()];
    this.#forwards.clear();
    for (let forward = left.shift(); forward !== undefined; forward = left.shift()) {
      if (await this.#send(work, position, forward)) continue;
      for (const { session } of left) session.abort();
      return false;
    }
    return true;
  }

  abort(): void {
    for (const { session } of this.#forwards.values()) session.abort();
    this.#forwards.clear();
  }

  async #open(sender: string, dsnEnvid: string, dsnRet: number): Promise<CleanupSession> {
    const { view, tools } = this.#settings;
    const flags = cleanupFlag.bounce | internalMailFlags(view, 'forward', this.#request.smtputf8);
    const session = await tools.services.cleanup(view.cleanup_service_name).open({ flags, lineEnd: 'lf' });
    const { seconds, microseconds } = timeValue(this.#settings.now());
    session.record(recordType.time, `${seconds} ${microseconds}`);
    session.record(recordType.sender, sender);
    if (dsnRet !== 0) session.record(recordType.attribute, `${attributeName.dsnRet}=${dsnRet}`);
    if (dsnEnvid !== '') session.record(recordType.attribute, `${attributeName.dsnEnvid}=${dsnEnvid}`);
    for (const [name, value] of originOf(this.#request)) if (value !== '') session.record(recordType.attribute, `${name}=${value}`);
    return session;
  }

  async #send(work: Work, position: Position, { session, delivered, postedAt }: Forward): Promise<boolean> {
    try {
      session.message();
      session.content(Buffer.from(this.#headers(session.queueId, delivered, postedAt), 'latin1'));
      for await (const chunk of work.content()) if (!session.content(chunk)) await session.drained();
      session.extracted();
      const { status, reason } = await session.end();
      if (status !== 0) throw new Error(`cleanup status ${status}${reason === '' ? '' : ` (${reason})`}`);
    } catch (error) {
      session.abort();
      work.log.warning(`${work.request.queueId}: forwarding failed: ${(error as Error).message}`);
      return failed(work, position, { dsn: '4.3.0', text: 'unable to forward message' });
    }
    // Success was reported when the alias or .forward file was expanded.
    const { recipient } = position;
    const quiet = { ...position, recipient: { ...recipient, dsnNotify: withoutSuccess(recipient.dsnNotify) } };
    return sent(work, quiet, { action: 'relayed', text: `forwarded as ${session.queueId}` });
  }

  #headers(queueId: string, delivered: string, postedAt: number): string {
    const { view, deliveredHeaders } = this.#settings;
    const received = `Received: by ${view.myhostname} (${view.mail_name})\n\tid ${queueId}; ${mailDate(postedAt / 1000, zoneAt(postedAt))}\n`;
    return (deliveredHeaders & deliveredHeader.forward) === 0 ? received : `${received}Delivered-To: ${quote822Local(foldCase(delivered))}\n`;
  }
}

/** Where the message came from first, for the log lines of the new one. */
function originOf(request: DeliveryRequest): [name: string, value: string][] {
  return [
    [attributeName.logClientName, request.clientName], [attributeName.logClientAddress, request.clientAddress],
    [attributeName.logProtocolName, request.clientProtocol], [attributeName.logHeloName, request.clientHelo],
    [attributeName.saslMethod, request.saslMethod], [attributeName.saslUsername, request.saslUsername],
    [attributeName.saslSender, request.saslSender], [attributeName.logIdent, request.logIdent],
    [attributeName.rewriteContext, request.rewriteContext],
  ];
}
