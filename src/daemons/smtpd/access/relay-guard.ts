/**
 * A server that refuses no stranger's mail to elsewhere is an open relay, mostly by a slip in main.cf: it does not start. smtpd(8),
 * postconf(5) at smtpd_recipient_restrictions.
 */
import { lowerAscii, splitListGroups } from '../../../text/ascii.ts';

/** One of these, within reach, is enough. */
const guards: readonly string[] = ['reject_unauth_destination', 'defer_unauth_destination', 'reject', 'defer', 'defer_if_permit', 'check_relay_domains'];

/** Classes that name each other in a circle are looked into this deep. */
const deepest = 100;

/** Does the list have a guard that is reached and not just a warning? */
function isGuarded(text: string, classText: (name: string) => string | undefined, depth = 0): boolean {
  const words = splitListGroups(text);
  for (let at = 0; at < words.length; at++) {
    const word = lowerAscii(words[at]!);
    if (word === 'warn_if_reject' && words[at + 1] !== undefined) {
      at += 1;
      continue;
    }
    if (word === 'permit') return false;
    if (guards.includes(word)) return true;
    const expansion = depth < deepest ? classText(words[at]!) : undefined;
    if (expansion !== undefined && isGuarded(expansion, classText, depth + 1)) return true;
  }
  return false;
}

/** Why these lists, relay and recipient, make an open relay; undefined: they do not. */
export function openRelay(lists: readonly string[], classText: (name: string) => string | undefined): string | undefined {
  if (lists.some((text) => isGuarded(text, classText))) return undefined;
  const names = `${guards.slice(0, -1).join(', ')} or ${guards.at(-1)}`;
  return `in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working instance of: ${names}`;
}
