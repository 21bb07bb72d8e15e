/** What the tests of this folder share: options with ordinary values, and a player of dialogues without a network. */
import { SmtpClient } from './session.ts';
import type { ClientOptions, ClientSettings, ClientStep, Transaction } from './steps.ts';

const timeouts = {
  helo: 300, startTls: 300, xforward: 300, mail: 301, rcpt: 302, dataInit: 120, dataTransfer: 180, dataDone: 600, rset: 20, quit: 299,
} as const;

export function settings(change: Partial<ClientSettings> = {}): ClientSettings {
  return {
    dialect: 'smtp', heloName: 'client.example', myHostname: 'client.example', alwaysSendEhlo: true, neverSendEhlo: false,
    skip5xxGreeting: true, skipQuitResponse: true, replyLimit: 2048, lineLimit: 998, smtputf8: true, helpfulWarnings: false, timeouts,
    perRequestDeadline: false, minDataRate: 500, reuseTime: 300, reuseCount: 0, ...change,
  };
}

export function options(change: Partial<ClientSettings> = {}, other: Partial<ClientOptions> = {}): ClientOptions {
  return {
    settings: settings(change),
    peer: { host: 'mx.example', address: '192.0.2.1', nameAddress: 'mx.example[192.0.2.1]', nameAddressPort: 'mx.example[192.0.2.1]:25' },
    discard: new Set(), discardLog: '', loop: { detect: true, bestMx: true, nexthop: 'example.org' }, tls: 'none', ...other,
  };
}

export function transaction(recipients: number | readonly string[] = 1, change: Partial<Transaction> = {}): Transaction {
  const list = typeof recipients === 'number' ? Array.from({ length: recipients }, (_, number) => `r${number}@example.org`) : recipients;
  return {
    queueId: '4ABC', sender: 's@example.com', recipients: list.map((address) => ({ address, orcpt: '', notify: 0 })),
    size: 10, encoding: '7bit', smtputf8: 'no', envid: '', ret: 0, verify: 'no', keep: false, converted: false, xforward: new Map(), ...change,
  };
}

export interface Played {
  /** Everything that went to the server. */
  sent: string;
  /** What was sent in answer to one event: one write. */
  writes: string[];
  /** Other steps, in order. */
  steps: ClientStep[];
}

/** A machine with a list of messages to send: content is `content`, and after the last message it takes leave. */
export class Player {
  readonly machine: SmtpClient;
  readonly played: Played = { sent: '', writes: [], steps: [] };
  now = 1000;
  private readonly messages: Transaction[];
  private readonly content: string;
  /** The next message is said behind the dot of the one at hand. */
  private readonly behind: boolean;
  /** What was sent and what was waited for, in order. */
  readonly order: string[] = [];
  /** What leaves in one write. */
  private written = '';

  constructor(clientOptions: ClientOptions, messages: Transaction[], { content = 'Subject: x\n\nhello\n', behind = false } = {}) {
    this.machine = new SmtpClient(clientOptions);
    this.messages = messages;
    this.content = content;
    this.behind = behind;
    this.run(() => {});
  }

  /** Text from the server; LF stands for CRLF. */
  hear(text: string): void {
    this.run(() => this.machine.receive(Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1')));
  }

  run(event: () => void): void {
    this.machine.expire(this.now);
    event();
    for (let step = this.machine.next(); step; step = this.machine.next()) this.perform(step);
    if (this.written !== '') this.played.writes.push(this.written);
    this.written = '';
  }

  private perform(step: ClientStep): void {
    if (step.kind === 'send') {
      const text = step.bytes.toString('latin1').replaceAll('\r\n', '\n');
      this.played.sent += text;
      this.written += text;
      this.order.push(text);
      return;
    }
    this.played.steps.push(step);
    if (step.kind === 'delay') this.order.push('delay');
    if (step.kind === 'ready') this.proceed();
    if (step.kind === 'content') {
      this.machine.content(Buffer.from(this.content, 'latin1'));
      this.machine.contentEnd();
      if (this.behind && this.messages.length > 0 && this.machine.deliverBehind(this.messages[0]!)) this.messages.shift();
    }
  }

  private proceed(): void {
    const message = this.messages.shift();
    if (message) this.machine.deliver(message);
    else this.machine.quit();
  }

  /** The outcomes as short texts: `0: 2.0.0 250 ok`, `1: 5.1.1/recipient host ...`. */
  outcomes(): string[] {
    return this.played.steps.flatMap((step) => {
      if (step.kind === 'delivered') return step.recipients.map((number) => `${number}: ${step.status} ${step.text}`);
      if (step.kind === 'failed') return step.recipients.map((number) => `${number}: ${step.failure.status}/${step.failure.scope} ${step.failure.reason}`);
      if (step.kind === 'unusable') return [`unusable: ${step.failure.status} ${step.failure.reason}`];
      return [];
    });
  }

  kinds(): string[] {
    return this.played.steps.map(({ kind }) => kind);
  }

  logs(): string[] {
    return this.played.steps.flatMap((step) => (step.kind === 'log' ? [`${step.severity}: ${step.text}`] : []));
  }
}
