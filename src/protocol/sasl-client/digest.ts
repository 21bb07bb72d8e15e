/**
 * Mechanisms that prove the password by an MD5 digest of a challenge: CRAM-MD5 (RFC 2195) and DIGEST-MD5 (RFC 2831, historic).
 * Neither reads the password to whoever listens, and both let him guess it.
 */
import { createHash, createHmac } from 'node:crypto';
import { isUtf8 } from '../../text/utf8.ts';
import { isAscii } from '../../text/ascii.ts';
import { bytesOf, passwordOf, SaslTrouble } from './mechanism.ts';
import type { Credentials, Login, LoginContext } from './mechanism.ts';

export function cramMd5Login(credentials: Credentials): Login {
  const password = passwordOf(credentials);
  let asked = false;
  return {
    first: () => undefined,
    next: (challenge) => {
      if (asked || challenge.length === 0) throw new SaslTrouble('unexpected challenge');
      asked = true;
      const digest = createHmac('md5', bytesOf(password)).update(challenge).digest('hex');
      return bytesOf(`${credentials.username} ${digest}`);
    },
    proven: true,
  };
}

const md5 = (text: string): Buffer => createHash('md5').update(bytesOf(text)).digest();
const md5Hex = (text: string): string => md5(text).toString('hex');
const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

export function digestMd5Login(credentials: Credentials, context: LoginContext): Login {
  return new DigestMd5(credentials.username, passwordOf(credentials), context);
}

class DigestMd5 implements Login {
  proven = false;
  private readonly username: string;
  private readonly password: string;
  private readonly context: LoginContext;
  private expected = '';

  constructor(username: string, password: string, context: LoginContext) {
    this.username = username;
    this.password = password;
    this.context = context;
  }

  first(): undefined {
    return undefined;
  }

  next(challenge: Buffer): Buffer {
    const fields = directives(challenge.toString('latin1'));
    return this.expected === '' ? this.respond(fields) : this.check(fields);
  }

  // RFC 2831 section 2.1.2, with qop=auth and no authorization identity.
  private respond(fields: ReadonlyMap<string, string>): Buffer {
    const nonce = fields.get('nonce');
    if (nonce === undefined || fields.get('algorithm') !== 'md5-sess') throw new SaslTrouble('bad DIGEST-MD5 challenge');
    if (!(fields.get('qop') ?? 'auth').split(/[ \t,]+/).includes('auth')) throw new SaslTrouble('server insists on a security layer');
    const { username, password, context: { service, host, nonce: fresh } } = this;
    // A server that does not say utf-8 means ISO 8859-1, and what is ISO 8859-1 is hashed so in any case (section 2.1.2.1).
    const utf8 = fields.get('charset') === 'utf-8';
    const hashed = (text: string): string => (utf8 && !isAscii(text) && isUtf8(text) ? latin1IfPossible(text) : text);
    const realm = fields.get('realm') ?? '';
    const cnonce = fresh();
    const uri = `${service}/${host}`;
    const secret = md5(`${hashed(username)}:${hashed(realm)}:${hashed(password)}`).toString('latin1');
    const start = md5Hex(`${secret}:${nonce}:${cnonce}`);
    const digest = (method: string): string => md5Hex(`${start}:${nonce}:00000001:${cnonce}:auth:${md5Hex(`${method}:${uri}`)}`);
    this.expected = digest('');
    const parts = [
      `username=${quoted(username)}`, ...(fields.has('realm') ? [`realm=${quoted(realm)}`] : []), `nonce=${quoted(nonce)}`, `cnonce=${quoted(cnonce)}`,
      'nc=00000001', 'qop=auth', `digest-uri=${quoted(uri)}`, `response=${digest('AUTHENTICATE')}`, ...(utf8 ? ['charset=utf-8'] : []),
    ];
    return bytesOf(parts.join(','));
  }

  // Section 2.1.3: so the server shows that it knows the password too.
  private check(fields: ReadonlyMap<string, string>): Buffer {
    if (this.proven || fields.get('rspauth') !== this.expected) throw new SaslTrouble('server does not know the password');
    this.proven = true;
    return Buffer.alloc(0);
  }
}

function latin1IfPossible(text: string): string {
  const decoded = Buffer.from(text, 'latin1').toString('utf8');
  return [...decoded].every((char) => char.codePointAt(0)! < 256) ? decoded : text;
}

const directive = /[ \t\r\n,]*([!#-'*+.0-9A-Z^_`a-z|~-]+)[ \t\r\n]*=[ \t\r\n]*(?:"((?:[^"\\]|\\[\s\S])*)"|([^",; \t\r\n]*))/y;
/** Longer challenges are none: RFC 2831 section 2.1.1. */
const challengeLimit = 2048;

/** The first of each name counts; of realms this is the server's favourite. */
function directives(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  if (text.length >= challengeLimit) throw new SaslTrouble('DIGEST-MD5 challenge too long');
  directive.lastIndex = 0;
  for (let match = directive.exec(text); match; match = directive.exec(text)) {
    const name = match[1]!.toLowerCase();
    if (!fields.has(name)) fields.set(name, match[2] === undefined ? match[3]! : match[2].replace(/\\([\s\S])/g, '$1'));
  }
  return fields;
}
