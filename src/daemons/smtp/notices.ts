/**
 * Mail to a postmaster about a server that does not keep to the protocol, or a message that could not be read while it was sent
 * (notify_classes, error_notice_recipient). It is of no consequence: when it cannot be posted the log has a line, and nobody waits for it.
 * There is none about mail that is itself a report or a notice.
 */
import { ConfigurationError } from '../../config/configuration-error.ts';
import { zoneAt } from '../../host/zone.ts';
import { internalMailFlags, internalMailParameters } from '../../ipc/internal-mail.ts';
import { attributeName } from '../../message/envelope-names.ts';
import { receivedFromOurselves } from '../../message/received.ts';
import { recordType } from '../../message/record.ts';
import type { TakenTranscript, Trouble } from '../../protocol/smtp-client/transcript.ts';
import type { Tools } from '../../server/daemon.ts';
import { printable } from '../../text/ascii.ts';
import { parseNameMask } from '../../text/name-mask.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import { timeValue } from '../../text/time.ts';
import { wrapText } from '../../text/wrap.ts';

const noticeParameters = [
  'notify_classes', 'error_notice_recipient', 'double_bounce_sender', 'header_from_format', 'myhostname', 'mail_name',
  'cleanup_service_name', ...internalMailParameters,
] as const;

const classes = ['bounce', '2bounce', 'data', 'delay', 'policy', 'protocol', 'resource', 'software'] as const;
const width = 78;

/** A connection, when a message is done with it or never could be sent. */
export interface Talked {
  readonly peer: { readonly nameAddressPort: string };
  /** Undefined: none was kept. */
  takeTranscript(): TakenTranscript | undefined;
}

export interface Notices {
  /** @param sender of the message. Resolves when a notice is queued, or could not be. */
  after(talked: Talked, sender: string): Promise<void> | undefined;
}

/** The troubles that notify_classes names. Throws ConfigurationError for a class that is none. */
export function wantedTroubles(notifyClasses: string): ReadonlySet<Trouble> {
  const mask = parseNameMask('notify_classes', classes.map((name, at) => [name, 1 << at] as const), notifyClasses);
  if ('error' in mask) throw new ConfigurationError(mask.error, undefined, `write some of ${classes.join(', ')}`);
  return new Set((['protocol', 'data'] as const).filter((name) => (mask.mask & (1 << classes.indexOf(name))) !== 0));
}

/** Undefined: nobody wants to know. @param dialect as the subject says it */
export function openNotices({ config, clock, log, services }: Tools, dialect: 'SMTP' | 'LMTP'): Notices | undefined {
  const view = config.view(noticeParameters);
  const wanted = wantedTroubles(view.notify_classes);
  if (wanted.size === 0) return undefined;
  const flags = internalMailFlags(view, 'notify');
  const doubleBounce = `${view.double_bounce_sender}@${view.myhostname}`;
  zoneAt(clock.now()); // the zone's file is read before chroot
  const post = async (text: string): Promise<void> => {
    const session = await services.cleanup(view.cleanup_service_name).open({ flags, lineEnd: 'lf' });
    const { seconds, microseconds } = timeValue(clock.now());
    session.record(recordType.time, `${seconds} ${microseconds}`);
    session.record(recordType.attribute, `${attributeName.logMessageOrigin}=local`);
    session.record(recordType.attribute, `${attributeName.traceFlags}=0`);
    session.record(recordType.sender, doubleBounce);
    session.record(recordType.recipient, view.error_notice_recipient);
    session.message();
    const date = mailDate(seconds, zoneAt(clock.now()));
    const received = receivedFromOurselves({ hostname: view.myhostname, mailName: view.mail_name, queueId: session.queueId, date });
    session.content(Buffer.from(`${received.join('\n')}\nDate: ${date}\n${text}`, 'latin1'));
    session.extracted();
    await session.end();
  };
  return {
    after(talked, sender) {
      const taken = talked.takeTranscript();
      if (taken === undefined || sender === '' || sender === doubleBounce || ![...taken.troubles].some((trouble) => wanted.has(trouble))) return undefined;
      const text = noticeText({ ...view, server: talked.peer.nameAddressPort, dialect, lines: taken.lines });
      return post(text).catch((error: Error) => log.warning(`postmaster notify: ${error.message}`));
    },
  };
}

interface NoticeFacts {
  readonly header_from_format: string;
  readonly myhostname: string;
  readonly mail_name: string;
  readonly error_notice_recipient: string;
  readonly smtputf8_enable: boolean;
  readonly server: string;
  readonly dialect: string;
  readonly lines: readonly string[];
}

function noticeText({ server, dialect, lines, ...view }: NoticeFacts): string {
  const daemon = `MAILER-DAEMON@${view.myhostname}`;
  const isOld = view.header_from_format === 'obsolete';
  // What a stranger said begins with a blank, so that it cannot pass for a line of ours.
  const transcript = lines.flatMap((line) => wrapText(printable(line, '?', view.smtputf8_enable), width)).map((line) => ` ${line}`);
  return `${[
    isOld ? `From: ${daemon} (Mail Delivery System)` : `From: Mail Delivery System <${daemon}>`,
    isOld ? `To: ${view.error_notice_recipient} (Postmaster)` : `To: Postmaster <${view.error_notice_recipient}>`,
    `Subject: ${view.mail_name} ${dialect} client: errors from ${server}`, '', `Unexpected response from ${server}.`, '',
    'Transcript of session follows.', '', ...transcript, '', 'For other details, see the local mail logfile',
  ].join('\n')}\n`;
}
