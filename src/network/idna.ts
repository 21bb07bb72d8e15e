/**
 * Domain names in other scripts as the name service wants them: UTS 46, nontransitional (RFC 5891), or transitional for
 * enable_idna2003_compatibility. Nothing throws; what has no ASCII form has a `trouble` with Postfix's words.
 */
import type * as Tr46 from 'tr46';
import { late } from '../host/late.ts';
import { validHostname } from '../text/hostname.ts';
import { decodeUtf8 } from '../text/utf8.ts';

/** Its tables take 4 MB. */
const tr46 = late<typeof Tr46>('tr46');

export function domainToAscii(domain: string, transitional = false): { readonly ascii: string } | { readonly trouble: string } {
  const trouble = (why: string): { trouble: string } =>
    ({ trouble: `Problem translating domain "${domain.slice(0, 100)}" to ASCII form: ${why}` });
  const unicode = decodeUtf8(domain);
  if (unicode === undefined) return trouble('malformed UTF-8');
  const ascii = tr46().toASCII(unicode, {
    checkBidi: true, checkHyphens: true, checkJoiners: true, verifyDNSLength: true, transitionalProcessing: transitional,
  });
  if (ascii === null) return trouble('invalid international domain name');
  return validHostname(ascii) ? { ascii } : trouble('malformed ASCII label(s)');
}
