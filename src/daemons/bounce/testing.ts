/** What tests of bounce share: a queue directory, a service, and a cleanup that keeps what it is given. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Configuration } from '../../config/configuration.ts';
import { parseMasterCf } from '../../config/master-cf.ts';
import type { CleanupOptions, CleanupSession } from '../../ipc/cleanup.ts';
import type { bounceService } from '../../ipc/bounce.ts';
import type { Directory } from '../../ipc/directory.ts';
import { ServiceTrouble, type Calls } from '../../ipc/service.ts';
import { createLog } from '../../log/log.ts';
import { emptyEnvelope, writeEnvelope, writeExtracted } from '../../message/envelope.ts';
import { encodeRecord, recordType } from '../../message/record.ts';
import { RecordWriter } from '../../message/record-writer.ts';
import { storeFor } from '../../queue/file-store.ts';
import { daemon } from './bounce.ts';
import type { Dsn, Recipient } from './log-entry.ts';

/** A report that cleanup was given. */
export interface Posted { readonly queueId: string; readonly options: CleanupOptions; readonly records: string[]; content: string; state: 'open' | 'kept' | 'aborted' }

/** When everything happens, seconds. */
export const now = 1_800_000_012;
export const arrived = 1_800_000_000;

export const unknownUser: Dsn = {
  status: '5.1.1', action: 'failed', reason: 'host mx.example.org[192.0.2.1] said: 550 5.1.1 User unknown (in reply to RCPT TO command)',
  diagnosticType: 'smtp', diagnosticText: '550 5.1.1 User unknown', remoteMtaType: 'dns', remoteMta: 'mx.example.org',
};
export const timedOut: Dsn = {
  status: '4.4.1', action: 'delayed', reason: 'connect to mx.example.org[192.0.2.1]:25: Connection timed out',
  diagnosticType: '', diagnosticText: '', remoteMtaType: '', remoteMta: '',
};

export function recipient(changes: Partial<Recipient> = {}): Recipient {
  return { address: 'joe@example.org', originalAddress: '', offset: 0, dsnOrcpt: '', dsnNotify: 0, ...changes };
}

export class Bench {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'bounce-'));
  readonly lines: string[] = [];
  readonly posted: Posted[] = [];
  /** What cleanup answers to the next messages; none left: 0. 'down' is out of reach. */
  readonly answers: (number | 'down')[] = [];
  #messages = 0;

  constructor(mainCf = '') {
    for (const name of ['active', 'bounce', 'defer', 'trace']) fs.mkdirSync(path.join(this.directory, name));
    const common = 'compatibility_level = 3.12\nhash_queue_names = deferred\nmyhostname = host.example.org\nmyorigin = example.org\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n'
      + 'mail_owner = mail\nsetgid_group = utmp\ndelay_warning_time = 4h\ndeliver_lock_attempts = 1\n';
    fs.writeFileSync(path.join(this.directory, 'main.cf'), common + mainCf, 'latin1');
    process.chdir(this.directory);
  }

  /** The calls of a row of this name. */
  async service(name = 'bounce'): Promise<Calls<typeof bounceService>> {
    const row = parseMasterCf(`${name} unix - - n - 0 bounce`, '/etc/postfix/master.cf').rows[0]!;
    const write = (_severity: string, _tag: string, _number: number, text: string): void => void this.lines.push(text);
    const exit = (status: number): never => {
      throw new Error(`exit ${status}`);
    };
    const clock = { now: () => now * 1000, monotonic: () => 0, after: () => ({ cancel: () => undefined }) };
    const log = createLog({ write, flush: () => undefined }, 'postfix/bounce', 1, exit);
    const services = { cleanup: () => ({ open: (options: CleanupOptions) => this.#session(options) }) } as unknown as Directory;
    const config = Configuration.load(this.directory);
    const store = storeFor(config.view(['hash_queue_names', 'hash_queue_depth', 'enable_long_queue_ids']), '', () => clock.now());
    const service = await daemon.open({ row, config, log, clock, services, store, restart: () => undefined });
    return service.calls as Calls<typeof bounceService>;
  }

  /** A message in the active queue; its id, and where the recipients' records are. */
  message(content = 'Subject: test\n\nhello\n', { sender = 'sender@example.com', recipients = ['joe@example.org'], lastLineEnd = true } = {}) {
    const queueId = `AB${(++this.#messages).toString(16).toUpperCase()}`;
    const writer = new RecordWriter();
    const envelope = { ...emptyEnvelope(), sender, arrivalTime: { seconds: arrived, microseconds: 0 } };
    const marks = recipients.map((address) => ({ address, originalAddress: '', dsnOrcpt: '', dsnNotify: 0, offset: 0, done: false }));
    writeEnvelope(writer, envelope, marks);
    const dataOffset = writer.offset;
    const lines = content.split('\n');
    const last = lines.pop()!;
    for (const line of lines) writer.put(recordType.normal, line);
    if (!lastLineEnd) writer.put(recordType.partial, last);
    envelope.attributes.set('message_id', '<m1@example.com>');
    const end = writeExtracted(writer, envelope);
    const bytes = Buffer.concat(writer.take());
    const size = { contentSize: end - dataOffset, dataOffset, recipientCount: 1, queueFlags: 0, contentLength: content.length, sendOptions: 0 };
    const head = new RecordWriter();
    writeEnvelope(head, { ...envelope, size }, []);
    Buffer.concat(head.take()).copy(bytes, 0, 0, encodeRecord(recordType.size, ' '.repeat(95)).length);
    fs.writeFileSync(`active/${queueId}`, bytes, { mode: 0o700 });
    return { queueId, offsets: marks.map(({ offset }) => offset) };
  }

  log(service: string, queueId: string): string | undefined {
    try {
      return fs.readFileSync(`${service}/${queueId}`, 'latin1');
    } catch {
      return undefined;
    }
  }

  remove(): void {
    process.chdir(os.tmpdir());
    fs.rmSync(this.directory, { recursive: true });
  }

  #session(options: CleanupOptions): CleanupSession {
    const answer = this.answers.shift() ?? 0;
    if (answer === 'down') throw new ServiceTrouble('cleanup', 'Connection refused');
    const report: Posted = { queueId: `CD${this.posted.length + 1}`, options, records: [], content: '', state: 'open' };
    this.posted.push(report);
    return {
      queueId: report.queueId,
      record: (type, text) => void report.records.push(String.fromCharCode(type) + text),
      message: () => void report.records.push('M'),
      content: (chunk) => {
        report.content += chunk.toString('latin1');
        return false;
      },
      drained: () => Promise.resolve(),
      extracted: () => void report.records.push('X'),
      end: () => {
        report.state = answer === 0 ? 'kept' : 'aborted';
        return Promise.resolve({ status: answer, reason: '' });
      },
      abort: () => void (report.state = 'aborted'),
    };
  }
}

/** A request about a message. */
export function about(queueId: string, changes: object = {}) {
  return {
    flags: 0, queueName: 'active', queueId, encoding: '', smtputf8: 0, sender: 'sender@example.com', dsnEnvid: '', dsnRet: 0, ...changes,
  };
}

export function entry(queueId: string, who: Recipient, dsn: Dsn, flags = 0) {
  return { flags, queueId, relay: 'none', recipient: who, dsn };
}
