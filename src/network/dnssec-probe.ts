/** Is there a resolver that validates? Asked once, where answers should have been vouched for and none was: dnssec_probe in postconf(5). */
import { allDigits } from '../text/ascii.ts';
import type { Dns, RecordType } from './dns.ts';

/** @param spec `type:name`; '' or a number for the type: nothing is asked */
export async function probeDnssec(spec: string, dns: Dns, warn: (text: string) => void): Promise<void> {
  const [type = '', name = ''] = spec.split(/:(.*)/s, 2);
  if (name === '' || allDigits(type)) return;
  const { status, reason, secure } = await dns.lookup(name, type.toUpperCase() as RecordType);
  if (secure) return;
  warn('DNSSEC validation may be unavailable');
  const unanswered = status === 'retry' || status === 'fail';
  warn(`reason: dnssec_probe '${spec}' received ${unanswered ? `no response: ${reason}` : 'a response that is not DNSSEC validated'}`);
}
