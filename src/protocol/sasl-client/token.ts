/**
 * Mechanisms with a token that someone else has issued (OAuth 2): OAUTHBEARER (RFC 7628) and its forerunner XOAUTH2. The token is as
 * good as a password to whoever reads it.
 *
 * A server that does not like the token says why in a challenge; the answer to that is a formality, and its refusal follows.
 */
import { bytesOf, SaslTrouble, tokenOf } from './mechanism.ts';
import type { Credentials, Login, LoginContext } from './mechanism.ts';

export function xoauth2Login(credentials: Credentials): Login {
  return bearer(`user=${clean(credentials.username)}\x01auth=Bearer ${clean(tokenOf(credentials))}\x01\x01`, '');
}

// RFC 7628 section 3.1; the name as in RFC 5801 section 4.
export function oauthBearerLogin(credentials: Credentials, { host, port }: LoginContext): Login {
  const name = clean(credentials.username).replaceAll('=', '=3D').replaceAll(',', '=2C');
  const where = port > 0 ? `host=${host}\x01port=${port}\x01` : '';
  return bearer(`n,a=${name},\x01${where}auth=Bearer ${clean(tokenOf(credentials))}\x01\x01`, '\x01');
}

function bearer(message: string, formality: string): Login {
  let refused = false;
  return {
    first: () => bytesOf(message),
    next: () => {
      if (refused) throw new SaslTrouble('unexpected challenge');
      refused = true;
      return bytesOf(formality);
    },
    get proven() { return !refused; },
  };
}

function clean(text: string): string {
  if (/[\x00\x01]/.test(text)) throw new SaslTrouble('control character in user name or token');
  return text;
}
