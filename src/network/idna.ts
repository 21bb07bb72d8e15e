/**
 * Domain names in other scripts as the name service wants them: UTS 46, nontransitional (RFC 5891), or transitional for
 * enable_idna2003_compatibility. Nothing throws; what has no ASCII form has a `trouble` with Postfix's words.
 */
import * as tr46 from 'tr46';
import { validHostname } from '../text/hostname.ts';
import { decodeUtf8 } from '../text/utf8.ts';

export function domainToAscii(domain: string, transitional = false): { readonly ascii: string } | { readonly trouble: string } {
  const trouble = (why: string): { trouble: string } =>
    ({ trouble: `Problem translating domain "${domain.slice(0, 100)}" to ASCII form: ${why}` });
  const unicode = decodeUtf8(domain);
  if (unicode === undefined) return trouble('malformed UTF-8');
  const ascii = tr46.toASCII(unicode, {
    checkBidi: true, checkHyphens: true, checkJoiners: true, verifyDNSLength: true, transitionalProcessing: transitional,
  });
  if (ascii === null) return trouble('invalid international domain name');
  return validHostname(ascii) ? { ascii } : trouble('malformed ASCII label(s)');
}
