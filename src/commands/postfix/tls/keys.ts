/**
 * Private keys of the SMTP server: made, copied, recognised, and the digests by which others know them.
 *
 * Key files are made with mode 0600 and never overwritten. Protected keys are none of ours: nobody is here to type a passphrase.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate, type KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Log } from '../../../log/log.ts';
import type { ParameterName } from '../../../parameters/parameters.ts';

export type Algorithm = 'rsa' | 'ecdsa';

interface Kind {
  /** What asymmetricKeyType calls it. */
  readonly type: string;
  /** In front of the names of its files. */
  readonly prefix: string;
  /** Size or curve, if nobody says. */
  readonly bits: string;
  readonly keyParameter: ParameterName;
  readonly certificateParameter: ParameterName;
}

export const algorithms: { readonly [A in Algorithm]: Kind } = {
  rsa: { type: 'rsa', prefix: '', bits: '2048', keyParameter: 'smtpd_tls_key_file', certificateParameter: 'smtpd_tls_cert_file' },
  ecdsa: { type: 'ec', prefix: 'ec', bits: 'secp256r1', keyParameter: 'smtpd_tls_eckey_file', certificateParameter: 'smtpd_tls_eccert_file' },
};

/** The names that standards have for curves, and that OpenSSL does not know. */
const curves: ReadonlyMap<string, string> = new Map([['secp256r1', 'prime256v1'], ['secp192r1', 'prime192v1']]);

const pathBytes = (path: string): Buffer => Buffer.from(path, 'latin1');

/** Undefined: no file, no key in it, or a protected one. */
export function readKey(file: string): { key: KeyObject; kind: Algorithm } | undefined {
  try {
    const key = createPrivateKey(readFileSync(pathBytes(file)));
    const kind = (Object.keys(algorithms) as Algorithm[]).find((name) => algorithms[name].type === key.asymmetricKeyType);
    return kind === undefined ? undefined : { key, kind };
  } catch {
    return undefined;
  }
}

/** A fatal line when there is no key in the file. */
export function keyKind(file: string, log: Log): Algorithm {
  return (readKey(file) ?? log.fatal(`no private key found in file: ${file}`)).kind;
}

/** SHA-256 of the public half, as TLSA records (3 1 1) have it. */
export function keyDigest(file: string): string {
  return digest(createPublicKey(readFileSync(pathBytes(file))));
}

/** The same from the first certificate in the file; undefined when there is none. */
export function certificateDigest(file: string): string | undefined {
  try {
    return digest(new X509Certificate(readFileSync(pathBytes(file))).publicKey);
  } catch {
    return undefined;
  }
}

function digest(key: KeyObject): string {
  return createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest('hex');
}

interface NewKey {
  readonly kind: Algorithm;
  readonly bits: string;
  readonly file: string;
  /** '': a key of its own. */
  readonly copyOf: string;
}

export function makeKey(wanted: NewKey, log: Log): void {
  const { kind, bits, file, copyOf } = wanted;
  let text: string;
  if (copyOf !== '') text = copied(wanted, log);
  else {
    try {
      text = pem(generate(kind, bits), kind);
    } catch (error) {
      log.warning((error as Error).message);
      return log.fatal(`error generating new ${kind} ${bits} private key`);
    }
  }
  writeFileSync(pathBytes(file), text, { mode: 0o600, flag: 'wx' });
}

function copied({ kind, file, copyOf }: NewKey, log: Log): string {
  const found = readKey(copyOf) ?? log.fatal(`Error copying private key from '${copyOf}' to '${file}'`);
  if (found.kind !== kind) log.fatal(`Key algorithm '${found.kind}' of '${copyOf}' is not '${kind}'`);
  return pem(found.key, kind);
}

function generate(kind: Algorithm, bits: string): KeyObject {
  if (kind === 'ecdsa') return generateKeyPairSync('ec', { namedCurve: curves.get(bits) ?? bits }).privateKey;
  if (!/^[0-9]{1,5}$/.test(bits)) throw new Error(`bad number of bits: ${bits}`);
  return generateKeyPairSync('rsa', { modulusLength: Number(bits) }).privateKey;
}

function pem(key: KeyObject, kind: Algorithm): string {
  return key.export({ format: 'pem', type: kind === 'ecdsa' ? 'sec1' : 'pkcs8' }) as string;
}
