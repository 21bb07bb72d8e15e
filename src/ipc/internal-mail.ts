/** What cleanup(8) is asked to do with mail that the mail system makes itself, by the kind of mail. */
import { sendOption } from '../message/envelope-names.ts';
import { splitList } from '../text/ascii.ts';
import { cleanupFlag, internalFlags } from './cleanup.ts';

export const internalMailParameters = ['internal_mail_filter_classes', 'smtputf8_enable', 'smtputf8_autodetect_classes'] as const;

/** Reports, postmaster notices, address probes, and what aliases and .forward files send on. */
export type InternalMail = 'bounce' | 'notify' | 'verify' | 'forward';

export interface InternalMailView { readonly internal_mail_filter_classes: string; readonly smtputf8_enable: boolean; readonly smtputf8_autodetect_classes: string }

/** @param sendOptions of the message that this one is about, or comes from */
export function internalMailFlags(view: InternalMailView, kind: InternalMail, sendOptions = 0): number {
  let flags: number = internalFlags;
  // Of the others Postfix knows the names, and filters nothing.
  if ((kind === 'bounce' || kind === 'notify') && names(view.internal_mail_filter_classes, kind)) flags |= cleanupFlag.filter | cleanupFlag.milter;
  if (view.smtputf8_enable && names(view.smtputf8_autodetect_classes, kind, 'all')) flags |= cleanupFlag.autoUtf8;
  if (sendOptions & sendOption.smtputf8Requested) flags |= cleanupFlag.smtputf8;
  if (sendOptions & sendOption.requireTlsEsmtp) flags |= cleanupFlag.requireTls;
  return flags;
}

function names(classes: string, ...wanted: readonly string[]): boolean {
  return splitList(classes).some((word) => wanted.includes(word.toLowerCase()));
}
