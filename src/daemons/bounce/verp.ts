/** Reports in VERP style: one per recipient, to an address that names the recipient. */
import { verpSender } from '../../message/verp.ts';
import type { LogEntry } from '../../queue/report-log.ts';
import type { Desk } from './desk.ts';
import { failure, notify, notifyPostmaster, notifySender } from './notify.ts';
import { isWanted, openCase, type Case, type ReportedMessage } from './report.ts';

/** What is reported when the log of recipients is gone: the mail must not vanish without a word. */
export const unknownRecipient: LogEntry = {
  address: '(recipient address unavailable)', originalAddress: '', dsnOrcpt: '', dsnNotify: 0, offset: 0,
  status: '5.0.0', action: '', reason: '(error report unavailable)', diagnosticType: '', diagnosticText: '', remoteMtaType: '', remoteMta: '',
};

/** One report for each entry. Stops at the first that cannot be sent. */
export async function notifyEach(
  desk: Desk, message: ReportedMessage, entries: Iterable<LogEntry>, delimiters: string, deleteRecipients: boolean,
): Promise<number> {
  for (const entry of entries) {
    const open = openCase(desk, 'failure', message, () => [entry]);
    try {
      const status = await notifyOf(open, entry, delimiters, deleteRecipients);
      if (status !== 0) return status;
    } finally {
      open.original.close();
    }
  }
  return 0;
}

async function notifyOf(open: Case, entry: LogEntry, delimiters: string, deleteRecipients: boolean): Promise<number> {
  if (isWanted(entry, failure.wish)) {
    const to = verpSender(open.message.sender, entry.originalAddress || entry.address, delimiters);
    const status = await notifySender(open, failure, to);
    if (status !== 0) return status;
    if (deleteRecipients) open.original.done(entry.offset);
  }
  await notifyPostmaster(open, failure);
  return 0;
}

/** No log: a plain report. */
export async function notifyWithoutLog(desk: Desk, message: ReportedMessage): Promise<number> {
  const open = openCase(desk, 'failure', message, () => [unknownRecipient]);
  try {
    return await notify(open, failure);
  } finally {
    open.original.close();
  }
}
