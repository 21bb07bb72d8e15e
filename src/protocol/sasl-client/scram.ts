/**
 * SCRAM (RFC 5802, RFC 7677): both sides prove that they know the password, neither shows it.
 *
 * The server's yes counts only after its own proof. Without channel binding. How much work a server may ask for is bounded.
 */
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { isAscii } from '../../text/ascii.ts';
import { isUtf8 } from '../../text/utf8.ts';
import { bytesOf, passwordOf, SaslTrouble } from './mechanism.ts';
import type { Credentials, Login, LoginContext } from './mechanism.ts';

export type ScramHash = 'sha1' | 'sha256';

/** Fewer rounds than RFC 5802 section 5.1 asks for help whoever listens; more hold up all other mail. */
const rounds = { least: 4096, most: 1_000_000 } as const;
export function scramLogin(hash: ScramHash): (credentials: Credentials, context: LoginContext) => Login {
  return (credentials, { nonce, saysWhom = false }) => new Scram(hash, credentials.username, passwordOf(credentials), nonce(), saysWhom);
}

class Scram implements Login {
  proven = false;
  private readonly hash: ScramHash;
  private readonly password: string;
  private readonly nonce: string;
  /** The server is told that we know no channel binding, and for whom we act. */
  private readonly header: string;
  private readonly bare: string;
  private signature: Buffer | undefined;

  constructor(hash: ScramHash, username: string, password: string, nonce: string, saysWhom: boolean) {
    this.hash = hash;
    this.password = prepared(password);
    this.nonce = nonce;
    const name = prepared(username).replaceAll('=', '=3D').replaceAll(',', '=2C');
    this.header = `n,${saysWhom ? `a=${name}` : ''},`;
    this.bare = `n=${name},r=${nonce}`;
  }

  first(): Buffer {
    return bytesOf(this.header + this.bare);
  }

  next(challenge: Buffer): Buffer {
    const text = challenge.toString('latin1');
    return this.signature === undefined ? this.prove(text) : this.check(text, this.signature);
  }

  private prove(text: string): Buffer {
    const match = /^r=([!-+\--~]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,8})(?:,|$)/.exec(text);
    if (!match) throw new SaslTrouble('bad SCRAM challenge');
    const [, nonce, salt, count] = match as unknown as [string, string, string, string];
    if (!nonce.startsWith(this.nonce) || nonce === this.nonce) throw new SaslTrouble('server answers to another login');
    const iterations = Number(count);
    if (iterations < rounds.least || iterations > rounds.most) throw new SaslTrouble(`${iterations} rounds of SCRAM are out of bounds`);
    const salted = pbkdf2Sync(bytesOf(this.password), Buffer.from(salt, 'base64'), iterations, this.hash === 'sha1' ? 20 : 32, this.hash);
    const last = `c=${bytesOf(this.header).toString('base64')},r=${nonce}`;
    const messages = bytesOf(`${this.bare},${text},${last}`);
    const clientKey = this.mac(salted, bytesOf('Client Key'));
    const proof = xor(clientKey, this.mac(createHash(this.hash).update(clientKey).digest(), messages));
    this.signature = this.mac(this.mac(salted, bytesOf('Server Key')), messages);
    return bytesOf(`${last},p=${proof.toString('base64')}`);
  }

  private check(text: string, signature: Buffer): Buffer {
    const refusal = /^e=([^,]*)/.exec(text);
    if (refusal) throw new SaslTrouble(`server said ${refusal[1]}`);
    const shown = Buffer.from(/^v=([A-Za-z0-9+/=]+)/.exec(text)?.[1] ?? '', 'base64');
    if (this.proven || shown.length !== signature.length || !timingSafeEqual(shown, signature)) throw new SaslTrouble('server does not know the password');
    this.proven = true;
    return Buffer.alloc(0);
  }

  private mac(key: Buffer, message: Buffer): Buffer {
    return createHmac(this.hash, key).update(message).digest();
  }
}

function xor(one: Buffer, other: Buffer): Buffer {
  return Buffer.from(one.map((byte, at) => byte ^ other[at]!));
}

// SASLprep (RFC 4013) as far as it changes a password that people use: one form for letters, one kind of space.
function prepared(text: string): string {
  if (isAscii(text) || !isUtf8(text)) return text;
  const decoded = Buffer.from(text, 'latin1').toString('utf8');
  return Buffer.from(decoded.replace(/\u00ad|\u200b|[\ufe00-\ufe0f]/g, '').replace(/\p{Zs}/gu, ' ').normalize('NFKC'), 'utf8').toString('latin1');
}
