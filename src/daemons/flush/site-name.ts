/** The name of a site's log below flush/: Postfix's, so that either finds the other's. Pure. */
import { domainToAscii } from '../../network/idna.ts';
import { isAscii, lowerAscii } from '../../text/ascii.ts';

/** Letters and digits of the name in lower case, `_` for anything else. Undefined: a name in another script that has no ASCII form. */
export function siteName(site: string): string | undefined {
  const known = isAscii(site) ? { ascii: site } : domainToAscii(site);
  return 'ascii' in known ? lowerAscii(known.ascii).replace(/[^0-9a-z]/g, '_') : undefined;
}
