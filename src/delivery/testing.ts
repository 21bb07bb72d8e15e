/** What tests of delivery agents share: a queue file, a request, services that write down what they are asked, a log to look at. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Configuration } from '../config/configuration.ts';
import { parseMasterCf } from '../config/master-cf.ts';
import type { CleanupOptions, CleanupSession } from '../ipc/cleanup.ts';
import { noDsn, requestFlag, type DeliveryReply, type DeliveryRequest, type Dsn, type Recipient } from '../ipc/deliver.ts';
import type { Directory } from '../ipc/directory.ts';
import { createLog, type Log } from '../log/log.ts';
import { emptyEnvelope, writeEnvelope, writeExtracted, type EnvelopeRecipient } from '../message/envelope.ts';
import { encodeRecord, recordType } from '../message/record.ts';
import { RecordWriter } from '../message/record-writer.ts';
import { storeFor } from '../queue/file-store.ts';

/** A request for one recipient that came half a second before it was taken up; everything else is empty. */
export function request(changes: Partial<DeliveryRequest> = {}): DeliveryRequest {
  return {
    flags: requestFlag.success, queueName: 'active', queueId: 'AB12', place: '', dataOffset: 0, dataSize: 0, nexthop: 'example.org', encoding: '', smtputf8: 0,
    sender: 'sender@example.com', dsnEnvid: '', dsnRet: 0,
    times: { incomingArrival: 1_800_000_000, activeArrival: 1_800_000_000.5, agentHandoff: 1_800_000_001.5, connectionDone: 0, deliveryDone: 0 },
    clientName: '', clientAddress: '', clientPort: '', clientProtocol: '', clientHelo: '', saslMethod: '', saslUsername: '', saslSender: '',
    logIdent: '', rewriteContext: 'local', recipients: [{ address: 'joe@example.org', originalAddress: '', offset: 1, dsnOrcpt: '', dsnNotify: 0 }],
    ...changes,
  };
}

/** A log, and its lines: text with its severity in front where that is not info. */
export function ears(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const write = (_severity: string, _tag: string, _number: number, text: string): void => {
    lines.push(text);
  };
  const exit = (status: number): never => {
    throw new Error(`exit ${status}`);
  };
  return { lines, log: createLog({ write, flush: () => undefined }, 'postfix/test', 1, exit) };
}

/** A message that was sent on through cleanup. */
export interface ForwardedMessage { options: CleanupOptions; records: string[]; content: string; ended: boolean }

export interface BenchOptions {
  /** Lines of main.cf beside those every bench has. */
  readonly main?: string;
  /** The master.cf row of the agent. */
  readonly row: string;
  /** Transport by domain; the agent's own where nothing is said. */
  readonly transports?: Readonly<Record<string, string>>;
  /** Services that cannot be reached. */
  readonly down?: readonly string[];
}

type Opened = { calls: { deliver(request: DeliveryRequest): Promise<DeliveryReply> } };

/** The skeleton's tools, as far as agents use them. */
type BenchTools = ReturnType<typeof toolsFor>;

function toolsFor(config: Configuration, row: string, log: Log, services: Directory) {
  const parsed = parseMasterCf(row, '/etc/postfix/master.cf').rows[0]!;
  const clock = { now: () => 1_800_000_012_000, monotonic: () => 0, after: () => ({ cancel: () => undefined }) };
  const store = storeFor(config.view(['hash_queue_names', 'hash_queue_depth', 'enable_long_queue_ids']));
  return { row: parsed, config: config.withOverrides(parsed.overrides), log, clock, services, store, restart: () => undefined };
}

/** A directory with a queue, a configuration and an open agent. The process's working directory becomes the queue's. */
export class Bench {
  readonly directory: string;
  readonly lines: string[];
  /** `service request address status action text` */
  readonly asked: string[] = [];
  readonly forwarded: ForwardedMessage[] = [];
  readonly passed: { transport: string; request: DeliveryRequest }[] = [];
  readonly tools: BenchTools;
  readonly #down: readonly string[];
  readonly #transports: Readonly<Record<string, string>>;
  #messages = 0;

  constructor({ main = '', row, transports = {}, down = [] }: BenchOptions) {
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'delivery-'));
    fs.chmodSync(this.directory, 0o755);
    fs.mkdirSync(path.join(this.directory, 'active'));
    this.#down = down;
    this.#transports = transports;
    const { log, lines } = ears();
    this.lines = lines;
    const common = `myhostname = host.example.org\nmyorigin = example.org\nmydestination = example.org\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nmail_owner = mail\nsetgid_group = utmp\ndeliver_lock_attempts = 1\nfast_flush_domains =\n`;
    fs.writeFileSync(path.join(this.directory, 'main.cf'), common + main.replaceAll('DIR', this.directory), 'latin1');
    this.tools = toolsFor(Configuration.load(this.directory), row.replaceAll('DIR', this.directory), log, this.#services());
    process.chdir(this.directory);
  }

  /** A file below the directory. */
  file(name: string, text: string, options: { mode?: number; uid?: number; gid?: number } = {}): string {
    const full = path.join(this.directory, name);
    fs.mkdirSync(path.dirname(full), { recursive: true });
    fs.writeFileSync(full, text, 'latin1');
    fs.chmodSync(full, options.mode ?? 0o644);
    if (options.uid !== undefined) fs.chownSync(full, options.uid, options.gid ?? 0);
    return full;
  }

  read(name: string): string {
    return fs.readFileSync(path.join(this.directory, name), 'latin1');
  }

  /** Put a message into the queue and have it delivered; the answer with log lines since the last time. */
  async deliver(agent: Opened, recipients: (string | Partial<Recipient>)[], options: { content?: string; request?: Partial<DeliveryRequest> } = {}) {
    const content = options.content ?? 'Subject: test\n\nhello\n';
    const file = this.#queueFile(recipients.map(recipientOf), content);
    const since = this.lines.length;
    const reply = await agent.calls.deliver(request({ ...file, ...options.request }));
    return { reply, lines: this.lines.slice(since), left: this.#left(file.queueId, file.recipients) };
  }

  remove(): void {
    process.chdir(os.tmpdir());
    fs.rmSync(this.directory, { recursive: true });
  }

  #queueFile(recipients: EnvelopeRecipient[], content: string) {
    const queueId = `AB${++this.#messages}`;
    const writer = new RecordWriter();
    const envelope = { ...emptyEnvelope(), sender: 'sender@example.com', arrivalTime: { seconds: 1_800_000_000, microseconds: 0 } };
    writeEnvelope(writer, envelope, recipients);
    const dataOffset = writer.offset;
    for (const line of content.split('\n').slice(0, -1)) writer.put(recordType.normal, line);
    const end = writeExtracted(writer, envelope);
    const bytes = Buffer.concat(writer.take());
    const size = { contentSize: end - dataOffset, dataOffset, recipientCount: recipients.length, queueFlags: 0, contentLength: content.length, sendOptions: 0 };
    const head = new RecordWriter();
    writeEnvelope(head, { ...envelope, size }, []);
    Buffer.concat(head.take()).copy(bytes, 0, 0, encodeRecord(recordType.size, ' '.repeat(95)).length);
    fs.writeFileSync(`active/${queueId}`, bytes, { mode: 0o700 });
    return { queueId, dataOffset, dataSize: size.contentSize, recipients: recipients.map((recipient) => ({ ...recipient })) };
  }

  /** Recipients that are not marked done. */
  #left(queueId: string, recipients: readonly Recipient[]): string[] {
    const bytes = fs.readFileSync(`active/${queueId}`);
    return recipients.filter(({ offset }) => bytes[offset] === recordType.recipient).map(({ address }) => address);
  }

  #services(): Directory {
    const answer = (name: string, text: string) => {
      this.asked.push(`${name} ${text}`);
      if (this.#down.includes(name)) throw new Error(`${name} is down`);
      return { status: 0 };
    };
    const shown = (recipient: Recipient, dsn: Dsn): string => `${recipient.address} ${dsn.status} ${dsn.action} ${dsn.reason}`;
    const calls = (name: string) => ({
      append: ({ recipient, dsn }: { recipient: Recipient; dsn: Dsn }) => answer(name, `append ${shown(recipient, dsn)}`),
      one: ({ sender, recipient, dsn }: { sender: string; recipient: Recipient; dsn: Dsn }) => answer(name, `one <${sender}> ${shown(recipient, dsn)}`),
      rewrite: ({ address }: { address: string }) => ({ address: address.includes('@') || address === '' ? address : `${address}@example.org` }),
      resolve: ({ address }: { address: string }) => this.#resolve(address),
      update: ({ address, recipient_status: status, reason }: { address: string; recipient_status: number; reason: string }) => answer(name, `update ${address} ${status} ${reason}`),
      deliver: (passed: DeliveryRequest) => {
        if (this.#down.includes(name)) throw new Error(`${name} is down`);
        this.passed.push({ transport: name, request: passed });
        return { status: 0, hop: noDsn, logs: 0 };
      },
    });
    return {
      connect: (_service: object, name: string) => calls(name),
      cleanup: () => ({ open: (options: CleanupOptions) => this.#cleanup(options) }),
    } as unknown as Directory;
  }

  #resolve(address: string) {
    const domain = address.slice(address.lastIndexOf('@') + 1);
    return { transport: this.#transports[domain] ?? this.tools.row.service, nexthop: domain, recipient: address, flags: 256 };
  }

  #cleanup(options: CleanupOptions): CleanupSession {
    if (this.#down.includes('cleanup')) throw new Error('cleanup is down');
    const message: ForwardedMessage = { options, records: [], content: '', ended: false };
    this.forwarded.push(message);
    return {
      queueId: `FW${this.forwarded.length}`,
      record: (type, text) => { message.records.push(String.fromCharCode(type) + text); },
      message: () => undefined,
      content: (chunk) => { message.content += chunk.toString('latin1'); return true; },
      drained: () => Promise.resolve(),
      extracted: () => undefined,
      end: () => { message.ended = true; return Promise.resolve({ status: 0, reason: '' }); },
      abort: () => undefined,
    };
  }
}

function recipientOf(recipient: string | Partial<Recipient>): EnvelopeRecipient {
  const given = typeof recipient === 'string' ? { address: recipient } : recipient;
  return { address: '', originalAddress: '', dsnOrcpt: '', dsnNotify: 0, offset: 0, done: false, ...given };
}
