/** Which mechanism is used of those that a server offers: the strongest that the settings allow and the credentials fit. Pure. */
import { upperAscii } from '../../text/ascii.ts';
import { allowsMechanism, security } from '../sasl/security-options.ts';
import { cramMd5Login, digestMd5Login } from './digest.ts';
import type { Credentials, Mechanism } from './mechanism.ts';
import { loginLogin, plainLogin } from './plain.ts';
import { scramLogin } from './scram.ts';
import { oauthBearerLogin, xoauth2Login } from './token.ts';

const { noPlaintext, noActive, noDictionary, mutualAuth } = security;
const readable = noPlaintext | noActive | noDictionary;

/** The strongest first. The properties are those that Cyrus SASL claims for them. */
export const mechanisms: readonly Mechanism[] = [
  { name: 'SCRAM-SHA-256', properties: noDictionary | mutualAuth, forToken: false, login: scramLogin('sha256') },
  { name: 'SCRAM-SHA-1', properties: noDictionary | mutualAuth, forToken: false, login: scramLogin('sha1') },
  { name: 'DIGEST-MD5', properties: noActive | noDictionary | mutualAuth, forToken: false, login: digestMd5Login },
  { name: 'CRAM-MD5', properties: noActive | noDictionary, forToken: false, login: cramMd5Login },
  { name: 'PLAIN', properties: readable, forToken: false, login: plainLogin },
  { name: 'LOGIN', properties: readable, forToken: false, login: loginLogin },
  { name: 'OAUTHBEARER', properties: noPlaintext | noActive, forToken: true, login: oauthBearerLogin },
  { name: 'XOAUTH2', properties: noPlaintext | noActive, forToken: true, login: xoauth2Login },
];

/** `options`: bits of protocol/sasl/security-options.ts. Undefined: there is none. */
export function chooseMechanism(offered: readonly string[], credentials: Credentials, options: number): Mechanism | undefined {
  const names = new Set(offered.map(upperAscii));
  const forToken = 'token' in credentials;
  return mechanisms.find((each) => each.forToken === forToken && names.has(each.name) && allowsMechanism(options, each.properties));
}
