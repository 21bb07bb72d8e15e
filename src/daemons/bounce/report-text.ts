/**
 * The text of a report: a multipart/report of notification, delivery status and original message (RFC 3462, RFC 3464).
 *
 * Pure: facts in, byte strings with LF line ends out. Layout, order and spelling of every line are Postfix 3.12's, because mailing
 * list software and people who search their logs know them.
 */
import type { Template } from '../../message/bounce-templates.ts';
import { sendOption } from '../../message/envelope-names.ts';
import type { LogEntry } from '../../queue/report-log.ts';
import { isAscii } from '../../text/ascii.ts';
import { isUtf8 } from '../../text/utf8.ts';
import { wrap } from './wrap.ts';

export interface ReportFacts {
  readonly template: Template;
  /** The text of the template, ready for the reader. */
  readonly lines: readonly string[];
  readonly from: string;
  readonly hostname: string;
  readonly mailName: string;
  readonly queueId: string;
  readonly boundary: string;
  /** '' is not known: nothing is said. */
  readonly encoding: '8bit' | '7bit' | '';
  readonly sendOptions: number;
  readonly tlsRequiredNo: boolean;
  /** ENVID, '' when there was none. */
  readonly envid: string;
  /** Sender of the message, external form; '' is not known. */
  readonly sender: string;
  /** `Arrival-Date`, '' is not known. */
  readonly arrivalDate: string;
  /** `Will-Retry-Until`, for delays. */
  readonly retryUntil: string;
  /** For threaded_bounces: Message-Id of the message, or ''. */
  readonly messageId: string;
}

const anyUtf8 = sendOption.smtputf8Requested | sendOption.smtputf8Header | sendOption.smtputf8Sender | sendOption.smtputf8Recipient;
const joined = (lines: readonly string[]): string => `${lines.join('\n')}\n`;

export class ReportText {
  readonly #facts: ReportFacts;
  readonly #encoded: boolean;
  readonly #global: boolean;
  readonly #product: string;

  constructor(facts: ReportFacts) {
    this.#facts = facts;
    this.#encoded = facts.encoding === '8bit';
    this.#global = (facts.sendOptions & sendOption.smtputf8Requested) !== 0;
    this.#product = facts.mailName.replace(/[ \t\r\n()<>@,;:\\".[\]]/g, '-');
  }

  /** Header of the report, and head of its first part. `to` is in external form. */
  header(to: string, postmasterCopy: boolean): string {
    const { template, boundary, encoding, messageId } = this.#facts;
    const lines = [
      `From: ${this.#facts.from}`,
      `Subject: ${postmasterCopy && template.postmasterSubject !== undefined ? template.postmasterSubject : template.subject}`,
      `To: ${to}`,
    ];
    if (messageId !== '') lines.push(`References: ${messageId}`, `In-Reply-To: ${messageId}`);
    if (this.#facts.tlsRequiredNo) lines.push('TLS-Required: no'); // RFC 8689 section 5
    lines.push(`Auto-Submitted: ${postmasterCopy ? 'auto-generated' : 'auto-replied'}`); // RFC 3834 section 5
    lines.push('MIME-Version: 1.0', 'Content-Type: multipart/report; report-type=delivery-status;', `\tboundary="${boundary}"`);
    if (encoding !== '') lines.push(`Content-Transfer-Encoding: ${encoding === '7bit' && !template.text.every(isAscii) ? '8bit' : encoding}`);
    lines.push('', 'This is a MIME-encapsulated message.', '', `--${boundary}`, 'Content-Description: Notification', this.#textType(), ...this.#encoding(), '');
    return joined(lines);
  }

  /** What we tell a sender, but not a postmaster. */
  greeting(): string {
    return joined(this.#facts.lines);
  }

  /** One recipient, for people. */
  notice({ address, originalAddress, reason }: LogEntry): string {
    const expanded = originalAddress === '' ? '' : ` (expanded from <${originalAddress}>)`;
    return joined(['', ...wrap(`<${address}>${expanded}: ${reason}`)]);
  }

  noticeUnavailable(): string {
    return '\n\t--- Delivery report unavailable ---\n';
  }

  /** Head of the second part and what it says of the message (RFC 3464 section 2.2). */
  statusHead(): string {
    const { boundary, hostname, envid, queueId, sender, arrivalDate } = this.#facts;
    const lines = ['', `--${boundary}`, 'Content-Description: Delivery report', `Content-Type: message/${this.#global ? 'global-' : ''}delivery-status`];
    if (this.#global) lines.push(...this.#encoding());
    lines.push('', `Reporting-MTA: dns; ${hostname}`);
    if (envid !== '') lines.push(`Original-Envelope-Id: ${envid}`);
    lines.push(`X-${this.#product}-Queue-ID: ${queueId}`);
    if (sender !== '') lines.push(`X-${this.#product}-Sender: ${this.#typed(sender)}`);
    if (arrivalDate !== '') lines.push(`Arrival-Date: ${arrivalDate}`);
    return joined(lines);
  }

  /** One recipient, for programs (RFC 3464 section 2.3). */
  status(entry: LogEntry): string {
    const { template, retryUntil } = this.#facts;
    const lines = ['', `Final-Recipient: ${this.#typed(entry.address)}`];
    if (entry.dsnOrcpt !== '') lines.push(`Original-Recipient: ${entry.dsnOrcpt}`);
    else if (entry.originalAddress !== '') lines.push(`Original-Recipient: ${this.#typed(entry.originalAddress)}`);
    lines.push(`Action: ${template.kind === 'failure' ? 'failed' : entry.action}`, `Status: ${entry.status}`);
    if (entry.remoteMtaType !== '' && entry.remoteMta !== '') lines.push(...wrap(`Remote-MTA: ${entry.remoteMtaType}; ${entry.remoteMta}`));
    lines.push(...wrap(`Diagnostic-Code: ${this.#diagnostic(entry)}`));
    if (template.kind === 'delay') lines.push(`Will-Retry-Until: ${retryUntil}`);
    return joined(lines);
  }

  /** Head of the third part. */
  originalHead(headersOnly: boolean): string {
    const { template, boundary } = this.#facts;
    const undelivered = template.kind === 'failure' || template.kind === 'delay' ? 'Undelivered ' : '';
    const lines = ['', `--${boundary}`, `Content-Description: ${undelivered}${headersOnly ? 'Message Headers' : 'Message'}`];
    if (this.#global) lines.push(`Content-Type: message/${headersOnly ? 'global-headers' : 'global'}`); // RFC 6533
    else lines.push(`Content-Type: ${headersOnly ? 'text/rfc822-headers' : 'message/rfc822'}`);
    return joined([...lines, ...this.#encoding(), '']);
  }

  /** First line of the returned message: header checks on reports want it, and cleanup leaves it alone there. */
  returnPath(): string {
    return `Return-Path: <${this.#facts.sender}>\n`;
  }

  originalUnavailable(): string {
    return '\t--- Undelivered message unavailable ---\n';
  }

  end(): string {
    return `--${this.#facts.boundary}--\n`;
  }

  #textType(): string {
    const { charset } = this.#facts.template;
    return `Content-Type: text/plain; charset=${charset !== 'us-ascii' ? charset : this.#encoded ? 'utf-8' : 'us-ascii'}`;
  }

  #encoding(): string[] {
    return this.#encoded ? [`Content-Transfer-Encoding: ${this.#facts.encoding}`] : [];
  }

  // RFC 6533 section 3: addresses of type utf-8 only where the message asked for SMTPUTF8.
  #typed(address: string): string {
    const isUtf8Address = (this.#facts.sendOptions & anyUtf8) !== 0 && !isAscii(address) && isUtf8(address);
    return `${isUtf8Address ? 'utf-8' : 'rfc822'}; ${address}`;
  }

  #diagnostic({ diagnosticType, diagnosticText, reason }: LogEntry): string {
    if (diagnosticType !== '' && diagnosticText !== '') return `${diagnosticType}; ${diagnosticText}`;
    return `X-${this.#product}; ${reason}`;
  }
}
