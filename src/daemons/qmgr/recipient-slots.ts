/**
 * How many recipients may be in hand. postconf(5) default_recipient_limit, default_extra_recipient_limit, qmgr_message_recipient_minimum.
 *
 * Each transport has so many places. A message that has been read takes what it needs; one with recipients that are still in its file
 * takes all that are left, and goes on getting those that become free, the one that came first before the others. When it has been
 * read, what it did not need goes back.
 */
import type { Transport } from './destination.ts';
import type { Job, Mail } from './job.ts';

/** So many recipients of this job are in hand now. */
export function hold<T, M>(job: Job<T, M>, recipients: number): void {
  const { mail, transport } = job;
  job.count += recipients;
  mail.count += recipients;
  if (mail.more) waitToRead(job);
  else grant(job, Math.min(transport.spare, recipients));
}

/** They are not any more. */
export function letGo<T, M>(job: Job<T, M>, recipients: number): void {
  const { mail } = job;
  job.count -= recipients;
  mail.count -= recipients;
  for (const each of mail.jobs) if (!mail.more || (each !== job && !each.listed)) giveBack(each);
}

function grant<T, M>(job: Job<T, M>, places: number): void {
  if (places <= 0) return;
  job.limit += places;
  job.mail.limit += places;
  job.transport.spare -= places;
}

function giveBack<T, M>(job: Job<T, M>): void {
  const { mail, transport } = job;
  const unused = Math.min(job.limit - job.count, mail.limit - mail.count);
  if (unused <= 0) return;
  job.limit -= unused;
  mail.limit -= unused;
  transport.spare += unused;
  offer(transport);
}

/** What is spare is for the first that waits to read. */
function offer<T, M>(transport: Transport<T, M>): void {
  const [first] = transport.unread;
  if (first !== undefined) grant(first, transport.spare);
}

function waitToRead<T, M>(job: Job<T, M>): void {
  const { unread } = job.transport;
  if (!job.waitsToRead) {
    job.waitsToRead = true;
    let at = unread.length;
    while (at > 0 && unread[at - 1]!.mail.order > job.mail.order) at--;
    unread.splice(at, 0, job);
    if (at === 0 && unread[1] !== undefined) giveBack(unread[1]);
  }
  grant(job, job.transport.spare);
}

/** The message has been read, or this job has nothing to do until more is. */
export function stopWaiting<T, M>(job: Job<T, M>): void {
  if (job.waitsToRead) {
    const { unread } = job.transport;
    unread.splice(unread.indexOf(job), 1);
    job.waitsToRead = false;
  }
  giveBack(job);
  offer(job.transport);
}

/** A job that preempts another one gets some of the extra places. */
export function lendExtra<T, M>(job: Job<T, M>): void {
  if (!job.mail.more) return;
  const { transport } = job;
  grant(job, (transport.rules.extraRecipients + Math.min(transport.spare, 0) + 1) >> 1);
}

/** Is it worth reading more of the message now? */
export function wantsMore<T, M>(mail: Mail<T, M>, job: Job<T, M>, now: number): boolean {
  const free = mail.limit - mail.count;
  if (!mail.more || mail.refilling || free <= 0) return false;
  const { refillLimit, refillDelay } = job.transport.rules;
  return free >= refillLimit || now - mail.refilled >= refillDelay || !job.hasEntries;
}
