/**
 * The header lines that a mail system adds itself: Received:, Message-Id:.
 *
 * Lines come without line ends, continuation lines with their tab. Everything comes from the caller: names, times, ids. Nothing throws.
 */
import { isPrintable } from '../text/ascii.ts';
import { compactTime } from '../text/rfc822-date.ts';
import { quote822Local } from './address.ts';

/** What our own lines say of us. */
export interface ReceivedBy {
  readonly hostname: string;
  /** mail_name, "Postfix" */
  readonly mailName: string;
  readonly queueId: string;
  /** see mailDate() */
  readonly date: string;
}

export interface TlsFacts {
  /** "TLSv1.3" */
  readonly protocol: string;
  readonly cipher: string;
  readonly usedBits: number;
  readonly cipherBits: number;
  /** " key-exchange X25519", " server-signature ..." and so on: each a line of its own behind a tab and a space */
  readonly details?: readonly string[];
  readonly client:
    | { readonly kind: 'certificate'; readonly commonName: string; readonly issuer: string; readonly trusted: boolean }
    | { readonly kind: 'raw-key'; readonly digestName: string; readonly digest: string }
    | { readonly kind: 'none'; readonly requested: boolean };
}

export interface ReceivedFromClient extends ReceivedBy {
  /** what the client said in HELO; its name when it said nothing */
  readonly helo: string;
  readonly clientName: string;
  /** as in an address literal: "192.0.2.1", "IPv6:2001:db8::1" */
  readonly clientAddress: string;
  /** "SMTP", "ESMTP", "UTF8SMTP" */
  readonly protocol: string;
  /** smtpd_tls_received_header: facts of the session, when it is encrypted */
  readonly tls?: TlsFacts | undefined;
  readonly encrypted?: boolean;
  /** smtpd_sasl_authenticated_header: whom to name */
  readonly authenticatedName?: string | undefined;
  readonly authenticated?: boolean;
  /** the recipient, when there is only one */
  readonly recipient?: string | undefined;
  /** smtpd_hide_client_session */
  readonly hideClient?: boolean;
}

/** Received: lines of mail that came by SMTP. */
export function receivedFromClient(facts: ReceivedFromClient): string[] {
  const lines = facts.hideClient ? [] : clientLines(facts);
  const by = `${facts.hideClient ? 'Received: ' : '\t'}by ${facts.hostname} (${facts.mailName})${facts.hideClient ? '' : ` with ${facts.protocol}${session(facts)}`}`;
  const id = facts.queueId === '' ? '' : ` id ${facts.queueId}`;
  if (facts.recipient === undefined) return [...lines, `${by}${id};`, `\t${facts.date}`];
  return [...lines, `${by}${id}`, `\tfor <${quote822Local(facts.recipient)}>; ${facts.date}`];
}

// RFC 3848: ESMTPS, ESMTPA, ESMTPSA; RFC 6531 section 4.3: UTF8SMTPS and so on. There is no such thing for SMTP.
function session(facts: ReceivedFromClient): string {
  if (facts.protocol === 'SMTP') return '';
  return `${facts.encrypted ? 'S' : ''}${facts.authenticated ? 'A' : ''}`;
}

function clientLines(facts: ReceivedFromClient): string[] {
  const lines = [`Received: from ${facts.helo} (${facts.clientName} [${facts.clientAddress}])`];
  if (facts.tls) lines.push(...tlsLines(facts.tls));
  if (facts.authenticatedName !== undefined) lines.push(`\t(Authenticated sender: ${commentText(facts.authenticatedName)})`);
  return lines;
}

function tlsLines(tls: TlsFacts): string[] {
  const lines = [`\t(using ${tls.protocol} with cipher ${tls.cipher} (${tls.usedBits}/${tls.cipherBits} bits)`];
  for (const detail of tls.details ?? []) lines.push(`\t ${detail}`);
  lines.push(`${lines.pop()!})`);
  return [...lines, clientCertificate(tls.client)];
}

function clientCertificate(client: TlsFacts['client']): string {
  if (client.kind === 'raw-key') return `\t(Client RPK ${client.digestName} digest ${client.digest})`;
  if (client.kind === 'none') return client.requested ? '\t(Client did not present a certificate)' : '\t(No client certificate requested)';
  const verified = client.trusted ? 'verified OK' : 'not verified';
  return `\t(Client CN "${commentText(client.commonName)}", Issuer "${commentText(client.issuer)}" (${verified}))`;
}

/** Text fit for a comment: printable ASCII, no backslash, parentheses in pairs. */
export function commentText(text: string): string {
  let open = 0;
  let safe = '';
  for (const char of text) {
    if (char === '(') open++;
    const bad = !isPrintable(char.charCodeAt(0)) || char === '\\' || (char === ')' && open === 0);
    if (char === ')' && open > 0) open--;
    safe += bad ? '?' : char;
  }
  return safe + ')'.repeat(open);
}

/** Received: lines of mail that a local user handed to sendmail. */
export function receivedFromUser(facts: ReceivedBy, uid: number): string[] {
  return [`Received: by ${facts.hostname} (${facts.mailName}, from userid ${uid})`, `\tid ${facts.queueId}; ${facts.date}`];
}

/** Received: lines of mail that we made ourselves: bounces, forwarded mail. */
export function receivedFromOurselves(facts: ReceivedBy): string[] {
  return [`Received: by ${facts.hostname} (${facts.mailName})`, `\tid ${facts.queueId}; ${facts.date}`];
}

/**
 * A Message-Id with its angle brackets. A short queue id is unique only within its second, so the time goes in front.
 * @param created when the queue file was, in seconds
 */
export function messageId(queueId: string, hostname: string, created: number, longQueueIds = false): string {
  return longQueueIds ? `<${queueId}@${hostname}>` : `<${compactTime(created)}.${queueId}@${hostname}>`;
}
