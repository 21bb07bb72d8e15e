/**
 * Mail to a postmaster about a session that went wrong (notify_classes, error_notice_recipient). It is of no consequence: when it cannot
 * be posted the log has a line, and nobody waits for it.
 */
import { zoneAt } from '../../host/zone.ts';
import type { Cleanup } from '../../ipc/cleanup.ts';
import { internalMailFlags, internalMailParameters } from '../../ipc/internal-mail.ts';
import { ServiceTrouble } from '../../ipc/service.ts';
import type { Log } from '../../log/log.ts';
import { attributeName } from '../../message/envelope-names.ts';
import { receivedFromOurselves } from '../../message/received.ts';
import { recordType } from '../../message/record.ts';
import type { Tools } from '../../server/daemon.ts';
import { parseNameMask } from '../../text/name-mask.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import { timeValue } from '../../text/time.ts';
import { errorClasses, transcriptText, type ErrorClass, type Notice } from './transcript.ts';

export const noticeParameters = [
  'notify_classes', 'error_notice_recipient', 'bounce_notice_recipient', 'double_bounce_sender', 'header_from_format', 'smtpd_history_flush_threshold', ...internalMailParameters,
] as const;

export interface Notices {
  readonly classes: ReadonlySet<ErrorClass>;
  readonly threshold: number;
  /** @param label the client */
  send(label: string, notice: Notice): void;
}

/** What sessions can be the cause of. */
const ofSessions: readonly ErrorClass[] = ['bounce', 'data', 'policy', 'protocol', 'resource', 'software'];

/** Undefined: nobody wants to know. */
export function openNotices(tools: Tools, cleanup: Cleanup): Notices | undefined {
  const { config, log, clock } = tools;
  const view = config.view([...noticeParameters, 'myhostname', 'mail_name']);
  const table = errorClasses.map((name, at) => [name, 1 << at] as const);
  const mask = parseNameMask('notify_classes', table, view.notify_classes);
  if ('error' in mask) return log.fatal(mask.error);
  const classes = new Set(ofSessions.filter((name) => (mask.mask & (1 << errorClasses.indexOf(name))) !== 0));
  if (classes.size === 0) return undefined;
  const flags = internalMailFlags(view, 'notify');
  zoneAt(clock.now()); // the zone's file is read before chroot
  const text = (label: string, { lines, reason }: Notice): string => [
    ...fromAndTo(view.header_from_format, view.myhostname, view.error_notice_recipient),
    `Subject: ${view.mail_name} SMTP server: errors from ${label}`, '', 'Transcript of session follows.', '',
  ].join('\n') + `\n${transcriptText(lines, view.smtputf8_enable)}\n${reason === undefined ? '' : `Session aborted, reason: ${reason}\n`}\nFor other details, see the local mail logfile\n`;
  return {
    classes, threshold: view.smtpd_history_flush_threshold,
    send(label, notice) {
      const facts = {
        sender: `${view.double_bounce_sender}@${view.myhostname}`, recipient: notice.isBounce ? view.bounce_notice_recipient : view.error_notice_recipient, flags,
        hostname: view.myhostname, mailName: view.mail_name, now: clock.now(), text: text(label, notice),
      };
      post(cleanup, facts).catch((error: Error) => failed(error, log));
    },
  };
}

function fromAndTo(format: string, hostname: string, recipient: string): string[] {
  const daemon = `MAILER-DAEMON@${hostname}`;
  return format === 'obsolete' ? [`From: ${daemon} (Mail Delivery System)`, `To: ${recipient} (Postmaster)`]
    : [`From: Mail Delivery System <${daemon}>`, `To: Postmaster <${recipient}>`];
}

interface Post {
  readonly sender: string; readonly recipient: string; readonly flags: number; readonly hostname: string; readonly mailName: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly text: string;
}

async function post(cleanup: Cleanup, { sender, recipient, flags, hostname, mailName, now, text }: Post): Promise<void> {
  const session = await cleanup.open({ flags, lineEnd: 'lf' });
  const { seconds, microseconds } = timeValue(now);
  session.record(recordType.time, `${seconds} ${microseconds}`);
  session.record(recordType.attribute, `${attributeName.logMessageOrigin}=local`);
  session.record(recordType.attribute, `${attributeName.traceFlags}=0`);
  session.record(recordType.sender, sender);
  session.record(recordType.recipient, recipient);
  session.message();
  const date = mailDate(seconds, zoneAt(now));
  const received = receivedFromOurselves({ hostname, mailName, queueId: session.queueId, date });
  session.content(Buffer.from(`${received.join('\n')}\nDate: ${date}\n${text}`, 'latin1'));
  session.extracted();
  await session.end();
}

function failed(error: Error, log: Log): void {
  if (!(error instanceof ServiceTrouble)) log.warning(`postmaster notify: ${error.stack ?? error.message}`);
  else log.warning(`postmaster notify: ${error.message}`);
}
