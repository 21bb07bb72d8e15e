/**
 * `sendmail -bs`: SMTP on standard input and output, for programs that know no other way to hand over mail.
 *
 * The same protocol machine as smtpd(8)'s, without its restrictions: addresses are checked for syntax only, and the message goes the
 * way of every local submission, also when the mail system is down.
 */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { cleanupDetail, cleanupStatus } from '../../ipc/cleanup.ts';
import type { SubmissionOutcome } from '../../ipc/submission.ts';
import { zoneAt } from '../../host/zone.ts';
import { attributeName } from '../../message/envelope-names.ts';
import { receivedFromClient } from '../../message/received.ts';
import { recordType } from '../../message/record.ts';
import { reply } from '../../protocol/smtp-server/reply.ts';
import { strangerOf } from '../../protocol/smtp-server/peer.ts';
import { SmtpServerSession } from '../../protocol/smtp-server/session.ts';
import { defaultSettings, type SmtpServerSettings } from '../../protocol/smtp-server/settings.ts';
import type { Question, SmtpServerStep, Verdict } from '../../protocol/smtp-server/steps.ts';
import type { Configuration } from '../../config/configuration.ts';
import { lowerAscii, splitList } from '../../text/ascii.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import type { Surroundings } from '../../submission/enqueue.ts';
import { MessageLines } from '../../submission/message-lines.ts';
import { NoOutlet, type Outlet } from '../../submission/outlet.ts';
import { senderTrouble } from '../../submission/sender.ts';

const client = { name: 'localhost', address: '127.0.0.1', label: 'localhost[127.0.0.1]' } as const;
const accepted: Verdict = { accept: true };
const unavailable = reply(451, '4.3.0', 'Error: queue file write error');

export interface TalkStreams { readonly stdin: AsyncIterable<Uint8Array>; readonly stdout: NodeJS.WritableStream }

/** Until the client says QUIT or is gone. */
export function talkSmtp(around: Surroundings, streams: TalkStreams, openWay: () => Promise<Outlet>): Promise<void> {
  return new StandAlone(around, streams, openWay).talk();
}

type Mail = Extract<Question, { verb: 'MAIL' }>;

class StandAlone {
  readonly #around: Surroundings;
  readonly #streams: TalkStreams;
  readonly #openWay: () => Promise<Outlet>;
  readonly #settings: SmtpServerSettings;
  readonly #machine: SmtpServerSession;
  readonly #limit: number;
  #mail: Mail | undefined;
  #outlet: Outlet | undefined;
  #recipients: string[] = [];
  #lines: MessageLines | undefined;
  #closed = false;

  constructor(around: Surroundings, streams: TalkStreams, openWay: () => Promise<Outlet>) {
    this.#around = around;
    this.#streams = streams;
    this.#openWay = openWay;
    this.#limit = around.config.get('line_length_limit');
    this.#settings = settingsFrom(around.config);
    this.#machine = new SmtpServerSession(this.#settings);
  }

  async talk(): Promise<void> {
    await this.#drain();
    for await (const chunk of this.#input()) {
      if (chunk === undefined) this.#machine.end();
      else if (chunk !== 'time is up') this.#machine.receive(chunk);
      await this.#drain();
      if (this.#closed) return;
    }
  }

  /** Chunks, then undefined at the end; 'time is up' in between when the machine's patience ended. */
  async *#input(): AsyncGenerator<Buffer | 'time is up' | undefined, void, undefined> {
    const chunks = this.#streams.stdin[Symbol.asyncIterator]();
    for (let next = chunks.next(); ;) {
      const deadline = this.#machine.deadline();
      const stop = new AbortController();
      const wait = deadline === undefined ? next : Promise.race([next, pause(Math.max(0, deadline - performance.now()), 'time is up' as const, { signal: stop.signal }).catch(() => 'time is up' as const)]);
      const came = await wait;
      stop.abort();
      if (came === 'time is up') yield came;
      else if (came.done) return void (yield undefined);
      else {
        yield Buffer.from(came.value);
        next = chunks.next();
      }
    }
  }

  async #drain(): Promise<void> {
    this.#machine.expire(performance.now());
    for (let step = this.#machine.next(); step !== undefined && !this.#closed; step = this.#machine.next()) await this.#perform(step);
  }

  async #perform(step: SmtpServerStep): Promise<void> {
    switch (step.kind) {
      case 'send': return this.#send(Buffer.from(step.bytes, 'latin1'));
      case 'ask': return this.#machine.answer(await this.#answer(step.question));
      case 'content': {
        this.#lines!.push(step.chunk);
        return this.#outlet!.drained();
      }
      case 'abort': return this.#forget();
      case 'delay': return pause(step.milliseconds);
      case 'close':
        this.#closed = true;
        return this.#forget();
      default: return undefined;
    }
  }

  async #send(bytes: Buffer): Promise<void> {
    const { stdout } = this.#streams;
    if (!stdout.write(bytes)) await once(stdout, 'drain');
  }

  async #answer(question: Question): Promise<Verdict> {
    switch (question.verb) {
      case 'CONNECT': return this.#met();
      case 'MAIL': return this.#sender(question);
      case 'RCPT': return this.#recipient(question);
      case 'DATA': return (this.#begin(), accepted);
      case 'END': return this.#end();
      case 'VRFY': return { accept: true, reply: reply(252, '2.0.0', question.path) };
      default: return accepted;
    }
  }

  /** Of what some clients may do, only XVERP makes sense here. */
  async #met(): Promise<Verdict> {
    const { config, voice } = this.#around;
    if (config.get('smtpd_authorized_verp_clients').trim() === '') return accepted;
    const [{ clients }, { TableTrouble }] = await Promise.all([import('../../tables/lists.ts'), import('../../tables/table.ts')]);
    const context = { parameter: (name: string) => config.text(name), warn: (text: string) => voice.warning(text) };
    try {
      const verp = await clients('smtpd_authorized_verp_clients', config, context)(client.name, client.address);
      return { accept: true, peer: { ...strangerOf(this.#settings), verp } };
    } catch (error) {
      if (!(error instanceof TableTrouble)) throw error;
      return { accept: true, peer: { ...strangerOf(this.#settings), verp: 'trouble' } };
    }
  }

  async #sender(mail: Mail): Promise<Verdict> {
    this.#forget();
    const trouble = await senderTrouble(this.#around.submitters, this.#around.user.uid, mail.sender);
    if (trouble !== undefined) return { accept: false, reply: refusal(trouble) };
    this.#mail = mail;
    return accepted;
  }

  async #recipient({ recipient, notify, orcpt }: Extract<Question, { verb: 'RCPT' }>): Promise<Verdict> {
    try {
      this.#outlet ??= await this.#open(this.#mail!);
    } catch (error) {
      if (!(error instanceof NoOutlet)) throw error;
      this.#around.voice.warning(error.message);
      return { accept: false, reply: unavailable };
    }
    if (notify !== 0) this.#attribute(attributeName.dsnNotify, notify);
    if (orcpt !== '') this.#attribute(attributeName.dsnOrcpt, orcpt);
    this.#outlet.put(recordType.recipient, recipient);
    if (this.#recipients.length < 2) this.#recipients.push(recipient);
    return accepted;
  }

  async #open({ sender, parameters }: Mail): Promise<Outlet> {
    const outlet = await this.#openWay();
    outlet.put(recordType.sender, sender);
    if (parameters.encoding !== undefined) outlet.put(recordType.attribute, `${attributeName.encoding}=${parameters.encoding}`);
    if (parameters.verp !== undefined) outlet.put(recordType.verp, parameters.verp);
    return outlet;
  }

  #attribute(name: string, value: string | number): void {
    this.#outlet!.put(recordType.attribute, `${name}=${value}`);
  }

  #begin(): void {
    const outlet = this.#outlet!;
    outlet.put(recordType.message);
    for (const line of this.#received(outlet.queueId)) outlet.put(recordType.normal, line);
    let first = true;
    this.#lines = new MessageLines({ limit: this.#limit, fix: 'always', endsAtDot: false, separator: 'rename' }, (text, last) => {
      // White space in front would continue our own header.
      if (first && (text[0] === 32 || text[0] === 9)) outlet.put(recordType.normal);
      first = false;
      outlet.put(last ? recordType.normal : recordType.partial, text);
    });
  }

  #received(queueId: string): string[] {
    const { config } = this.#around;
    const now = Date.now();
    const { helo, protocol } = this.#machine.context();
    return receivedFromClient({
      hostname: config.get('myhostname'), mailName: config.get('mail_name'), queueId, date: mailDate(now / 1000, zoneAt(now)),
      helo: helo ?? client.name, clientName: client.name, clientAddress: client.address, protocol: this.#mail!.parameters.smtputf8 ? 'UTF8SMTP' : protocol,
      recipient: this.#recipients.length === 1 ? this.#recipients[0] : undefined,
    });
  }

  async #end(): Promise<Verdict> {
    const outlet = this.#outlet!;
    this.#lines!.end();
    outlet.put(recordType.extracted);
    outlet.put(recordType.end);
    const outcome = await outlet.finish();
    this.#outlet = undefined;
    this.#forget();
    return outcome.status === 0 ? { accept: true, queueId: outlet.queueId } : { accept: false, reply: refusal(outcome) };
  }

  #forget(): void {
    this.#outlet?.abort();
    this.#outlet = undefined;
    this.#mail = undefined;
    this.#recipients = [];
    this.#lines = undefined;
  }
}

function refusal({ status, reason }: SubmissionOutcome): ReturnType<typeof reply> {
  const { code, dsn, text } = cleanupDetail(status);
  return reply(code, dsn, reason === '' || (status & cleanupStatus.denied) === 0 ? `Error: ${text}` : reason);
}

const machineParameters = [
  'myhostname', 'smtpd_banner', 'line_length_limit', 'message_size_limit', 'smtpd_recipient_limit', 'smtpd_recipient_overshoot_limit',
  'smtpd_hard_error_limit', 'smtpd_soft_error_limit', 'smtpd_error_sleep_time', 'smtpd_junk_command_limit', 'smtpd_timeout',
  'smtpd_per_request_deadline', 'smtpd_min_data_rate', 'smtpd_helo_required', 'disable_vrfy_command', 'strict_rfc821_envelopes', 'smtputf8_enable',
  'strict_smtputf8', 'soft_bounce', 'verp_delimiter_filter', 'default_verp_delimiters',
] as const;

function settingsFrom(config: Configuration): SmtpServerSettings {
  const view = config.view(machineParameters);
  const noops = new Set(splitList(lowerAscii(config.get('smtpd_noop_commands'))));
  return {
    ...defaultSettings(view.myhostname, client.label), ...view, standAlone: true,
    isNoopCommand: (word) => noops.has(lowerAscii(word)),
    discardedKeywords: new Set(splitList(lowerAscii(config.get('smtpd_discard_ehlo_keywords')))),
  };
}
