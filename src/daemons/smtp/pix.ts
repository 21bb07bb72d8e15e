/** Which workarounds for Cisco PIX firewalls a message gets, should the server turn out to be behind one. smtp_pix_workarounds. Pure. */
import type { PixWorkarounds } from '../../protocol/smtp-client/steps.ts';
import { lowerAscii, splitList } from '../../text/ascii.ts';
import type { PixSettings } from './settings.ts';

/** Unknown words are passed over. `age`: seconds since the message came. Undefined: nothing is done, nor said. */
export function pixWorkarounds(words: string, settings: PixSettings, age: number): PixWorkarounds | undefined {
  if (words === '') return undefined;
  const wanted = new Set(splitList(words).map(lowerAscii));
  const noEsmtp = wanted.has('disable_esmtp');
  // A delay costs everybody time: it is for mail that would not leave without.
  const delays = wanted.has('delay_dotcrlf') && age >= settings.threshold;
  const names = [...(noEsmtp ? ['disable_esmtp'] : []), ...(delays ? ['delay_dotcrlf'] : [])].join(' ');
  return { noEsmtp, dotDelay: delays ? settings.delay : 0, names };
}
