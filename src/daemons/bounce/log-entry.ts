/**
 * One entry of a bounce, defer or trace log as Postfix 3.12 writes it; queue/report-log.ts reads it back.
 *
 * Every entry stands between empty lines: what a crash left half written costs nobody else's entry.
 */
import type { dsnShape, recipientShape } from '../../ipc/delivery-shapes.ts';
import type { ShapeValue } from '../../ipc/shape.ts';
import { quote822Local } from '../../message/address.ts';
import type { LogEntry } from '../../queue/report-log.ts';
import { printable } from '../../text/ascii.ts';
import { foldCase } from '../../text/utf8.ts';

export type Recipient = ShapeValue<typeof recipientShape>;
export type Dsn = ShapeValue<typeof dsnShape>;

export interface EntryOptions {
  /** backwards_bounce_logfile_compatibility: begin with a line in the form of Postfix 2.0 and older. */
  readonly oldLine: boolean;
}

/** Texts of a request, safe to write into a line: a control character would begin a line of its own. */
export function cleanTexts<T extends object>(value: T, utf8: boolean): T {
  const clean = Object.entries(value).map(([name, item]) => [name, typeof item === 'string' ? printable(item, '?', utf8) : item]);
  return Object.fromEntries(clean) as T;
}

const external = (address: string): string => (address === '' ? '' : quote822Local(address));

export function renderEntry(recipient: Recipient, dsn: Dsn, { oldLine }: EntryOptions): string {
  const old = oldLine ? `<${external(recipient.address)}>: ${dsn.reason}\n` : '';
  const lines = attributes(recipient, dsn).map(([name, value]) => `${name}=${value}\n`);
  return `\n${old}${lines.join('')}\n`;
}

function attributes(recipient: Recipient, dsn: Dsn): [name: string, value: string | number][] {
  const { address, originalAddress, offset, dsnOrcpt, dsnNotify } = recipient;
  const pairs: [name: string, value: string | number][] = [['recipient', external(address) || '<>']];
  if (originalAddress !== '' && foldCase(originalAddress) !== foldCase(address)) pairs.push(['original_recipient', external(originalAddress)]);
  if (offset > 0) pairs.push(['offset', offset]);
  if (dsnOrcpt !== '') pairs.push(['dsn_orig_rcpt', dsnOrcpt]);
  if (dsnNotify !== 0) pairs.push(['notify_flags', dsnNotify]);
  if (dsn.status !== '') pairs.push(['status', dsn.status]);
  if (dsn.action !== '') pairs.push(['action', dsn.action]);
  if (dsn.diagnosticType !== '' && dsn.diagnosticText !== '') pairs.push(['diag_type', dsn.diagnosticType], ['diag_text', dsn.diagnosticText]);
  if (dsn.remoteMtaType !== '' && dsn.remoteMta !== '') pairs.push(['mta_type', dsn.remoteMtaType], ['mta_mname', dsn.remoteMta]);
  if (dsn.reason !== '') pairs.push(['reason', dsn.reason]);
  return pairs;
}

/** What is reported of a recipient for whom there is no log. */
export function entryOf(recipient: Recipient, dsn: Dsn): LogEntry {
  const { address, originalAddress, dsnOrcpt, dsnNotify, offset } = recipient;
  const { status, action, reason, diagnosticType, diagnosticText, remoteMtaType, remoteMta } = dsn;
  return {
    address: external(address), originalAddress: external(originalAddress), dsnOrcpt, dsnNotify, offset,
    status, action, reason, diagnosticType, diagnosticText, remoteMtaType, remoteMta,
  };
}
