/** What every report is written with: parameters, voices, the queue, the way to cleanup. Opened once for a service. */
import { bounceText, loadTemplates } from '../../config/bounce-text.ts';
import type { Configuration } from '../../config/configuration.ts';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { zoneAt } from '../../host/zone.ts';
import { internalMailFlags, internalMailParameters } from '../../ipc/internal-mail.ts';
import type { Directory } from '../../ipc/directory.ts';
import type { Log } from '../../log/log.ts';
import type { ReportKind, Template } from '../../message/bounce-templates.ts';
import type { View } from '../../parameters/parameters.ts';
import { QueuePaths } from '../../queue/queue-paths.ts';
import type { LogName, QueueStore } from '../../queue/store.ts';
import type { Clock } from '../../server/clock.ts';
import type { Tools } from '../../server/daemon.ts';
import { parseNameMask } from '../../text/name-mask.ts';
import { mailDate } from '../../text/rfc822-date.ts';
import { foldCase } from '../../text/utf8.ts';
import { LogFiles } from './log-files.ts';

export const bounceParameters = [
  'myhostname', 'mydomain', 'mail_name', 'notify_classes', 'bounce_notice_recipient', '2bounce_notice_recipient', 'delay_notice_recipient',
  'double_bounce_sender', 'bounce_size_limit', 'bounce_template_file', 'header_from_format', 'enable_threaded_bounces',
  'backwards_bounce_logfile_compatibility', 'maximal_queue_lifetime', 'delay_warning_time', ...internalMailParameters,
  'requiretls_enable', 'requiretls_redact_dsn', 'tls_required_enable', 'cleanup_service_name',
  'hash_queue_names', 'hash_queue_depth', 'enable_long_queue_ids', 'deliver_lock_attempts', 'deliver_lock_delay',
] as const;

/** notify_classes: what a postmaster wants to hear of. */
export const noticeClass = { bounce: 1, twoBounce: 2, delay: 4 } as const;

const noticeClasses = [
  ['bounce', noticeClass.bounce], ['2bounce', noticeClass.twoBounce], ['delay', noticeClass.delay],
  ['data', 8], ['policy', 16], ['protocol', 32], ['resource', 64], ['software', 128],
] as const;

/** What each kind of report says: its template, and the lines of its text as they are sent. */
export type Wording = Readonly<Record<ReportKind, { readonly template: Template; readonly lines: readonly string[] }>>;

export interface Desk {
  readonly view: View<typeof bounceParameters>;
  readonly log: Log;
  readonly clock: Clock;
  readonly services: Directory;
  readonly store: QueueStore;
  /** The row's name, which is also the name of its log directory. */
  readonly service: LogName;
  readonly logs: LogFiles;
  /** Bits of noticeClass. */
  readonly notices: number;
  readonly wording: Wording;
  /** Sender of mail to postmasters: what it cannot deliver is not reported again. */
  readonly doubleBounce: string;
}

/** Fails (fatal) for a notify_classes that has unknown words, and for a bounce_template_file that cannot be used. */
export function openDesk({ config, log, clock, services, row, store }: Tools): Desk {
  const view = config.view(bounceParameters);
  const service = row.service as LogName;
  const paths = new QueuePaths({ hashQueueNames: view.hash_queue_names, hashQueueDepth: view.hash_queue_depth });
  const patience = { attempts: view.deliver_lock_attempts, delay: view.deliver_lock_delay * 1000 };
  const classes = parseNameMask('notify_classes', noticeClasses, view.notify_classes);
  if ('error' in classes) return log.fatal(classes.error);
  zoneAt(clock.now()); // the zone's file is read before chroot
  return {
    view, log, clock, services, store, service,
    logs: new LogFiles({ service, paths, store, patience, warn: (text) => log.warning(text), utf8: view.smtputf8_enable }),
    notices: classes.mask,
    wording: openWording(config, view.bounce_template_file, log),
    doubleBounce: `${view.double_bounce_sender}@${view.myhostname}`,
  };
}

// Read and expanded once, before chroot.
function openWording(config: Configuration, file: string, log: Log): Wording {
  const warn = (text: string): void => log.warning(text);
  try {
    const templates = loadTemplates(file, warn);
    const worded = (kind: ReportKind): Wording[ReportKind] => ({ template: templates[kind], lines: bounceText(templates[kind], config, warn) });
    return { failure: worded('failure'), delay: worded('delay'), success: worded('success'), verify: worded('verify') };
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return log.fatal(error.message);
  }
}

export function isDoubleBounce({ doubleBounce }: Desk, address: string): boolean {
  return foldCase(address) === foldCase(doubleBounce);
}

/** Seconds since the epoch as a header writes them. */
export function dateOf(seconds: number): string {
  return mailDate(seconds, zoneAt(seconds * 1000));
}

/** What cleanup is asked to do with a report. */
export function cleanupFlags({ view }: Desk, sendOptions: number): number {
  return internalMailFlags(view, 'bounce', sendOptions);
}
