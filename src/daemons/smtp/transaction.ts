/** A delivery request as the client machine wants it: addresses quoted, wishes in the protocol's words. Pure. */
import type { DeliveryRequest, Recipient } from '../../ipc/deliver.ts';
import { isTraceOnly } from '../../delivery/reports.ts';
import { quote821Local, quote822Local } from '../../message/address.ts';
import { dsnNotify } from '../../message/dsn.ts';
import type { XforwardName } from '../../protocol/smtp-client/features.ts';
import type { ClientRecipient, ClientRecipients, Transaction } from '../../protocol/smtp-client/steps.ts';
import { isAscii, sameIgnoringCase, startsIgnoringCase } from '../../text/ascii.ts';
import { isUtf8 } from '../../text/utf8.ts';
import { encodeUxtext, encodeXtext } from '../../text/xtext.ts';
import type { Settings } from './settings.ts';

/** The sender asked for SMTPUTF8; the other bits say what of the message needs it. */
const smtputf8Requested = 1 << 0;
const smtputf8Needs = (1 << 1) | (1 << 2) | (1 << 3);

/** Does delivery depend on SMTPUTF8? Such mail has connections of its own. */
export function needsSmtputf8({ smtputf8 }: DeliveryRequest): boolean {
  return (smtputf8 & smtputf8Requested) !== 0 && (smtputf8 & smtputf8Needs) !== 0;
}

const notSaid: ReadonlyMap<XforwardName, string> = new Map();

/** `dsn`: the server offers it; else nobody wants to know ORCPT. */
export function transactionOf(
  request: DeliveryRequest, recipients: readonly Recipient[], settings: Settings,
  { keep, converted, requireTls, dsn }: { keep: boolean; converted: boolean; requireTls: boolean; dsn: boolean },
): Transaction {
  const requested = (request.smtputf8 & smtputf8Requested) !== 0;
  return {
    queueId: request.queueId,
    sender: quoted(request.sender, settings),
    recipients: new Named(recipients, settings, dsn, requested),
    size: request.dataSize,
    encoding: request.encoding === '7bit' || request.encoding === '8bit' ? request.encoding : '',
    smtputf8: needsSmtputf8(request) ? 'required' : requested ? 'requested' : 'no',
    envid: request.dsnEnvid,
    ret: request.dsnRet,
    verify: isTraceOnly(request.flags) ? settings.verifyTarget : 'no',
    keep,
    converted,
    requireTls,
    xforward: settings.sendXforward ? xforward(request) : notSaid,
  };
}

/** Each is made when the server is to hear of it, and kept by nobody. */
class Named implements ClientRecipients {
  readonly length: number;
  private readonly recipients: readonly Recipient[];
  private readonly settings: Settings;
  private readonly dsn: boolean;
  private readonly utf8: boolean;

  constructor(recipients: readonly Recipient[], settings: Settings, dsn: boolean, utf8: boolean) {
    this.length = recipients.length;
    this.recipients = recipients;
    this.settings = settings;
    this.dsn = dsn;
    this.utf8 = utf8;
  }

  at(number: number): ClientRecipient | undefined {
    const recipient = this.recipients[number];
    if (recipient === undefined) return undefined;
    return { address: quoted(recipient.address, this.settings), orcpt: this.dsn ? orcpt(recipient, this.utf8) : '', notify: recipient.dsnNotify };
  }
}

function quoted(address: string, { quoteEnvelope }: Settings): string {
  return quoteEnvelope && address !== '' ? quote821Local(address) : address;
}

// RFC 3461 section 4.2, RFC 6533 section 3: without an ORCPT of the sender's, what the address was before we changed it.
function orcpt({ dsnOrcpt, originalAddress }: Recipient, utf8: boolean): string {
  let text = dsnOrcpt;
  if (text === '' && originalAddress !== '') {
    const address = quote822Local(originalAddress);
    text = `${utf8 && !isAscii(address) && isUtf8(address) ? 'utf-8' : 'rfc822'};${address}`;
  }
  if (text === '') return '';
  return startsIgnoringCase(text, 'utf-8;') ? encodeUxtext(text, '+=') ?? '' : encodeXtext(text, '=');
}

function xforward(request: DeliveryRequest): Map<XforwardName, string> {
  const known = (value: string): boolean => value !== '' && !sameIgnoringCase(value, 'unknown');
  const { clientName, clientAddress, clientPort, clientProtocol, clientHelo, logIdent, rewriteContext } = request;
  const all: readonly (readonly [XforwardName, string, boolean])[] = [
    ['NAME', clientName, known(clientName)], ['ADDR', clientAddress, known(clientAddress)], ['PORT', clientPort, known(clientPort)],
    ['PROTO', clientProtocol, known(clientProtocol)], ['HELO', clientHelo, clientHelo !== ''], ['IDENT', logIdent, logIdent !== ''],
    ['SOURCE', rewriteContext === 'local' ? 'LOCAL' : 'REMOTE', rewriteContext !== ''],
  ];
  return new Map(all.filter(([, , wanted]) => wanted).map(([name, value]) => [name, value]));
}

/** Reports of success are the next server's matter when it knows how. The recipient itself, where none was asked for. */
export function withoutSuccessReport(recipient: Recipient): Recipient {
  if ((recipient.dsnNotify & dsnNotify.success) === 0) return recipient;
  return { ...recipient, dsnNotify: recipient.dsnNotify & ~dsnNotify.success };
}
