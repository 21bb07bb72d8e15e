/** A client that logs in: PLAIN, LOGIN, CRAM-MD5 (RFC 2195), DIGEST-MD5 (RFC 2831), SCRAM-SHA-256 (RFC 7677). */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { Talk } from '../tls-scene.ts';

export const mechanisms = ['PLAIN', 'LOGIN', 'CRAM-MD5', 'DIGEST-MD5', 'SCRAM-SHA-256'] as const;
export type MechanismName = (typeof mechanisms)[number];

interface Login { readonly talk: Talk; readonly user: string; readonly password: string }

const base64 = (text: string | Buffer): string => Buffer.from(text as string).toString('base64');
const md5 = (...parts: readonly (string | Buffer)[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash('md5')).digest();
const hmac = (name: string, key: string | Buffer, text: string): Buffer => createHmac(name, key).update(text).digest();

/** What the server wants answered; a reply that is no challenge is the end. */
function challengeOf(reply: string): string {
  if (!reply.startsWith('334')) throw new Ended(reply);
  return Buffer.from(reply.slice(4), 'base64').toString('latin1');
}

class Ended extends Error {
  readonly reply: string;
  constructor(reply: string) {
    super(reply);
    this.reply = reply;
  }
}

const dances: Record<MechanismName, (login: Login) => Promise<string>> = {
  PLAIN: ({ talk, user, password }) => talk.ask(`AUTH PLAIN ${base64(`\0${user}\0${password}`)}`),
  async LOGIN({ talk, user, password }) {
    challengeOf(await talk.ask('AUTH LOGIN'));
    challengeOf(await talk.ask(base64(user)));
    return talk.ask(base64(password));
  },
  async 'CRAM-MD5'({ talk, user, password }) {
    const challenge = challengeOf(await talk.ask('AUTH CRAM-MD5'));
    return talk.ask(base64(`${user} ${hmac('md5', password, challenge).toString('hex')}`));
  },
  async 'DIGEST-MD5'({ talk, user, password }) {
    const challenge = challengeOf(await talk.ask('AUTH DIGEST-MD5'));
    const field = (name: string): string => new RegExp(`(?:^|,)${name}="?([^",]*)`).exec(challenge)?.[1] ?? '';
    const [realm, nonce, cnonce, uri] = [field('realm'), field('nonce'), randomBytes(9).toString('hex'), 'smtp/mx.dialog.test'];
    const a1 = md5(md5(`${user}:${realm}:${password}`), `:${nonce}:${cnonce}`).toString('hex');
    const response = md5(`${a1}:${nonce}:00000001:${cnonce}:auth:${md5(`AUTHENTICATE:${uri}`).toString('hex')}`).toString('hex');
    const realmField = realm === '' ? '' : `realm="${realm}",`;
    challengeOf(await talk.ask(base64(`username="${user}",${realmField}nonce="${nonce}",cnonce="${cnonce}",nc=00000001,qop=auth,digest-uri="${uri}",response=${response}`)));
    return talk.ask('');
  },
  async 'SCRAM-SHA-256'({ talk, user, password }) {
    const first = `n=${user},r=${randomBytes(12).toString('hex')}`;
    const server = challengeOf(await talk.ask(`AUTH SCRAM-SHA-256 ${base64(`n,,${first}`)}`));
    const { r = '', s = '', i = '1' } = Object.fromEntries(server.split(',').map((part) => [part[0]!, part.slice(2)]));
    const salted = pbkdf2Sync(password, Buffer.from(s, 'base64'), Number(i), 32, 'sha256');
    const key = hmac('sha256', salted, 'Client Key');
    const stored = createHash('sha256').update(key).digest();
    const signature = hmac('sha256', stored, `${first},${server},c=biws,r=${r}`);
    const proof = Buffer.from(key.map((byte, at) => byte ^ signature[at]!));
    const reply = await talk.ask(base64(`c=biws,r=${r},p=${base64(proof)}`));
    // Some send the server's proof with the success, some as a last challenge.
    return reply.startsWith('334') ? talk.ask('') : reply;
  },
};

/** The server's last word. */
export async function logIn(talk: Talk, mechanism: MechanismName, user: string, password: string): Promise<string> {
  try {
    return await dances[mechanism]({ talk, user, password });
  } catch (error) {
    if (error instanceof Ended) return error.reply;
    throw error;
  }
}
