/**
 * Who hears of trouble: the sender, a postmaster, or nobody.
 *
 * Mail from a sender gives a report with the null sender; a report that fails gives one to a postmaster with the double-bounce
 * sender; and what fails then is dropped, so that no report ever gives rise to reports without end (RFC 5321 section 6.1).
 */
import { dsnNotify, dsnRet } from '../../message/dsn.ts';
import { isDoubleBounce, noticeClass, type Desk } from './desk.ts';
import { sendReport, type Case } from './report.ts';

type NoticeRecipient = 'bounce_notice_recipient' | '2bounce_notice_recipient' | 'delay_notice_recipient';

/** What failures and delays differ in. */
interface Trouble {
  readonly word: string;
  /** The wish of a sender to hear of it. */
  readonly wish: number;
  /** Undeliverable reports: which of notify_classes ask for them, and who gets them. */
  readonly undeliverable: { readonly classes: number; readonly to: NoticeRecipient };
  /** Copies of what senders get. */
  readonly copy: { readonly classes: number; readonly to: NoticeRecipient; readonly while: string };
  /** How much of the message a sender gets who did not say. */
  readonly returns: (ret: number) => number;
}

export const failure: Trouble = {
  word: 'non-delivery',
  wish: dsnNotify.failure,
  undeliverable: { classes: noticeClass.bounce | noticeClass.twoBounce, to: '2bounce_notice_recipient' },
  copy: { classes: noticeClass.bounce, to: 'bounce_notice_recipient', while: 'bouncing to' },
  returns: (ret) => ret || dsnRet.full,
};

export const delay: Trouble = {
  word: 'delay',
  wish: dsnNotify.delay,
  undeliverable: { classes: noticeClass.delay, to: 'delay_notice_recipient' },
  copy: { classes: noticeClass.delay, to: 'delay_notice_recipient', while: 'warning' },
  returns: () => dsnRet.headers,
};

/** Tell whoever is to be told. 0: that was done, or is not wanted. `quiet`: the sender does not want to hear of it. */
export async function notify(open: Case, trouble: Trouble, quiet = false): Promise<number> {
  const { desk, message } = open;
  if (isDoubleBounce(desk, message.sender)) {
    desk.log.warning(`${message.queueId}: undeliverable postmaster notification discarded`);
    return 0;
  }
  if (message.sender === '') return notifyOfReport(open, trouble);
  const status = quiet ? 0 : await notifySender(open, trouble, message.sender);
  if (status === 0) await notifyPostmaster(open, trouble);
  return status;
}

/** A report could not be delivered: the last chance that anybody hears of it. */
function notifyOfReport(open: Case, { undeliverable, word }: Trouble): Promise<number> | number {
  const { desk } = open;
  if ((desk.notices & undeliverable.classes) === 0) return 0;
  return sendReport(open, {
    sender: desk.doubleBounce, to: desk.view[undeliverable.to], copy: true, wish: 0, returns: dsnRet.full,
    words: `postmaster ${word} notification`, complaint: 'postmaster notification failed', reason: true,
  });
}

export function notifySender(open: Case, { wish, returns, word }: Trouble, to: string): Promise<number> {
  return sendReport(open, {
    sender: '', to, copy: false, wish, returns: returns(open.message.dsnRet),
    words: `sender ${word} notification`, complaint: `sender notification failed to ${to}`, reason: true,
  });
}

/** A courtesy: when it fails, what the sender was told stays told. */
export async function notifyPostmaster(open: Case, { copy, word }: Trouble): Promise<void> {
  const { desk, message } = open;
  if ((desk.notices & copy.classes) === 0) return;
  await sendReport(open, {
    sender: desk.doubleBounce, to: desk.view[copy.to], copy: true, wish: 0, returns: dsnRet.headers,
    words: `postmaster ${word} notification`, complaint: `postmaster notice failed while ${copy.while} ${message.sender}`, reason: false,
  });
}

/** The delivery record that a sender asked for (sendmail -v, -bv, NOTIFY=SUCCESS). */
export async function notifyTrace(open: Case, sender: string, to: string): Promise<number> {
  return sendReport(open, {
    sender, to, copy: false, wish: 0, returns: dsnRet.headers,
    words: 'sender delivery status notification', complaint: `sender notification failed to ${to}`, reason: true,
  });
}

/** Where a delivery record goes, and from whom; undefined: nobody gets one (said in the log). */
export function traceRoute(desk: Desk, queueId: string, sender: string): { sender: string; to: string } | undefined {
  const isDouble = isDoubleBounce(desk, sender);
  if (sender !== '' && !isDouble) return { sender: '', to: sender };
  if (!isDouble && desk.notices & noticeClass.twoBounce) return { sender: desk.doubleBounce, to: desk.view['2bounce_notice_recipient'] };
  desk.log.info(`${queueId}: not sending trace/success notification for ${isDouble ? 'double' : 'single'}-bounce message`);
  return undefined;
}
