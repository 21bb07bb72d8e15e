/**
 * One QMQP client, from connect to disconnect: its message goes to cleanup, and what cleanup says goes back.
 *
 * `K` is said only when the message is durable. Whatever is wrong with us is `Z`, which has the client come again.
 */
import { cleanupDetail, cleanupStatus, type Cleanup, type CleanupReply, type CleanupSession } from '../../ipc/cleanup.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import type { Log } from '../../log/log.ts';
import { quote822Local } from '../../message/address.ts';
import { attributeName } from '../../message/envelope-names.ts';
import { recordType } from '../../message/record.ts';
import { Pump } from '../../network/pump.ts';
import { qmqpStatus } from '../../protocol/qmqp/netstring.ts';
import { QmqpServerSession, qmqpTroubleText, type QmqpServerSettings, type QmqpStep } from '../../protocol/qmqp/server.ts';
import type { Clock } from '../../server/clock.ts';
import type { Session } from '../../server/daemon.ts';
import type { MaybePromise } from '../../text/maybe.ts';
import { contentPieces } from './content.ts';
import type { Peer } from './peer.ts';
import { readSender, verpTrouble } from './sender.ts';

export interface QmqpHall {
  readonly cleanup: Cleanup;
  readonly flags: number;
  readonly settings: QmqpServerSettings;
  readonly hostname: string;
  readonly mailName: string;
  readonly contentFilter: string;
  readonly verpFilter: string;
  readonly clock: Clock;
  date(milliseconds: number): string;
}

export type Welcome = 'welcome' | 'stranger' | 'unknown';

type Performed = Exclude<QmqpStep, { kind: 'send' | 'delay' }>;
type Answer = Parameters<QmqpServerSession['answer']>;

export class QmqpConversation {
  readonly #hall: QmqpHall;
  readonly #peer: Peer;
  readonly #log: Log;
  readonly #session: Session;
  readonly #machine: QmqpServerSession;
  #cleanup: CleanupSession | undefined;
  #queueId = 'NOQUEUE';
  readonly #arrival: number;
  #text: readonly Buffer[] = [];
  /** Why the message is not taken whatever cleanup says. */
  #objection: string | undefined;
  #recipient: string | undefined;
  #recipients = 0;

  constructor(session: Session, peer: Peer, hall: QmqpHall) {
    this.#hall = hall;
    this.#peer = peer;
    this.#session = session;
    this.#log = session.log;
    this.#machine = new QmqpServerSession(hall.settings);
    this.#arrival = hall.clock.now();
  }

  /** Until the client is gone. */
  async served(welcome: Welcome): Promise<void> {
    const { label } = this.#peer;
    if (welcome === 'stranger') this.#machine.answer(qmqpStatus.hard, `Error: ${label} is not authorized to use this service`);
    else if (welcome === 'unknown') this.#machine.answer(qmqpStatus.retry, 'Error: server configuration error');
    else await this.#open();
    const { socket } = this.#session;
    try {
      await new Pump<QmqpStep>({ socket, machine: this.#machine, ticker: this.#hall.clock, perform: (step) => this.#perform(step) }).closed;
    } finally {
      this.#cleanup?.abort();
    }
  }

  /** First of all, so that every line of the log has the queue id. */
  async #open(): Promise<void> {
    const { cleanup, flags, contentFilter } = this.#hall;
    try {
      this.#cleanup = await cleanup.open({ flags, lineEnd: 'lf' });
    } catch (error) {
      if (!(error instanceof ServiceTrouble)) throw error;
      this.#log.warning(error.message);
      return this.#machine.answer(qmqpStatus.retry, 'Error: queue file write error');
    }
    this.#queueId = this.#cleanup.queueId;
    this.#log.info(`${this.#queueId}: client=${this.#peer.label}`);
    this.#cleanup.record(recordType.time, `${Math.floor(this.#arrival / 1000)} ${Math.floor((this.#arrival % 1000) * 1000)}`);
    if (contentFilter !== '') this.#cleanup.record(recordType.filter, contentFilter);
  }

  #perform(step: Performed): MaybePromise<void> {
    switch (step.kind) {
      case 'message': this.#text = step.pieces; return undefined;
      case 'sender': return this.#sender(step.address);
      case 'recipient': return this.#recipientNamed(step.address);
      case 'complete': return this.#complete();
      case 'trouble': return void this.#log.info(`${this.#queueId}: ${this.#peer.label}: ${qmqpTroubleText[step.trouble]} while ${step.where}`);
      case 'close': return undefined;
    }
  }

  #sender(text: string): void {
    const { address, verp } = readSender(text);
    this.#objection = verp === undefined ? undefined : verpTrouble(verp, this.#hall.verpFilter);
    if (this.#objection === undefined) {
      this.#cleanup!.record(recordType.sender, address);
      if (verp !== undefined) this.#cleanup!.record(recordType.verp, verp);
    }
    const { name, literal, port, label, address: client } = this.#peer;
    const facts: readonly (readonly [string, string])[] = [
      [attributeName.logClientName, name], [attributeName.logClientAddress, literal], [attributeName.logClientPort, port],
      [attributeName.logMessageOrigin, label], [attributeName.logProtocolName, 'QMQP'],
      [attributeName.clientName, name], [attributeName.clientAddress, client], [attributeName.clientPort, port],
      [attributeName.clientAddressType, client.includes(':') ? '10' : '2'], [attributeName.protocolName, 'QMQP'],
    ];
    for (const [attribute, value] of facts) this.#cleanup!.record(recordType.attribute, `${attribute}=${value}`);
  }

  #recipientNamed(address: string): void {
    this.#cleanup!.record(recordType.recipient, address);
    this.#recipient ??= address;
    this.#recipients++;
  }

  async #complete(): Promise<void> {
    this.#answer(await this.#outcome());
  }

  async #outcome(): Promise<CleanupReply> {
    if (this.#objection !== undefined) return { status: cleanupStatus.contents, reason: this.#objection };
    const session = this.#cleanup!;
    try {
      session.message();
      session.content(Buffer.from(this.#received(session.queueId).map((line) => `${line}\n`).join(''), 'latin1'));
      for (const piece of contentPieces(this.#text)) if (!session.content(piece)) await session.drained();
      session.extracted();
      this.#cleanup = undefined;
      return await session.end();
    } catch (error) {
      if (!(error instanceof ServiceTrouble)) throw error;
      this.#log.warning(`${session.queueId}: ${error.message}`);
      return { status: cleanupStatus.write, reason: '' };
    }
  }

  #answer(outcome: CleanupReply): void {
    const queueId = this.#queueId;
    const [status, text] = answerTo(outcome, queueId);
    if (status !== qmqpStatus.ok) this.#log.warning(`${queueId}: ${this.#peer.label}: ${text}`);
    this.#machine.answer(status, text);
  }

  #received(queueId: string): string[] {
    const { hostname, mailName } = this.#hall;
    const { name, literal } = this.#peer;
    const date = this.#hall.date(this.#arrival);
    const from = `Received: from ${name} (${name} [${literal}])`;
    const by = `\tby ${hostname} (${mailName}) with QMQP`;
    if (this.#recipients === 1) return [from, `${by} id ${queueId}`, `\tfor <${quote822Local(this.#recipient!)}>; ${date}`];
    return [from, by, `\tid ${queueId}; ${date}`];
  }
}

/** The weightiest of what a message suffers from. */
export function answerTo({ status, reason }: CleanupReply, queueId: string): Answer {
  const error = (text: string): string => `Error: ${text}`;
  const why = (): string => error(reason === '' ? cleanupDetail(status).text : reason);
  if (status === cleanupStatus.ok) return [qmqpStatus.ok, `Ok: queued as ${queueId}`];
  if (status & cleanupStatus.defer) return [qmqpStatus.retry, why()];
  if (status & cleanupStatus.bad) return [qmqpStatus.retry, error(`internal error ${status}`)];
  if (status & cleanupStatus.size) return [qmqpStatus.hard, error('message too large')];
  if (status & cleanupStatus.hops) return [qmqpStatus.hard, error('too many hops')];
  if (status & cleanupStatus.contents) return [reason.startsWith('4') ? qmqpStatus.retry : qmqpStatus.hard, why()];
  if (status & cleanupStatus.write) return [qmqpStatus.retry, error('queue file write error')];
  if (status & cleanupStatus.noRecipients) return [qmqpStatus.hard, error('no recipients specified')];
  return [qmqpStatus.retry, error(`internal error ${status}`)];
}
